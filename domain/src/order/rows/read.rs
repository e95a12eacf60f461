//! From stored rows to the machine.

use std::sync::Arc;

use super::{
    LedgerRow, OrderItemRow, OrderRow, OrderRows, PassengerRow, PaymentRow, PriceLineRow, RedemptionRow, RefundRow,
    RowsError, TicketRow,
};
use crate::code::CodeToken;
use crate::departure::Stretch;
use crate::ids::TicketId;
use crate::money::Money;
use crate::order::decide::polls_until;
use crate::order::{
    AfterClose, CancelReason, CloseStep, Contact, Draft, FIRST_EPOCH, Item, LedgerEntry, Order, OrderStatus, Passenger,
    Payment, PaymentState, Price, PriceLine, Refund, RefundState, SealedDocument, SeatWish, Stage,
};
use crate::ticket::{Journey, Redemption, Ticket};
use crate::time::Timestamp;

impl Order {
    /// The order as its rows say. What was under way is derived: a live payment is asked about at once.
    pub fn from_rows(rows: OrderRows, now: Timestamp) -> Result<Order, RowsError> {
        let OrderRows { orders, items, passengers, payments, refunds, tickets, redemptions, ledger, .. } = rows;
        let row = single(orders)?;
        let items = items_of(items)?;
        let draft = draft_of(&row, passengers)?;
        let mut payments = payments.into_iter().map(payment_of).collect::<Result<Vec<_>, _>>()?;
        payments.sort_by_key(|payment| payment.number);
        let mut refunds = refunds.into_iter().map(Refund::from_row).collect::<Result<Vec<_>, _>>()?;
        refunds.sort_by_key(|refund| refund.number);
        let mut tickets = tickets.into_iter().map(ticket_of).collect::<Result<Vec<_>, _>>()?;
        tickets.sort_by_key(|ticket| ticket.id);
        add_redemptions(&mut tickets, redemptions)?;
        let mut ledger = ledger.iter().map(ledger_of).collect::<Result<Vec<_>, _>>()?;
        ledger.sort_by_key(|(number, _)| *number);

        let status: OrderStatus = parse(&row.status)?;
        let cancelled = match (row.cancelled_at, &row.cancel_reason) {
            (Some(at), Some(why)) => Some((Timestamp::from_ms(at), parse(why)?)),
            _ => None,
        };
        // Whether a create call was under way is not known any more: take it that one was, just now.
        let create_called_at = payments.iter().any(|payment| payment.state.is_alive()).then_some(now);
        let mut order = Order {
            items,
            draft: Arc::new(draft),
            status,
            created_at: Timestamp::from_ms(row.created_at),
            first_lock_expires_at: Timestamp::from_ms(row.first_lock_expires_at),
            lock_expires_at: Timestamp::from_ms(row.lock_expires_at),
            seat_epoch: row.seat_epoch.unwrap_or(FIRST_EPOCH),
            payments,
            refunds,
            tickets,
            ledger: ledger.into_iter().map(|(_, entry)| entry).collect(),
            paid_at: row.paid_at.map(Timestamp::from_ms),
            completed_at: row.completed_at.map(Timestamp::from_ms),
            cancelled,
            stage: Stage::Done,
            retry_at: None,
            failures: 0,
            create_called_at,
            query_called_at: None,
            create_unsure: create_called_at.is_some(),
        };
        order.stage = order.stage_at_waking(now);
        Ok(order)
    }

    fn stage_at_waking(&self, now: Timestamp) -> Stage {
        let closing = |then| Stage::Closing { then, step: CloseStep::QueryFirst };
        let live = self.live_payment();
        if self.status != OrderStatus::Pending {
            let seeking = self.seeking_again(now);
            return seeking.unwrap_or_else(|| live.map_or(Stage::Done, |_| closing(AfterClose::Stay)));
        }
        let Some(payment) = live else {
            return if self.is_free_of_charge() { Stage::Settling { capture: None, next: 0 } } else { Stage::Open };
        };
        if now >= payment.time_expire {
            return closing(AfterClose::Cancel(CancelReason::Expired));
        }
        match payment.state {
            PaymentState::Created { .. } => Stage::Payable { polls: polls_until(payment.begun_at, now), polling: true },
            _ => Stage::Extending { next: 0 },
        }
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, RowsError>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| RowsError(format!("{text:?}: {error}")))
}

fn narrow<T: TryFrom<u32>>(number: u32) -> Result<T, RowsError> {
    T::try_from(number).map_err(|_| RowsError(format!("{number} is out of range")))
}

