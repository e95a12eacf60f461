-- What administrators configure of the network: names in two languages where there was one, and when boarding opens.
-- What fares and classes gain is in their JSON.
ALTER TABLE vehicles ADD COLUMN name_en text;
ALTER TABLE holidays ADD COLUMN name_en text;
ALTER TABLE routes ADD COLUMN boarding_opens_minutes integer;
