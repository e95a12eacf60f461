//! Every table whose rows records carry: the one list of them. Slots are never reused.

use std::collections::BTreeMap;

use crate::announcement::AnnouncementRow;
use crate::batch::followed::BatchFollowerRow;
use crate::batch::rows::{BatchRow, OtaTicketRow};
use crate::catalogue::{
    DepartureOverrideRow, DeviceRow, HolidayRow, LocationRow, MerchantRow, OperatorRow, PartnerAllotmentsRow,
    PartnerRow, PlaceRow, PortRow, PromotionRow, RefundRuleRow, RouteFaresRow, RouteRow, ScheduleRow,
    TemplateEntitlementRow, TemplateRow, TemplateTierRow, VehicleRow,
};
use crate::earlier;
use crate::id_text;
use crate::identity::rows::{AccountRow, PartnerKeyRow, SessionRow, TravellerRow, ValidatorSessionRow};
use crate::inventory::rows::{DepartureRow, HoldRow};
use crate::order::rows::{AttemptRow, LedgerRow, OrderRow, PaymentRow, RefundRow, ScanRow, TicketAuditRow, TicketRow};
use crate::partner::rows::{PartnerDrawRow, PartnerReservationRow};
use crate::quarantine::Notice;
use crate::register::{AuditRow, RevisionRow};
use crate::reservation::ReservationRow;
use crate::row::{Damage, Home, Kind, Message, Row as _, Rows, Table, Unreadable};
use crate::stock::rows::{StockHoldRow, StockRow};
use crate::totals::TotalsRow;
use crate::webhook::rows::{PartnerWebhookRow, WebhookDeliveryRow, WebhookEventRow, WebhooksFollowedRow};

/// By slot.
pub static TABLES: &[&Table] = &[
    DepartureRow::TABLE,
    earlier::HoldRow::TABLE,
    earlier::OrderRow::TABLE,
    earlier::OrderItemRow::TABLE,
    earlier::PassengerRow::TABLE,
    PaymentRow::TABLE,
    earlier::TicketRow::TABLE,
    earlier::RedemptionRow::TABLE,
    earlier::ScanAttemptRow::TABLE,
    TicketAuditRow::TABLE,
    LedgerRow::TABLE,
    AccountRow::TABLE,
    SessionRow::TABLE,
    ValidatorSessionRow::TABLE,
    Notice::TABLE,
    OperatorRow::TABLE,
    PortRow::TABLE,
    PlaceRow::TABLE,
    VehicleRow::TABLE,
    HolidayRow::TABLE,
    RouteRow::TABLE,
    ScheduleRow::TABLE,
    RouteFaresRow::TABLE,
    RefundRow::TABLE,
    AnnouncementRow::TABLE,
    TotalsRow::TABLE,
    AuditRow::TABLE,
    RevisionRow::TABLE,
    TravellerRow::TABLE,
    OrderRow::TABLE,
    HoldRow::TABLE,
    TicketRow::TABLE,
    ScanRow::TABLE,
    AttemptRow::TABLE,
    MerchantRow::TABLE,
    LocationRow::TABLE,
    DeviceRow::TABLE,
    RefundRuleRow::TABLE,
    StockRow::TABLE,
    StockHoldRow::TABLE,
    PromotionRow::TABLE,
    TemplateRow::TABLE,
    TemplateEntitlementRow::TABLE,
    TemplateTierRow::TABLE,
    ReservationRow::TABLE,
    PartnerRow::TABLE,
    PartnerKeyRow::TABLE,
    PartnerAllotmentsRow::TABLE,
    DepartureOverrideRow::TABLE,
    BatchRow::TABLE,
    OtaTicketRow::TABLE,
    BatchFollowerRow::TABLE,
    PartnerReservationRow::TABLE,
    PartnerDrawRow::TABLE,
    PartnerWebhookRow::TABLE,
    WebhookEventRow::TABLE,
    WebhookDeliveryRow::TABLE,
    WebhooksFollowedRow::TABLE,
];

/// Those that a database stores.
pub fn stored() -> impl Iterator<Item = &'static Table> {
    TABLES.iter().copied().filter(|table| table.home == Home::Database)
}

/// The table of a slot. `None`: a later release has written it.
pub fn by_slot(slot: u32) -> Option<&'static Table> {
    let place = TABLES.binary_search_by_key(&slot, |table| table.slot).ok()?;
    TABLES.get(place).copied()
}

/// The newest version among rows: of all rows of a key, the version of its last record. 0: there are none.
pub fn newest_version(rows: &Rows) -> Result<u64, Damage> {
    let mut newest = 0;
    for (slot, image) in rows.images() {
        let Some(table) = by_slot(slot) else { continue };
        let version = table.version(image).map_err(|Unreadable| table.damage(image, "version cannot be read"))?;
        newest = newest.max(version);
    }
    Ok(newest)
}

/// The same rows by the value of this column, in its order: an id is the same as bytes and as text. Rows of tables that
/// lack it are left out.
pub fn split(rows: &Rows, column: &str) -> Result<Vec<Rows>, Damage> {
    let mut parts: BTreeMap<Vec<u8>, Rows> = BTreeMap::new();
    for (slot, image) in rows.images() {
        let Some(table) = by_slot(slot) else { continue };
        let Some(column) = table.column(column) else { continue };
        let value = Message::new(image).bytes(column.tag);
        let value = value.map_err(|Unreadable| table.damage(image, format!("{} cannot be read", column.name)))?;
        let value = value.unwrap_or_default();
        let text = (column.kind == Kind::Uuid).then(|| id_text::of_bytes(value)).flatten();
        let value = text.as_ref().map_or(value, <[u8; id_text::TEXT_LEN]>::as_slice);
        // Without an entry, which would copy the value of every row.
        if let Some(part) = parts.get_mut(value) {
            part.put_image(slot, image);
        } else {
            parts.entry(value.to_vec()).or_default().put_image(slot, image);
        }
    }
    Ok(parts.into_values().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::row::{First, Mark, VERSION};

    /// Readers ask for tags in rising order, and tell images by version.
    #[test]
    fn every_table_has_a_slot_a_key_a_version_and_tags_that_rise() {
        assert!(TABLES.is_sorted_by(|a, b| a.slot < b.slot), "slots are used once");
        assert_eq!(TABLES.iter().map(|table| table.name).collect::<HashSet<_>>().len(), TABLES.len());
        for table in TABLES {
            let name = table.name;
            assert!(table.columns.is_sorted_by(|a, b| a.tag < b.tag), "{name}");
            assert!(table.columns.iter().any(|column| column.is(Mark::Key)), "{name} has a key");
            assert!(table.column(VERSION).is_some(), "{name} has versions");
            assert_eq!(table.home == Home::Earlier, earlier::SLOTS.contains(&table.slot), "{name} is renewed");
            if let First::Marked(mark) = table.first {
                assert!(table.columns.iter().all(|column| column.tag != mark), "{name} marks under a tag of its own");
            }
        }
    }
}
