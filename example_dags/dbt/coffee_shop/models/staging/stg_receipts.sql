select
    receipt_id,
    shop_id,
    card_id,
    sold_at,
    cast(sold_at as date) as sold_on,
    paid_by
from {{ source('tills', 'receipts') }}
