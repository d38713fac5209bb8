select
    receipt_id,
    line_number,
    drink_id,
    cups
from {{ source('tills', 'receipt_lines') }}
where cups > 0