fn single(orders: Vec<OrderRow>) -> Result<OrderRow, RowsError> {
    let count = orders.len();
    orders.into_iter().next().filter(|_| count == 1).ok_or_else(|| RowsError(format!("{count} order rows")))
}

fn money(minor: i64, currency: &str) -> Result<Money, RowsError> {
    Ok(Money::new(minor, parse(currency)?))
}

fn stretch_of(board: u32, alight: u32) -> Result<Stretch, RowsError> {
    Stretch::new(narrow(board)?, narrow(alight)?).ok_or_else(|| RowsError(format!("stretch {board}–{alight}")))
}

fn draft_of(row: &OrderRow, mut passengers: Vec<PassengerRow>) -> Result<Draft, RowsError> {
    passengers.sort_by_key(|passenger| passenger.passenger);
    let lock_ms = row.first_lock_expires_at.saturating_sub(row.created_at);
    Ok(Draft {
        id: parse(&row.order_id)?,
        traveller: parse(&row.traveller_id)?,
        idempotency_key: row.idempotency_key.as_str().into(),
        body_hash: row.body_hash.as_slice().try_into().map_err(|_| RowsError("body hash".to_owned()))?,
        locale: row.locale.as_str().into(),
        contact: Contact {
            name: row.contact_name.as_str().into(),
            phone: row.contact_phone.as_str().into(),
            email: row.contact_email.as_deref().map(Into::into),
        },
        passengers: passengers.into_iter().map(passenger_of).collect::<Result<_, _>>()?,
        items: Vec::new(),
        price: Price {
            total: money(row.total_minor, &row.currency)?,
            lines: row.price_lines.iter().map(price_line_of).collect::<Result<_, _>>()?,
        },
        lock_seconds: u32::try_from(lock_ms / 1000).unwrap_or(0),
    })
}

fn price_line_of(row: &PriceLineRow) -> Result<PriceLine, RowsError> {
    Ok(PriceLine {
        item: narrow(row.item)?,
        kind: parse(&row.passenger_type)?,
        class: parse(&row.seat_class)?,
        count: narrow(row.count)?,
        unit_minor: row.unit_minor,
        discount_minor: row.discount_minor,
        total_minor: row.total_minor,
        explanation: row.explanation.as_str().into(),
    })
}

fn items_of(mut rows: Vec<OrderItemRow>) -> Result<Vec<Item>, RowsError> {
    rows.sort_by_key(|row| row.item);
    rows.into_iter().map(item_of).collect()
}

fn item_of(row: OrderItemRow) -> Result<Item, RowsError> {
    let seats: Vec<Box<str>> = row.seats.into_iter().map(Into::into).collect();
    Ok(Item {
        departure: parse(&row.departure_id)?,
        route: parse(&row.route_code)?,
        operator: parse(&row.operator)?,
        class: parse(&row.seat_class)?,
        stretch: stretch_of(row.board, row.alight)?,
        board_port: parse(&row.board_port)?,
        alight_port: parse(&row.alight_port)?,
        departs_at: Timestamp::from_ms(row.departs_at),
        arrives_at: Timestamp::from_ms(row.arrives_at),
        wish: if row.chosen { SeatWish::Chosen(seats.clone()) } else { SeatWish::Any },
        seats,
    })
}

fn passenger_of(row: PassengerRow) -> Result<Passenger, RowsError> {
    let document = match (row.document_kind, row.document_key_version, row.document_sealed, row.document_mask) {
        (Some(kind), Some(key_version), Some(sealed), Some(mask)) => {
            Some(SealedDocument { kind: kind.into(), key_version, ciphertext: sealed.into(), mask: mask.into() })
        }
        _ => None,
    };
    Ok(Passenger { name: row.name.into(), kind: parse(&row.passenger_type)?, document })
}

