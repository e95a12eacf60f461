INSERT INTO payments AS held (
    out_trade_no, order_id, version, state, total_minor, currency, request_body, time_expire, hold_expires_at,
    begun_at, prepay_id, nonce, signed_at_seconds, refusal, transaction_id, paid_at, ended_at
)
SELECT
    out_trade_no, order_id, version, state, total_minor, currency, request_body, time_expire, hold_expires_at,
    begun_at, prepay_id, nonce, signed_at_seconds, refusal, transaction_id, paid_at, ended_at
FROM unnest($1::payments[])
ON CONFLICT (out_trade_no) DO UPDATE SET
    order_id = excluded.order_id, version = excluded.version, state = excluded.state,
    total_minor = excluded.total_minor, currency = excluded.currency, request_body = excluded.request_body,
    time_expire = excluded.time_expire, hold_expires_at = excluded.hold_expires_at,
    begun_at = excluded.begun_at, prepay_id = excluded.prepay_id, nonce = excluded.nonce,
    signed_at_seconds = excluded.signed_at_seconds, refusal = excluded.refusal,
    transaction_id = excluded.transaction_id, paid_at = excluded.paid_at, ended_at = excluded.ended_at
WHERE held.version < excluded.version
