//! What a record of an owner is: a kind and an encoding outside the payload, and [`Rows`](deeptravel_domain::row::Rows) in it
//! (rule 23).

/// Record kind: images of rows.
pub const KIND_ROWS: u16 = 1;
/// Version of the encoding of rows.
pub const CODEC: u16 = 1;
