//! What is asked before seats are taken, for an order or for a reservation: whether the trip is sold now.

use super::{Catalogue, Trip};
use crate::departure::Stretch;
use crate::fare::SEAT_LOCK_MINUTES_DEFAULT;
use crate::ids::DepartureId;
use crate::rejection::Rejection;
use crate::time::Timestamp;

/// A trip that somebody wants seats of.
#[derive(Clone, Copy, Debug)]
pub struct Sought<'a> {
    pub departure: &'a DepartureId,
    /// `None`: the first stop.
    pub board: Option<u8>,
    /// `None`: the last stop.
    pub alight: Option<u8>,
}

impl Sought<'_> {
    /// The trip, and for how many seconds its seats are held, if it is sold. `field`: how a field is called in the request.
    /// Errors: `DepartureNotFound`, `BookingClosed`, `Blackout`; field rejections of `alightStop` and `departureId`.
    pub fn on_sale(
        self,
        catalogue: &Catalogue,
        now: Timestamp,
        field: impl Fn(&str) -> String,
    ) -> Result<(Trip<'_>, u32), Rejection> {
        let (_, route, _) = catalogue.departure(self.departure).ok_or(Rejection::DepartureNotFound)?;
        let whole = route.whole();
        let (board, alight) = (self.board.unwrap_or(whole.board), self.alight.unwrap_or(whole.alight));
        let trip = Stretch::new(board, alight)
            .and_then(|stretch| catalogue.trip(self.departure, stretch))
            .ok_or_else(|| Rejection::field(field("alightStop"), "a later stop of the departure"))?;
        catalogue.sellable(&trip, now).map_err(|unsellable| unsellable.rejection(&field("departureId")))?;

        let fares = catalogue.fares(&trip.route.code);
        let lock_seconds = 60 * u32::from(fares.map_or(SEAT_LOCK_MINUTES_DEFAULT, |table| table.seat_lock_minutes));
        Ok((trip, lock_seconds))
    }
}
