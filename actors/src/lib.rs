//! The owners: actix shells around the machines of `deeptravel-domain`, the journal and the projector.
pub mod journal;
