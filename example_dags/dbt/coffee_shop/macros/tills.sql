{# Stands in for the tills: makes the raw tables where they are not there yet, so that rows added since then stay. #}
{% macro open_the_tills() %}
    {% if execute %}
        create schema if not exists raw;

        create table if not exists raw.receipts as
        select * from (values
            (1001, 1,  101, timestamp '2026-03-02 08:04:00', 'card'),
            (1002, 1, null, timestamp '2026-03-02 08:11:00', 'cash'),
            (1003, 2,  103, timestamp '2026-03-02 09:30:00', 'card'),
            (1004, 3,  105, timestamp '2026-03-02 17:45:00', 'phone'),
            (1005, 1,  102, timestamp '2026-03-03 07:58:00', 'card'),
            (1006, 2,  104, timestamp '2026-03-03 10:02:00', 'phone'),
            (1007, 2, null, timestamp '2026-03-03 12:40:00', 'cash'),
            (1008, 3,  106, timestamp '2026-03-04 08:20:00', 'card'),
            (1009, 1,  101, timestamp '2026-03-04 08:31:00', 'card'),
            (1010, 2,  103, timestamp '2026-03-05 15:12:00', 'phone'),
            (1011, 3,  105, timestamp '2026-03-05 16:01:00', 'card'),
            (1012, 1,  101, timestamp '2026-03-06 08:02:00', 'card')
        ) as receipt (receipt_id, shop_id, card_id, sold_at, paid_by);

        create table if not exists raw.receipt_lines as
        select * from (values
            (1001, 1, 2, 1), (1001, 2, 1, 2),
            (1002, 1, 3, 1),
            (1003, 1, 5, 2), (1003, 2, 8, 1),
            (1004, 1, 6, 1),
            (1005, 1, 2, 2),
            (1006, 1, 7, 1), (1006, 2, 4, 1),
            (1007, 1, 1, 1),
            (1008, 1, 8, 3),
            (1009, 1, 2, 1), (1009, 2, 3, 4),
            (1010, 1, 5, 6),
            (1011, 1, 6, 2), (1011, 2, 7, 1),
            (1012, 1, 2, 20)
        ) as line (receipt_id, line_number, drink_id, cups);
    {% endif %}
{% endmacro %}
