-- What partners sell of what they have reserved, and the lists of their reservations and orders (R-OTA-03, R-OTA-08).

-- As it was reserved: terms, tiers, holidays, blackout_dates. Written with the first image.
ALTER TABLE partner_reservation_rows ADD COLUMN offer json;

-- A partner's orders, by the time at which they were made: a page is found in the index alone. Travellers' orders are not in it.
CREATE INDEX order_rows_of_partner ON order_rows (channel, created_at, order_id) INCLUDE (status) WHERE traveller_id IS NULL;
