//! From stored rows to the machine.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::{LedgerRow, OrderRow, PaymentRow, RefundRow, Saved, ScanRow, TicketRow};
use crate::departure::{Channel, Stretch};
use crate::ids::{DepartureId, OutRefundNo, OutTradeNo, TicketId};
use crate::money::Money;
use crate::order::{
    Buyer, Contact, Draft, FIRST_EPOCH, Item, LedgerEntry, MovedBy, Payment, PaymentState, Prepay, Price, Refund,
    RefundState,
};
use crate::row::{Damage, Row, Rows, Uuid};
use crate::ticket::{Entitlement, Holder, Journey, Redemption, Right, Ticket};

impl Saved {
    pub(in crate::order) fn from_rows(rows: &Rows) -> Result<Saved, Damage> {
        let row: OrderRow<'_> = rows.only()?;
        let (items, draft) = (row.items.to_vec(), draft_of(&row)?);
        let mut payments = rows.of().map(|row| payment_of(&row?)).collect::<Result<Vec<_>, _>>()?;
        payments.sort_by_key(|payment| payment.number);
        let mut refunds = rows.of().map(|row| Refund::from_row(&row?)).collect::<Result<Vec<_>, _>>()?;
        refunds.sort_by_key(|refund| refund.number);
        find_replaced(&mut refunds, &payments);
        let ticket = |row: Result<_, Damage>| ticket_of(&row?, &draft, &items);
        let mut tickets = rows.of().map(ticket).collect::<Result<Vec<_>, _>>()?;
        tickets.sort_by_key(|ticket| ticket.id);
        add_redemptions(&mut tickets, rows.all()?)?;
        let mut ledger: Vec<LedgerRow> = rows.all()?;
        ledger.sort_by_key(|row| row.number);

        Ok(Saved {
            items,
            status: row.status,
            first_lock_expires_at: row.first_lock_expires_at,
            lock_expires_at: row.lock_expires_at,
            seat_epoch: row.seat_epoch.unwrap_or(FIRST_EPOCH),
            payments,
            refunds,
            tickets,
            ledger: ledger.iter().map(entry_of).collect(),
            paid_at: row.paid_at,
            completed_at: row.completed_at,
            cancelled: row.cancelled_at.zip(row.cancel_reason),
            outstanding: row.outstanding,
            ..Saved::new(draft, row.created_at)
        })
    }
}

fn draft_of(row: &OrderRow<'_>) -> Result<Draft, Damage> {
    let lock_ms = row.first_lock_expires_at.ms_since(row.created_at);
    Ok(Draft {
        id: row.order_id.0,
        buyer: buyer_of(row)?,
        channel: row.channel.clone().unwrap_or(Channel::Direct),
        locale: row.locale.into(),
        contact: Contact {
            name: row.contact_name.into(),
            phone: row.contact_phone.into(),
            email: row.contact_email.map(Into::into),
        },
        passengers: row.passengers.to_vec(),
        items: Vec::new(),
        asked: Vec::new(),
        price: Price { total: Money::new(row.total_minor, row.currency), lines: row.price_lines.to_vec() },
        promotions: row.promotions.to_vec(),
        lock_seconds: u32::try_from(lock_ms / 1000).unwrap_or(0),
    })
}

fn buyer_of(row: &OrderRow<'_>) -> Result<Buyer, Damage> {
    let reference = row.idempotency_key.into();
    match (row.traveller_id, row.body_hash, &row.channel) {
        (Some(Uuid(id)), Some(body_hash), _) => Ok(Buyer::Traveller { id, idempotency_key: reference, body_hash }),
        (None, message, Some(Channel::Ota(partner))) => {
            Ok(Buyer::Partner { partner: code(row, partner, "channel")?, payment_reference: reference, message })
        }
        (Some(_), None, _) | (None, _, None | Some(Channel::Direct)) => Err(row.damage("it has no buyer")),
    }
}

fn payment_of(row: &PaymentRow<'_>) -> Result<Payment, Damage> {
    let text = |column: Option<&str>, name: &str| needed(row, column, name).map(Box::from);
    let state = match row.state {
        "begun" => PaymentState::Begun,
        "created" => PaymentState::Created(Prepay {
            id: text(row.prepay_id, "prepay_id")?,
            nonce: text(row.nonce, "nonce")?,
            signed_at_seconds: needed(row, row.signed_at_seconds, "signed_at_seconds")?,
        }),
        "refused" => PaymentState::Refused { code: text(row.refusal, "refusal")? },
        "closed" => PaymentState::Closed,
        "paid" => PaymentState::Paid { transaction_id: text(row.transaction_id, "transaction_id")? },
        "paid_late" => {
            PaymentState::PaidLate { transaction_id: text(row.transaction_id, "transaction_id")?, paid_at: row.paid_at }
        }
        _ => return Err(row.damage("state is none")),
    };
    Ok(Payment {
        number: row.out_trade_no,
        total: Money::new(row.total_minor, row.currency),
        body: row.request_body.into(),
        time_expire: row.time_expire,
        hold_expires_at: row.hold_expires_at,
        begun_at: row.begun_at,
        ended_at: row.ended_at,
        state,
    })
}

impl Refund {
    /// A refund as its row says.
    pub fn from_row(row: &RefundRow<'_>) -> Result<Refund, Damage> {
        let refund_id = || needed(row, row.refund_id, "refund_id").map(Box::from);
        let state = match row.state {
            "due" => RefundState::Due,
            "begun" => RefundState::Begun,
            "refused" => RefundState::Refused { code: needed(row, row.refusal, "refusal")?.into() },
            "processing" => RefundState::Processing { refund_id: refund_id()? },
            "abnormal" => RefundState::Abnormal { refund_id: refund_id()? },
            "closed" => RefundState::Closed { refund_id: refund_id()? },
            "succeeded" => {
                RefundState::Succeeded { refund_id: refund_id()?, at: needed(row, row.succeeded_at, "succeeded_at")? }
            }
            _ => return Err(row.damage("state is none")),
        };
        Ok(Refund {
            number: row.out_refund_no,
            payment: row.out_trade_no,
            amount: Money::new(row.amount_minor, row.currency),
            reason: row.reason,
            due_at: row.due_at,
            begun_at: row.begun_at,
            body: row.request_body.into(),
            state,
            replaces: row.replaces,
        })
    }
}

