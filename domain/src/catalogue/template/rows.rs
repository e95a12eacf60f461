//! A template's rows, in three tables: every version has its own, for ever.

use std::collections::BTreeMap;

use jiff::civil::Date;

use super::{IncludedJourney, StockLimits, Template, TemplateStatus, Tier};
use crate::catalogue::{Names, RulesByChannel, Zone};
use crate::fare::DayType;
use crate::ids::{EntitlementCode, LocationCode, MerchantCode, PlaceCode, RuleCode, TemplateId};
use crate::money::{Currency, Money};
use crate::package::{EntitlementTerms, RedemptionChannel, Validity};
use crate::party::PassengerType;
use crate::register::Entry;
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows};
use crate::time::Timestamp;

row! {
    pub struct TemplateRow<'a>: 60 "package_templates", First::Unknown;
    1 template_id [Key]: TemplateId,
    2 template_version [Key]: u32,
    3 version: u64,
    4 since: Timestamp,
    5 name_zh: &'a str,
    6 name_en: &'a str,
    /// As the client named it. Absent: its content's hash is its name.
    7 version_token: Option<&'a str>,
    8 client_token: Option<&'a str>,
    /// SHA-256.
    9 content_hash: [u8; 32],
    10 status: TemplateStatus,
    11 description_zh: Option<&'a str>,
    12 description_en: Option<&'a str>,
    13 product_id: Option<u32>,
    14 places: List<'a, PlaceCode>,
    15 journeys: List<'a, IncludedJourney>,
    16 stock_total: Option<u32>,
    17 stock_per_date: Option<u32>,
    18 blackout_dates: List<'a, Date>,
    19 refund_rule_direct: Option<RuleCode>,
    20 refund_rule_ota: Option<RuleCode>,
    /// Absent: where we sell.
    21 time_zone: Option<Zone>,
}

row! {
    pub struct TemplateEntitlementRow<'a>: 61 "template_entitlements", First::Unknown;
    1 template_id [Key]: TemplateId,
    2 template_version [Key]: u32,
    /// Its place in the template, from 0.
    3 number [Key]: u16,
    4 version: u64,
    5 entitlement_code: EntitlementCode,
    6 name_zh: &'a str,
    7 name_en: &'a str,
    8 quantity: u16,
    /// Absent: every merchant's.
    9 merchant_id: Option<MerchantCode>,
    /// Empty: at all of the merchant's.
    10 location_ids: List<'a, LocationCode>,
    11 redemption_channel: RedemptionChannel,
    12 requires_identity: bool,
    13 shared: bool,
    14 share_weight: u32,
    15 validity: Option<Validity>,
}

row! {
    pub struct TemplateTierRow: 62 "template_pricing_tiers", First::Unknown;
    1 template_id [Key]: TemplateId,
    2 template_version [Key]: u32,
    /// Its place in the template, from 0.
    3 number [Key]: u16,
    4 version: u64,
    5 passenger_type: PassengerType,
    6 min_party: u16,
    7 day_type: DayType,
    8 price_minor: i64,
    9 currency: Currency,
}

/// The rows of one version.
pub fn put(entry: &Entry<Template>, version: u64, rows: &mut Rows) {
    let Entry { content: template, revision, since, .. } = entry;
    let blackout: Vec<Date> = template.blackout.iter().copied().collect();
    rows.put(&TemplateRow {
        template_id: template.id.clone(),
        template_version: *revision,
        version,
        since: *since,
        name_zh: &template.names.zh,
        name_en: &template.names.en,
        version_token: template.version_token.as_deref(),
        client_token: template.client_token.as_deref(),
        content_hash: template.digest(),
        status: template.status,
        description_zh: template.description.as_ref().map(|names| &*names.zh),
        description_en: template.description.as_ref().map(|names| &*names.en),
        product_id: template.product,
        places: List::Of(&template.places),
        journeys: List::Of(&template.journeys),
        stock_total: template.stock.total,
        stock_per_date: template.stock.per_date,
        blackout_dates: List::Of(&blackout),
        refund_rule_direct: template.refund_rules.direct.clone(),
        refund_rule_ota: template.refund_rules.ota.clone(),
        time_zone: template.time_zone.clone(),
    });
    for (entitlement, number) in template.entitlements.iter().zip(0..) {
        rows.put(&TemplateEntitlementRow {
            template_id: template.id.clone(),
            template_version: *revision,
            number,
            version,
            entitlement_code: entitlement.code.clone(),
            name_zh: &entitlement.names.zh,
            name_en: &entitlement.names.en,
            quantity: entitlement.quantity,
            merchant_id: entitlement.merchant.clone(),
            location_ids: List::Of(&entitlement.locations),
            redemption_channel: entitlement.channel,
            requires_identity: entitlement.requires_identity,
            shared: entitlement.shared,
            share_weight: entitlement.weight,
            validity: Some(entitlement.validity),
        });
    }
    for (tier, number) in template.tiers.iter().zip(0..) {
        let Tier { passenger_type, min_party, day_type, price } = *tier;
        rows.put(&TemplateTierRow {
            template_id: template.id.clone(),
            template_version: *revision,
            number,
            version,
            passenger_type,
            min_party,
            day_type,
            price_minor: price.minor,
            currency: price.currency,
        });
    }
}