fn payment_of(row: PaymentRow) -> Result<Payment, RowsError> {
    let missing = |what: &str| RowsError(format!("payment {} has no {what}", row.out_trade_no));
    let state = match row.state.as_str() {
        "begun" => PaymentState::Begun,
        "created" => PaymentState::Created {
            prepay_id: row.prepay_id.as_deref().ok_or_else(|| missing("prepay id"))?.into(),
            nonce: row.nonce.as_deref().ok_or_else(|| missing("nonce"))?.into(),
            signed_at_seconds: row.signed_at_seconds.ok_or_else(|| missing("signing time"))?,
        },
        "refused" => PaymentState::Refused { code: row.refusal.as_deref().ok_or_else(|| missing("refusal"))?.into() },
        "closed" => PaymentState::Closed,
        "paid" | "paid_late" => {
            let transaction_id = row.transaction_id.as_deref().ok_or_else(|| missing("transaction"))?.into();
            if row.state == "paid" {
                PaymentState::Paid { transaction_id }
            } else {
                PaymentState::PaidLate { transaction_id, paid_at: row.paid_at.map(Timestamp::from_ms) }
            }
        }
        other => return Err(RowsError(format!("payment state {other:?}"))),
    };
    Ok(Payment {
        number: parse(&row.out_trade_no)?,
        total: money(row.total_minor, &row.currency)?,
        body: row.body.into(),
        time_expire: Timestamp::from_ms(row.time_expire),
        hold_expires_at: Timestamp::from_ms(row.hold_expires_at),
        begun_at: Timestamp::from_ms(row.begun_at),
        ended_at: row.ended_at.map(Timestamp::from_ms),
        state,
    })
}

impl Refund {
    /// A refund as its row says.
    pub fn from_row(row: RefundRow) -> Result<Refund, RowsError> {
        let missing = |what: &str| RowsError(format!("refund {} has no {what}", row.out_refund_no));
        let refund_id = || row.refund_id.as_deref().map(Box::from).ok_or_else(|| missing("refund id"));
        let state = match row.state.as_str() {
            "due" => RefundState::Due,
            "begun" => RefundState::Begun,
            "refused" => {
                RefundState::Refused { code: row.refusal.as_deref().ok_or_else(|| missing("refusal"))?.into() }
            }
            "processing" => RefundState::Processing { refund_id: refund_id()? },
            "abnormal" => RefundState::Abnormal { refund_id: refund_id()? },
            "closed" => RefundState::Closed { refund_id: refund_id()? },
            "succeeded" => RefundState::Succeeded {
                refund_id: refund_id()?,
                at: Timestamp::from_ms(row.succeeded_at.ok_or_else(|| missing("time"))?),
            },
            other => return Err(RowsError(format!("refund state {other:?}"))),
        };
        Ok(Refund {
            number: parse(&row.out_refund_no)?,
            payment: parse(&row.out_trade_no)?,
            amount: money(row.amount_minor, &row.currency)?,
            reason: parse(&row.reason)?,
            due_at: Timestamp::from_ms(row.due_at),
            begun_at: row.begun_at.map(Timestamp::from_ms),
            body: row.body.into(),
            state,
            asked_at: None,
        })
    }
}

fn ticket_of(row: TicketRow) -> Result<Ticket, RowsError> {
    Ok(Ticket {
        id: parse(&row.ticket_id)?,
        passenger: narrow(row.passenger)?,
        journey: Journey {
            departure: parse(&row.departure_id)?,
            stretch: stretch_of(row.board, row.alight)?,
            seat: row.seat.into(),
            board_port: parse(&row.board_port)?,
            departs_at: Timestamp::from_ms(row.departs_at),
        },
        merchant: parse(&row.merchant)?,
        entitlement: parse(&row.entitlement)?,
        total: narrow(row.total)?,
        remaining: narrow(row.remaining)?,
        status: parse(&row.status)?,
        valid_from: Timestamp::from_ms(row.valid_from),
        valid_until: Timestamp::from_ms(row.valid_until),
        redemptions: Vec::new(),
    })
}

fn add_redemptions(tickets: &mut [Ticket], mut rows: Vec<RedemptionRow>) -> Result<(), RowsError> {
    rows.sort_by_key(|row| row.number);
    for row in rows {
        let id: TicketId = parse(&row.ticket_id)?;
        let ticket = tickets
            .iter_mut()
            .find(|ticket| ticket.id == id)
            .ok_or_else(|| RowsError(format!("redemption of unknown ticket {id}")))?;
        ticket.redemptions.push(Redemption {
            session: parse(&row.session_id)?,
            request_id: row.request_id.into(),
            location: row.location.map(Into::into),
            quantity: narrow(row.quantity)?,
            at: Timestamp::from_ms(row.redeemed_at),
            code: row.code_token.map(|bits| CodeToken::from_bits(bits.cast_unsigned())),
        });
    }
    Ok(())
}

fn ledger_of(row: &LedgerRow) -> Result<(u32, LedgerEntry), RowsError> {
    let entry = LedgerEntry {
        kind: parse(&row.kind)?,
        payment: parse(&row.out_trade_no)?,
        refund: row.out_refund_no.as_deref().map(parse).transpose()?,
        amount: money(row.amount_minor, &row.currency)?,
        at: Timestamp::from_ms(row.at),
    };
    Ok((row.number, entry))
}
