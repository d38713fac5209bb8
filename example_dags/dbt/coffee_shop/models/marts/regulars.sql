select
    customer_id,
    customer_name,
    home_shop_id,
    points
from {{ ref('customers') }}
where points >= {{ var('regular_from_points') }}
