-- Batches whose units were drawn from a reservation (R-OTA-03, R-OTA-04).

-- That its units were drawn from. NULL: it has a hold of its own.
ALTER TABLE batch_rows ADD COLUMN reservation_id uuid;

CREATE OR REPLACE VIEW batches AS
SELECT
    id_text(batch_id) COLLATE "C" AS batch_id, version, partner_id, partner_batch_id, status, quantity, units_kept,
    distribution_mode, reseller::jsonb AS reseller, created_at, ends_at,
    (offer -> 'terms' ->> 'template_id') COLLATE "C" AS template_id,
    (offer -> 'terms' ->> 'version')::integer AS template_version,
    (offer -> 'terms' ->> 'product_id')::integer AS product_id, id_text(reservation_id) COLLATE "C" AS reservation_id
FROM batch_rows;

-- Partners list their tickets from memory.
DROP INDEX ota_ticket_rows_of_partner;
