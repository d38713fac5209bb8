-- Each euro on an order is in exactly one day of one shop. Compares two models, so it is a test of both.
with by_order as (select sum(amount) as total from {{ ref('orders') }}),

by_day as (select sum(revenue) as total from {{ ref('shop_days') }})

select by_order.total as orders_total, by_day.total as shop_days_total
from by_order
cross join by_day
where by_order.total is distinct from by_day.total
