select
    receipts.receipt_id as order_id,
    receipts.shop_id,
    receipts.card_id,
    receipts.sold_at,
    receipts.sold_on,
    receipts.paid_by,
    sum(lines.cups) as cups,
    sum(lines.amount) as amount,
    sum(lines.margin) as margin
from {{ ref('stg_receipts') }} as receipts
inner join {{ ref('line_amounts') }} as lines on receipts.receipt_id = lines.receipt_id
group by all
