INSERT INTO partner_webhooks AS held (
    partner_id, version, url, standing, secret_key_version, secret_ciphertext, previous_key_version,
    previous_ciphertext, previous_until, last_sequence, told_sequence, failures, due_at, attempts, revision
)
SELECT
    partner_id, version, url, standing, secret_key_version, secret_ciphertext, previous_key_version,
    previous_ciphertext, previous_until, last_sequence, told_sequence, failures, due_at, attempts, revision
FROM unnest($1::partner_webhooks[])
ON CONFLICT (partner_id) DO UPDATE SET
    version = excluded.version, url = excluded.url, standing = excluded.standing,
    secret_key_version = excluded.secret_key_version, secret_ciphertext = excluded.secret_ciphertext,
    previous_key_version = excluded.previous_key_version, previous_ciphertext = excluded.previous_ciphertext,
    previous_until = excluded.previous_until, last_sequence = excluded.last_sequence,
    told_sequence = excluded.told_sequence, failures = excluded.failures, due_at = excluded.due_at,
    attempts = excluded.attempts, revision = excluded.revision
WHERE held.version < excluded.version
