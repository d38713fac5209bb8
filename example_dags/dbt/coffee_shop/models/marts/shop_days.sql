{{ config(materialized='incremental', unique_key=['shop_id', 'sold_on'], incremental_strategy='delete+insert') }}

-- Whole days are read again and replaced, never added to, so a second run over the same orders changes nothing.
select
    shop_id,
    sold_on,
    count(*) as orders,
    sum(cups) as cups,
    sum(amount) as revenue
from {{ ref('orders') }}
{% if is_incremental() %}
where sold_on >= (
    select coalesce(max(sold_on), date '1900-01-01') - {{ var('late_days') }} from {{ this }}
)
{% endif %}
group by all
