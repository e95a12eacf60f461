-- $1 ids of orders.
SELECT
    order_id, passenger, version, name, passenger_type, document_kind, document_key_version, document_sealed,
    document_mask
FROM order_passengers
WHERE order_id = ANY ($1)
