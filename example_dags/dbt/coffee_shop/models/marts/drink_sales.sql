select
    drinks.drink_id,
    drinks.drink_name,
    drinks.kind,
    coalesce(sum(lines.cups), 0) as cups,
    coalesce(sum(lines.amount), 0) as revenue,
    coalesce(sum(lines.margin), 0) as margin
from {{ ref('stg_drinks') }} as drinks
left join {{ ref('line_amounts') }} as lines on drinks.drink_id = lines.drink_id
group by all
