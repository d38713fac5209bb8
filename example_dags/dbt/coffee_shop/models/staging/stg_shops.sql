select
    shop_id,
    shop_name,
    city,
    seats,
    cast(opened_on as date) as opened_on
from {{ ref('shops') }}