/// A version of a template.
type Which = (TemplateId, u32);

/// Of every template the newest version.
pub fn read(rows: &Rows) -> Result<Vec<Entry<Template>>, Damage> {
    let mut entitlements: BTreeMap<Which, BTreeMap<u16, EntitlementTerms>> = BTreeMap::new();
    for row in rows.of() {
        let row: TemplateEntitlementRow<'_> = row?;
        let which = (row.template_id.clone(), row.template_version);
        entitlements.entry(which).or_default().insert(row.number, entitlement_of(row)?);
    }
    let mut tiers: BTreeMap<Which, BTreeMap<u16, Tier>> = BTreeMap::new();
    for row in rows.of() {
        let row: TemplateTierRow = row?;
        let price = Money::new(row.price_minor, row.currency);
        let TemplateTierRow { passenger_type, min_party, day_type, .. } = row;
        let tier = Tier { passenger_type, min_party, day_type, price };
        tiers.entry((row.template_id, row.template_version)).or_default().insert(row.number, tier);
    }
    let mut newest: BTreeMap<TemplateId, TemplateRow<'_>> = BTreeMap::new();
    for row in rows.of() {
        let row: TemplateRow<'_> = row?;
        if newest.get(&row.template_id).is_none_or(|newer| newer.template_version < row.template_version) {
            newest.insert(row.template_id.clone(), row);
        }
    }
    let entry = |row: TemplateRow<'_>| {
        let which = (row.template_id.clone(), row.template_version);
        let entitlements = entitlements.remove(&which).unwrap_or_default().into_values().collect();
        let tiers = tiers.remove(&which).unwrap_or_default().into_values().collect();
        entry_of(row, entitlements, tiers)
    };
    Ok(newest.into_values().map(entry).collect())
}

fn entry_of(row: TemplateRow<'_>, entitlements: Vec<EntitlementTerms>, tiers: Vec<Tier>) -> Entry<Template> {
    let template = Template {
        id: row.template_id,
        names: Names::new(row.name_zh, row.name_en),
        version_token: row.version_token.map(str::to_owned),
        client_token: row.client_token.map(str::to_owned),
        status: row.status,
        description: row.description_zh.zip(row.description_en).map(|(zh, en)| Names::new(zh, en)),
        product: row.product_id,
        places: row.places.to_vec(),
        journeys: row.journeys.to_vec(),
        entitlements,
        tiers,
        stock: StockLimits { total: row.stock_total, per_date: row.stock_per_date },
        blackout: row.blackout_dates.to_vec().into_iter().collect(),
        refund_rules: RulesByChannel { direct: row.refund_rule_direct, ota: row.refund_rule_ota },
        time_zone: row.time_zone,
    };
    Entry { revision: row.template_version, since: row.since, ..Entry::uncounted(template) }
}

fn entitlement_of(row: TemplateEntitlementRow<'_>) -> Result<EntitlementTerms, Damage> {
    let validity = row.validity.ok_or_else(|| row.damage("it is valid at no time"))?;
    Ok(EntitlementTerms {
        code: row.entitlement_code,
        names: Names::new(row.name_zh, row.name_en),
        quantity: row.quantity,
        merchant: row.merchant_id,
        locations: row.location_ids.to_vec(),
        channel: row.redemption_channel,
        requires_identity: row.requires_identity,
        shared: row.shared,
        weight: row.share_weight,
        validity,
    })
}
