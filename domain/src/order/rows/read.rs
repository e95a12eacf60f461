//! From stored rows to the machine.

use std::collections::BTreeMap;

use super::{LedgerRow, OrderItemRow, OrderRow, PassengerRow, PaymentRow, RedemptionRow, RefundRow, Saved, TicketRow};
use crate::departure::Stretch;
use crate::ids::{OutRefundNo, OutTradeNo};
use crate::money::Money;
use crate::order::{
    Contact, Draft, FIRST_EPOCH, Item, LedgerEntry, Passenger, Payment, PaymentState, Prepay, Price, Refund,
    RefundState, SealedDocument, SeatWish,
};
use crate::row::{Damage, Row, Rows};
use crate::ticket::{Journey, Redemption, Ticket};

impl Saved {
    pub(in crate::order) fn from_rows(rows: &Rows) -> Result<Saved, Damage> {
        let row: OrderRow<'_> = rows.only()?;
        let mut items: Vec<OrderItemRow<'_>> = rows.all()?;
        items.sort_by_key(|row| row.item);
        let items = items.into_iter().map(item_of).collect::<Result<Vec<_>, _>>()?;
        let draft = draft_of(&row, rows.all()?);
        let mut payments = rows.of().map(|row| payment_of(&row?)).collect::<Result<Vec<_>, _>>()?;
        payments.sort_by_key(|payment| payment.number);
        let mut refunds = rows.of().map(|row| Refund::from_row(&row?)).collect::<Result<Vec<_>, _>>()?;
        refunds.sort_by_key(|refund| refund.number);
        find_replaced(&mut refunds, &payments);
        let ticket = |row: Result<_, Damage>| ticket_of(row?, &draft, &items);
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

fn draft_of(row: &OrderRow<'_>, mut passengers: Vec<PassengerRow<'_>>) -> Draft {
    passengers.sort_by_key(|passenger| passenger.passenger);
    let lock_ms = row.first_lock_expires_at.ms_since(row.created_at);
    Draft {
        id: row.order_id,
        traveller: row.traveller_id,
        idempotency_key: row.idempotency_key.into(),
        body_hash: row.body_hash,
        locale: row.locale.into(),
        contact: Contact {
            name: row.contact_name.into(),
            phone: row.contact_phone.into(),
            email: row.contact_email.map(Into::into),
        },
        passengers: passengers.iter().map(passenger_of).collect(),
        items: Vec::new(),
        price: Price { total: Money::new(row.total_minor, row.currency), lines: row.price_lines.to_vec() },
        lock_seconds: u32::try_from(lock_ms / 1000).unwrap_or(0),
    }
}

fn item_of(row: OrderItemRow<'_>) -> Result<Item, Damage> {
    let stretch =
        Stretch::new(row.board_stop, row.alight_stop).ok_or_else(|| row.damage("its stops are no stretch"))?;
    let seats: Vec<Box<str>> = row.seat_numbers.to_vec();
    Ok(Item {
        departure: row.departure_id,
        route: row.route_code,
        operator: row.operator_code,
        class: row.class_code,
        stretch,
        board_port: row.board_port,
        alight_port: row.alight_port,
        departs_at: row.departs_at,
        arrives_at: row.arrives_at,
        wish: if row.seats_chosen { SeatWish::Chosen(seats.clone()) } else { SeatWish::Any },
        seats,
    })
}

fn passenger_of(row: &PassengerRow<'_>) -> Passenger {
    let document = match (row.document_kind, row.document_key_version, row.document_sealed, row.document_mask) {
        (Some(kind), Some(key_version), Some(sealed), Some(mask)) => {
            Some(SealedDocument { kind: kind.into(), key_version, ciphertext: sealed.into(), mask: mask.into() })
        }
        _ => None,
    };
    Passenger { name: row.name.into(), kind: row.passenger_type, document }
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

fn ticket_of(row: TicketRow<'_>, draft: &Draft, items: &[Item]) -> Result<Ticket, Damage> {
    let stretch =
        Stretch::new(row.board_stop, row.alight_stop).ok_or_else(|| row.damage("its stops are no stretch"))?;
    let bought = items.iter().position(|item| item.departure == row.departure_id && item.stretch == stretch);
    let item = bought.ok_or_else(|| row.damage("its journey was not bought"))?;
    Ok(Ticket {
        id: row.ticket_id,
        item: item as u16,
        passenger: row.passenger,
        journey: Journey {
            departure: row.departure_id,
            stretch,
            seat: row.seat_number.into(),
            board_port: row.board_port,
            departs_at: row.departs_at,
        },
        merchant: row.merchant_code,
        entitlement: row.entitlement_code,
        total: row.total_uses,
        remaining: row.remaining_uses,
        status: row.status,
        price_minor: draft.share(item, usize::from(row.passenger)),
        issued_at: row.issued_at.unwrap_or(row.valid_from),
        valid_from: row.valid_from,
        valid_until: row.valid_until,
        redemptions: Vec::new(),
    })
}

fn add_redemptions(tickets: &mut [Ticket], mut rows: Vec<RedemptionRow<'_>>) -> Result<(), Damage> {
    rows.sort_by_key(|row| row.number);
    for row in rows {
        let ticket = tickets.iter_mut().find(|ticket| ticket.id == row.ticket_id);
        let ticket = ticket.ok_or_else(|| row.damage("its ticket is not there"))?;
        ticket.redemptions.push(Redemption {
            session: row.session_id,
            request_id: row.request_id.into(),
            location: row.location_code.map(Into::into),
            quantity: row.quantity,
            at: row.redeemed_at,
            code: row.code_token,
        });
    }
    Ok(())
}

fn entry_of(row: &LedgerRow) -> LedgerEntry {
    LedgerEntry {
        kind: row.kind,
        payment: row.out_trade_no,
        refund: row.out_refund_no,
        amount: Money::new(row.amount_minor, row.currency),
        at: row.booked_at,
    }
}
