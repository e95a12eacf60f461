//! What searches quote: what one thing alone costs, with the best promotion that applies by itself (R-PRICE-03).

use jiff::civil::Date;

use super::{Catalogue, Template, Trip};
use crate::ids::SeatClassCode;
use crate::party::Party;
use crate::promotion::{Bought, InForce, Line, Quoted};
use crate::register::Entry;
use crate::rejection::Rejection;

impl Catalogue {
    /// What a trip alone costs a party. Errors: as for [`Catalogue::quote`].
    pub fn quote_with(
        &self,
        in_force: &InForce,
        trip: &Trip<'_>,
        class: &SeatClassCode,
        party: Party,
    ) -> Result<Quoted, Rejection> {
        let quote = self.quote(trip, class, party)?;
        let (bought, date) = (Bought::Journey(&trip.route.code), Some(trip.boards_on));
        let lines = quote.lines.iter();
        let lines = lines.map(|line| Line { bought, passenger: line.passenger_type, date, total: line.total });
        Ok(in_force.quote(lines, party, quote.total))
    }

    /// What a package alone costs a party for a day. Errors: as for [`Catalogue::package_quote`].
    pub fn package_quote_with(
        &self,
        in_force: &InForce,
        entry: &Entry<Template>,
        party: Party,
        date: Date,
    ) -> Result<Quoted, Rejection> {
        let quote = self.package_quote(entry, party, 1, Some(date))?;
        let (bought, date) = (Bought::Package(&entry.id), Some(date));
        let lines = quote.lines.iter();
        let lines = lines.map(|line| Line { bought, passenger: line.passenger_type, date, total: line.total });
        Ok(in_force.quote(lines, party, quote.total))
    }
}
