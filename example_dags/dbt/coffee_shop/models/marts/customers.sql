-- One point for each full euro that was spent with a card.
with spent as (
    select
        card_id,
        count(*) as orders,
        sum(amount) as amount,
        max(sold_on) as last_visit
    from {{ ref('orders') }}
    where card_id is not null
    group by card_id
)

select
    cards.card_id as customer_id,
    cards.holder as customer_name,
    cards.home_shop_id,
    coalesce(spent.orders, 0) as orders,
    coalesce(spent.amount, 0) as amount,
    cast(floor(coalesce(spent.amount, 0)) as integer) as points,
    spent.last_visit
from {{ ref('stg_cards') }} as cards
left join spent on cards.card_id = spent.card_id