/// Rows that were written before a refund said what it replaces: each gave a whole payment back, so an earlier one of the
/// same payment was closed, and this one took its place.
fn find_replaced(refunds: &mut [Refund], payments: &[Payment]) {
    let mut last_of: BTreeMap<OutTradeNo, OutRefundNo> = BTreeMap::new();
    let gives_all_back = |refund: &Refund| {
        payments.iter().any(|payment| (payment.number, payment.total) == (refund.payment, refund.amount))
    };
    for refund in refunds.iter_mut().filter(|refund| gives_all_back(refund)) {
        let before = last_of.insert(refund.payment, refund.number);
        refund.replaces = refund.replaces.or(before);
    }
}

/// What a row of its state has.
fn needed<'a, T>(row: &impl Row<'a>, column: Option<T>, name: &str) -> Result<T, Damage> {
    column.ok_or_else(|| row.damage(format!("{name} is missing for its state")))
}

fn ticket_of(row: &TicketRow<'_>, draft: &Draft, items: &[Item]) -> Result<Ticket, Damage> {
    let entitlement = Entitlement {
        code: code(row, row.entitlement_code, "entitlement_code")?,
        merchant: row.merchant_code.map(|merchant| code(row, merchant, "merchant_code")).transpose()?,
        total: row.total_uses,
        remaining: row.remaining_uses,
        valid_from: row.valid_from,
        valid_until: row.valid_until,
    };
    let right = match row.departure_id {
        Some(departure) => Right::Journey(journey_of(row, code(row, departure, "departure_id")?, entitlement)?),
        None => Right::Entitlement(entitlement),
    };
    let item = match row.item {
        Some(item) => Some(usize::from(item)).filter(|item| *item < items.len()),
        None => item_of_numbered(row, draft, items, &right),
    };
    let item = item.ok_or_else(|| row.damage("what it is for was not bought"))?;
    Ok(Ticket {
        id: TicketId { order: row.order_id.0, number: row.number },
        item: item as u16,
        holder: if row.shared { Holder::Party } else { Holder::Passenger(row.passenger) },
        right,
        status: row.status,
        price_minor: row.price_minor.unwrap_or_else(|| draft.share(item, usize::from(row.passenger))),
        issued_at: row.issued_at.unwrap_or(row.valid_from),
        redemptions: Vec::new(),
    })
}

fn journey_of(row: &TicketRow<'_>, departure: DepartureId, boarding: Entitlement) -> Result<Journey, Damage> {
    let stretch = Stretch::new(row.board_stop, row.alight_stop);
    Ok(Journey {
        departure,
        stretch: stretch.ok_or_else(|| row.damage("its stops are no stretch"))?,
        seat: needed(row, row.seat_number, "seat_number")?.into(),
        board_port: code(row, needed(row, row.board_port, "board_port")?, "board_port")?,
        departs_at: needed(row, row.departs_at, "departs_at")?,
        boarding,
    })
}

/// Tickets whose row does not say so are numbered item by item, one for each passenger: two items may be seats of one
/// departure.
fn item_of_numbered(row: &TicketRow<'_>, draft: &Draft, items: &[Item], right: &Right) -> Option<usize> {
    let Right::Journey(journey) = right else { return None };
    let is_of = |item: &Item| {
        item.leg().is_some_and(|leg| leg.departure == journey.departure && leg.stretch == journey.stretch)
    };
    let numbered = usize::from(row.number.saturating_sub(1)) / draft.passengers.len().max(1);
    let bought = items.get(numbered).filter(|item| is_of(item)).map(|_| numbered);
    bought.or_else(|| items.iter().position(is_of))
}

/// A code that was written from one.
fn code<'a, T: FromStr>(row: &impl Row<'a>, text: &str, name: &str) -> Result<T, Damage> {
    text.parse().map_err(|_| row.damage(format!("{name} cannot be read")))
}

/// Refusals have no number, and change no ticket.
fn add_redemptions(tickets: &mut [Ticket], mut rows: Vec<ScanRow<'_>>) -> Result<(), Damage> {
    rows.retain(|row| row.number.is_some());
    rows.sort_by_key(|row| row.number);
    for row in rows {
        let id = TicketId { order: row.order_id.0, number: row.ticket };
        let ticket = tickets.iter_mut().find(|ticket| ticket.id == id);
        let ticket = ticket.ok_or_else(|| row.damage("its ticket is not there"))?;
        ticket.add_redemption(Redemption {
            session: row.session_id.0,
            request_id: row.request_id.into(),
            location: row.location_code.map(Into::into),
            quantity: needed(&row, row.quantity, "quantity")?,
            at: row.scanned_at,
            code: row.code_token,
        });
    }
    Ok(())
}

fn entry_of(row: &LedgerRow) -> LedgerEntry {
    LedgerEntry {
        kind: row.kind,
        moved_by: match (row.out_trade_no, row.out_refund_no) {
            (Some(payment), Some(refund)) => MovedBy::Refund(payment, refund),
            (Some(payment), None) => MovedBy::Payment(payment),
            (None, _) => MovedBy::Partner,
        },
        amount: Money::new(row.amount_minor, row.currency),
        at: row.booked_at,
    }
}
