-- Every price that a drink has had since the first snapshot.
select
    drink_id,
    drink_name,
    {{ euros('price_cents') }} as price,
    dbt_valid_from as valid_from,
    dbt_valid_to as valid_to
from {{ ref('drink_prices') }}
