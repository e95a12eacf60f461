//! How much memory an order takes as it is, for whoever keeps many of them and has to know.

use super::Saved;
use crate::catalogue::Names;
use crate::order::{Item, ItemKind, Order, Passenger, Payment, PaymentState, Refund, SealedDocument, SeatWish};
use crate::package::{EntitlementTerms, PackageTerms};
use crate::ticket::{Redemption, Right, Ticket};

/// What an allocation takes besides what is in it, on average: allocators have classes of sizes.
const ALLOCATION: usize = 16;

impl Saved {
    /// All that belongs to the order alone, about, and what the first use of each ticket will add. Codes and explanations of
    /// prices are shared with others, and not counted.
    pub fn bytes_in_memory(&self) -> usize {
        let draft = &*self.draft;
        let contact = &draft.contact;
        let texts = [draft.buyer.reference(), &draft.locale, &contact.name, &contact.phone].map(of_text);
        size_of::<Order>()
            + ALLOCATION
            + size_of_val(draft)
            + ALLOCATION
            + texts.iter().sum::<usize>()
            + contact.email.as_deref().map_or(0, of_text)
            + of_list(&draft.passengers, of_passenger)
            + of_list(&draft.price.lines, |_| 0)
            + of_list(&draft.promotions, |_| 0)
            + of_list(&self.items, of_item)
            + of_list(&self.payments, of_payment)
            + of_list(&self.refunds, of_refund)
            + of_list(&self.tickets, of_ticket)
            + of_list(&self.ledger, |_| 0)
    }
}

fn of_list<T>(list: &Vec<T>, of_one: impl Fn(&T) -> usize) -> usize {
    of_piece(list.capacity() * size_of::<T>()) + list.iter().map(of_one).sum::<usize>()
}

fn of_text(text: &str) -> usize {
    of_piece(text.len())
}

fn of_piece(bytes: usize) -> usize {
    if bytes == 0 { 0 } else { bytes + ALLOCATION }
}

fn of_passenger(passenger: &Passenger) -> usize {
    let document = passenger.document.as_ref();
    let of_document =
        |sealed: &SealedDocument| of_text(&sealed.kind) + of_piece(sealed.ciphertext.len()) + of_text(&sealed.mask);
    of_text(&passenger.name) + document.map_or(0, of_document)
}

fn of_item(item: &Item) -> usize {
    let of_labels = |labels: &Vec<Box<str>>| of_list(labels, |label| of_text(label));
    let leg = match &item.kind {
        ItemKind::Journey(leg) => leg,
        ItemKind::Package(terms) => return of_package(terms),
    };
    let wish = match &leg.wish {
        SeatWish::Any | SeatWish::Reserved { .. } => 0,
        SeatWish::Chosen(labels) => of_labels(labels),
    };
    wish + of_labels(&leg.seats)
}

fn of_package(terms: &PackageTerms) -> usize {
    let of_names = |names: &Names| of_text(&names.zh) + of_text(&names.en);
    let of_entitlement = |terms: &EntitlementTerms| of_names(&terms.names) + of_list(&terms.locations, |_| 0);
    of_piece(size_of_val(terms)) + of_names(&terms.names) + of_list(&terms.entitlements, of_entitlement)
}

fn of_payment(payment: &Payment) -> usize {
    let state = match &payment.state {
        PaymentState::Created(prepay) => of_text(&prepay.id) + of_text(&prepay.nonce),
        PaymentState::Refused { code } => of_text(code),
        PaymentState::Paid { transaction_id } | PaymentState::PaidLate { transaction_id, .. } => {
            of_text(transaction_id)
        }
        PaymentState::Begun | PaymentState::Closed => 0,
    };
    of_piece(payment.body.len()) + state
}

fn of_refund(refund: &Refund) -> usize {
    // Its state has a short text at most.
    of_piece(refund.body.len()) + ALLOCATION
}

fn of_ticket(ticket: &Ticket) -> usize {
    let of_use = |used: &Redemption| of_text(&used.request_id) + used.location.as_deref().map_or(0, of_text);
    // The first one takes room for itself, and leaves texts.
    let is_to_come = ticket.redemptions.capacity() == 0 && ticket.entitlement().remaining > 0;
    let seat = match &ticket.right {
        Right::Journey(journey) => of_text(&journey.seat),
        Right::Entitlement(_) => 0,
    };
    let first_use = if is_to_come { of_piece(size_of::<Redemption>()) + 4 * ALLOCATION } else { 0 };
    seat + of_list(&ticket.redemptions, of_use) + first_use
}
