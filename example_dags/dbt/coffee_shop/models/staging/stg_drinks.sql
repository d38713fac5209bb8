select
    drink_id,
    drink_name,
    kind,
    {{ euros('price_cents') }} as price,
    {{ euros('price_cents - cost_cents') }} as margin
from {{ ref('drinks') }}
