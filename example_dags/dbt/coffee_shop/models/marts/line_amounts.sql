{{ config(materialized='ephemeral') }}

-- What each line of a receipt brought in. Ephemeral: it lives inside the models that read it.
select
    lines.receipt_id,
    lines.line_number,
    lines.drink_id,
    lines.cups,
    lines.cups * drinks.price as amount,
    lines.cups * drinks.margin as margin
from {{ ref('stg_receipt_lines') }} as lines
inner join {{ ref('stg_drinks') }} as drinks on lines.drink_id = drinks.drink_id
