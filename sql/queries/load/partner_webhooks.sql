SELECT
    partner_id, version, url, standing, secret_key_version, secret_ciphertext, previous_key_version,
    previous_ciphertext, previous_until, last_sequence, told_sequence, failures, due_at, attempts, revision
FROM partner_webhooks
