INSERT INTO order_passengers AS held (
    order_id, passenger, version, name, passenger_type, document_kind, document_key_version, document_sealed,
    document_mask
)
SELECT
    order_id, passenger, version, name, passenger_type, document_kind, document_key_version, document_sealed,
    document_mask
FROM unnest($1::order_passengers[])
ON CONFLICT (order_id, passenger) DO UPDATE SET
    version = excluded.version, name = excluded.name, passenger_type = excluded.passenger_type,
    document_kind = excluded.document_kind, document_key_version = excluded.document_key_version,
    document_sealed = excluded.document_sealed, document_mask = excluded.document_mask
WHERE held.version < excluded.version
