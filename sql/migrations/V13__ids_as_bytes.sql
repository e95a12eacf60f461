-- Ids of rows that are written by the million are 16 bytes: half of what their text takes, in every row and index. The text is
-- the one that people know, which sorts like the bytes: 26 characters of Crockford's base32.

CREATE FUNCTION id_text(id uuid) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 0) >> 5), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 0) & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 1) >> 3 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 1) & 7) << 2 | (get_byte(uuid_send(id), 2) >> 6)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 2) >> 1 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 2) & 1) << 4 | (get_byte(uuid_send(id), 3) >> 4)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 3) & 15) << 1 | (get_byte(uuid_send(id), 4) >> 7)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 4) >> 2 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 4) & 3) << 3 | (get_byte(uuid_send(id), 5) >> 5)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 5) & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 6) >> 3 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 6) & 7) << 2 | (get_byte(uuid_send(id), 7) >> 6)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 7) >> 1 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 7) & 1) << 4 | (get_byte(uuid_send(id), 8) >> 4)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 8) & 15) << 1 | (get_byte(uuid_send(id), 9) >> 7)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 9) >> 2 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 9) & 3) << 3 | (get_byte(uuid_send(id), 10) >> 5)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 10) & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 11) >> 3 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 11) & 7) << 2 | (get_byte(uuid_send(id), 12) >> 6)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 12) >> 1 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 12) & 1) << 4 | (get_byte(uuid_send(id), 13) >> 4)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 13) & 15) << 1 | (get_byte(uuid_send(id), 14) >> 7)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 14) >> 2 & 31), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + ((get_byte(uuid_send(id), 14) & 3) << 3 | (get_byte(uuid_send(id), 15) >> 5)), 1)
        || substr('0123456789ABCDEFGHJKMNPQRSTVWXYZ', 1 + (get_byte(uuid_send(id), 15) & 31), 1);
COMMENT ON FUNCTION id_text IS 'The text of an id: of an order, a traveller, a validator session.';

CREATE FUNCTION id_of_text(text text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN text ~ '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' THEN (
        lpad(to_hex(
            ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 1, 1)) - 1)::bigint << 61)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 2, 1)) - 1)::bigint << 56)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 3, 1)) - 1)::bigint << 51)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 4, 1)) - 1)::bigint << 46)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 5, 1)) - 1)::bigint << 41)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 6, 1)) - 1)::bigint << 36)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 7, 1)) - 1)::bigint << 31)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 8, 1)) - 1)::bigint << 26)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 9, 1)) - 1)::bigint << 21)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 10, 1)) - 1)::bigint << 16)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 11, 1)) - 1)::bigint << 11)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 12, 1)) - 1)::bigint << 6)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 13, 1)) - 1)::bigint << 1)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 14, 1)) - 1)::bigint >> 4)
        ), 16, '0')
        || lpad(to_hex(
            ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 14, 1)) - 1)::bigint << 60)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 15, 1)) - 1)::bigint << 55)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 16, 1)) - 1)::bigint << 50)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 17, 1)) - 1)::bigint << 45)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 18, 1)) - 1)::bigint << 40)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 19, 1)) - 1)::bigint << 35)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 20, 1)) - 1)::bigint << 30)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 21, 1)) - 1)::bigint << 25)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 22, 1)) - 1)::bigint << 20)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 23, 1)) - 1)::bigint << 15)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 24, 1)) - 1)::bigint << 10)
            | ((strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 25, 1)) - 1)::bigint << 5)
            | (strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(text, 26, 1)) - 1)::bigint
        ), 16, '0')
    )::uuid END;
COMMENT ON FUNCTION id_of_text IS
    'The id with a text; NULL if it is none. `WHERE order_id = id_of_text(''…'')` finds a row of order_rows by its index.';
