-- Orders say which promotions made their price lower. NULL, and of rows from before: none.
ALTER TABLE order_rows ADD COLUMN promotions json;

-- The version is the order's.
CREATE VIEW order_promotions AS
SELECT
    id_text(order_id) COLLATE "C" AS order_id, n::integer AS number, version,
    (p ->> 'promotion_code') COLLATE "C" AS promotion_code, (p ->> 'revision')::integer AS revision,
    (p ->> 'discount_minor')::bigint AS discount_minor, (p ->> 'limited')::boolean AS limited
FROM order_rows, json_array_elements(promotions) WITH ORDINALITY AS promoted (p, n);
COMMENT ON VIEW order_promotions IS
    'What has lowered the price of an order, in the order in which it was taken off. Of limited ones it has a hold in stock_holds.';
