select
    shops.shop_id,
    shops.shop_name,
    shops.city,
    coalesce(sum(days.revenue), 0) as revenue,
    {{ euros('100 * coalesce(sum(days.revenue), 0) / max(shops.seats)') }} as revenue_per_seat,
    rank() over (order by coalesce(sum(days.revenue), 0) desc) as place
from {{ ref('stg_shops') }} as shops
left join {{ ref('shop_days') }} as days on shops.shop_id = days.shop_id
group by all
