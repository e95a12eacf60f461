//! What promotions take off an order's price (R-PRICE-03). Which of them apply is [`promotion`](crate::promotion)'s.

use jiff::civil::Date;

use crate::catalogue::Catalogue;
use crate::departure::Channel;
use crate::ids::PromotionCode;
use crate::money::{Currency, Money};
use crate::order::draft::{Item, ItemKind, PriceLine, Promoted};
use crate::promotion::{Applied, Basket, Bought, Line, Promotion};
use crate::rejection::{Rejection, Uses};
use crate::time::Timestamp;

/// To whom something is sold, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sold<'a> {
    pub items: &'a [Item],
    /// When each item is boarded or visited.
    pub dates: &'a [Option<Date>],
    pub party_size: u16,
    pub channel: &'a Channel,
    pub currency: Currency,
    pub now: Timestamp,
}

/// The lines become lower by the promotions that apply, and say so. Errors: as for [`Catalogue::promote`].
pub(super) fn discount(
    lines: &mut [PriceLine],
    sold: Sold<'_>,
    catalogue: &Catalogue,
    code: Option<&PromotionCode>,
    used_up: impl Fn(&Promotion) -> Option<Uses>,
) -> Result<Vec<Promoted>, Rejection> {
    let applied = {
        let priced: Vec<Line<'_>> = lines.iter().filter_map(|line| priced(line, sold)).collect();
        let Sold { party_size, channel, now, .. } = sold;
        catalogue.promote(&Basket { lines: &priced, party_size, channel, now }, code, used_up)?
    };
    for one in &applied {
        let explanation = one.explanation();
        for (line, share) in lines.iter_mut().zip(&one.shares).filter(|(_, share)| **share > 0) {
            line.discount_minor += share;
            line.total_minor -= share;
            line.explanation = format!("{}, {explanation}", line.explanation).into();
        }
    }
    Ok(applied.into_iter().map(promoted).collect())
}

/// Every line is of an item.
fn priced<'a>(line: &PriceLine, sold: Sold<'a>) -> Option<Line<'a>> {
    let bought = match &sold.items.get(usize::from(line.item))?.kind {
        ItemKind::Journey(leg) => Bought::Journey(&leg.route),
        ItemKind::Package(terms) => Bought::Package(&terms.template),
    };
    let date = sold.dates.get(usize::from(line.item)).copied().flatten();
    let total = Money::new(line.total_minor, sold.currency);
    Some(Line { bought, passenger: line.kind.passenger(), date, total })
}

fn promoted(applied: Applied) -> Promoted {
    let Applied { code, revision, is_limited, discount_minor, shares: _ } = applied;
    Promoted { code, revision, discount_minor, is_limited }
}
