select
    card_id,
    holder,
    home_shop_id,
    cast(issued_on as date) as issued_on
from {{ ref('loyalty_cards') }}
