-- The server's clock, and whether that is the client's machine's: by a socket, by loopback, or by an address of its own.
SELECT
    clock_timestamp() AS read_at,
    coalesce(
        inet_client_addr() = inet_server_addr() OR inet_client_addr() <<= inet '127.0.0.0/8', true
    ) AS is_here
