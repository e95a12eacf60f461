//! A template as people speak of it, in the words of the API.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{IncludedJourney, StockLimits, Template, TemplateStatus, Tier};
use crate::catalogue::checks::line;
use crate::catalogue::{Names, RulesByChannel, Zone};
use crate::departure::Stretch;
use crate::fare::DayType;
use crate::ids::{EntitlementCode, LocationCode, MerchantCode, PlaceCode, RouteCode, SeatClassCode, as_text};
use crate::money::Amount;
use crate::package::{Bound, EntitlementTerms, RedemptionChannel, StartsAt, Validity, ValidityKind};
use crate::party::PassengerType;
use crate::rejection::{Rejection, ensure};

/// Longest token of a client, in bytes.
const TOKEN_LEN_MAX: usize = 64;

/// What a client puts, its fields readable each for itself; [`Template::try_from`] says whether they go together.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpokenTemplate {
    #[serde(rename = "name")]
    names: Names,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    version_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_token: Option<String>,
    #[serde(with = "as_text")]
    status: TemplateStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Names>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    product_id: Option<u32>,
    #[serde(default)]
    places: Vec<PlaceCode>,
    #[serde(default)]
    journeys: Vec<SpokenJourney>,
    #[serde(default)]
    entitlements: Vec<SpokenEntitlement>,
    tiers: Vec<SpokenTier>,
    #[serde(default)]
    stock: StockLimits,
    #[serde(default)]
    blackout_dates: Vec<Date>,
    #[serde(default, skip_serializing_if = "RulesByChannel::is_empty")]
    refund_rules: RulesByChannel,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    time_zone: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokenJourney {
    route_code: RouteCode,
    seat_class: SeatClassCode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from_stop: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    to_stop: Option<u8>,
    #[serde(default)]
    day_offset: u8,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokenEntitlement {
    code: EntitlementCode,
    #[serde(rename = "name")]
    names: Names,
    quantity: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merchant_id: Option<MerchantCode>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    location_ids: Vec<LocationCode>,
    #[serde(with = "as_text")]
    redemption_channel: RedemptionChannel,
    requires_identity: bool,
    shared: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    share_weight: Option<u32>,
    validity: SpokenValidity,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokenValidity {
    #[serde(with = "as_text")]
    kind: ValidityKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Bound>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    days: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none", with = "maybe_text")]
    starts_at: Option<StartsAt>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct SpokenTier {
    #[serde(with = "as_text")]
    passenger_type: PassengerType,
    min_party: u16,
    #[serde(default, with = "as_text")]
    day_type: DayType,
    price: Amount,
}

/// For `serde(with)`: as [`as_text`], of what may be left out.
mod maybe_text {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::{StartsAt, as_text};

    #[derive(Serialize, Deserialize)]
    struct Text(#[serde(with = "as_text")] StartsAt);

    #[allow(clippy::ref_option, clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub fn serialize<S: Serializer>(value: &Option<StartsAt>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Text).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<StartsAt>, D::Error> {
        Ok(Option::<Text>::deserialize(deserializer)?.map(|text| text.0))
    }
}

impl From<Template> for SpokenTemplate {
    fn from(template: Template) -> SpokenTemplate {
        SpokenTemplate {
            names: template.names,
            version_token: template.version_token,
            client_token: template.client_token,
            status: template.status,
            description: template.description,
            product_id: template.product,
            places: template.places,
            journeys: template.journeys.into_iter().map(spoken_journey).collect(),
            entitlements: template.entitlements.into_iter().map(spoken_entitlement).collect(),
            tiers: template.tiers.into_iter().map(spoken_tier).collect(),
            stock: template.stock,
            blackout_dates: template.blackout.into_iter().collect(),
            refund_rules: template.refund_rules,
            time_zone: template.time_zone.map(|zone| zone.name().to_owned()),
        }
    }
}

fn spoken_journey(journey: IncludedJourney) -> SpokenJourney {
    let IncludedJourney { route: route_code, class: seat_class, stretch, day_offset } = journey;
    let (from_stop, to_stop) = stretch.map(|Stretch { board, alight }| (board, alight)).unzip();
    SpokenJourney { route_code, seat_class, from_stop, to_stop, day_offset }
}

fn spoken_entitlement(entitlement: EntitlementTerms) -> SpokenEntitlement {
    SpokenEntitlement {
        code: entitlement.code,
        names: entitlement.names,
        quantity: entitlement.quantity,
        merchant_id: entitlement.merchant,
        location_ids: entitlement.locations,
        redemption_channel: entitlement.channel,
        requires_identity: entitlement.requires_identity,
        shared: entitlement.shared,
        share_weight: Some(entitlement.weight).filter(|weight| *weight > 0),
        validity: spoken_validity(entitlement.validity),
    }
}

fn spoken_validity(validity: Validity) -> SpokenValidity {
    let kind = validity.kind();
    match validity {
        Validity::Absolute { from, until } => {
            SpokenValidity { kind, from: Some(from), until: Some(until), days: None, starts_at: None }
        }
        Validity::Relative { days, starts, until } => {
            SpokenValidity { kind, from: None, until, days: Some(days), starts_at: Some(starts) }
        }
    }
}

fn spoken_tier(tier: Tier) -> SpokenTier {
    let Tier { passenger_type, min_party, day_type, price } = tier;
    SpokenTier { passenger_type, min_party, day_type, price: price.into() }
}

impl TryFrom<SpokenTemplate> for Template {
    type Error = Rejection;

    /// Errors name the field.
    fn try_from(spoken: SpokenTemplate) -> Result<Template, Rejection> {
        check_token("versionToken", spoken.version_token.as_deref())?;
        check_token("clientToken", spoken.client_token.as_deref())?;
        let trimmed = |names: Names| Names::new(names.zh.trim(), names.en.trim());
        let names = trimmed(spoken.names);
        let journeys = spoken.journeys.into_iter().enumerate().map(journey_of).collect::<Result<_, _>>()?;
        let entitlements = spoken.entitlements.into_iter().enumerate().map(entitlement_of).collect::<Result<_, _>>()?;
        let blackout: BTreeSet<Date> = spoken.blackout_dates.iter().copied().collect();
        ensure(blackout.len() == spoken.blackout_dates.len(), "blackoutDates", "names a date twice")?;
        let zone = |name: String| Zone::named(&name).map_err(|error| Rejection::field("timeZone", error.to_string()));
        Ok(Template {
            id: Template::id_of(&names),
            names,
            version_token: spoken.version_token,
            client_token: spoken.client_token,
            status: spoken.status,
            description: spoken.description,
            product: spoken.product_id,
            places: spoken.places,
            journeys,
            entitlements,
            tiers: spoken.tiers.into_iter().map(tier_of).collect(),
            stock: spoken.stock,
            blackout,
            refund_rules: spoken.refund_rules,
            time_zone: spoken.time_zone.map(zone).transpose()?,
        })
    }
}

/// Here, because what repeats a write is not looked at further.
fn check_token(field: &str, token: Option<&str>) -> Result<(), Rejection> {
    let Some(token) = token else { return Ok(()) };
    line(field, token)?;
    ensure(token.len() <= TOKEN_LEN_MAX, field, "is too long")
}

fn journey_of((index, spoken): (usize, SpokenJourney)) -> Result<IncludedJourney, Rejection> {
    let SpokenJourney { route_code: route, seat_class: class, from_stop, to_stop, day_offset } = spoken;
    let stretch = match (from_stop, to_stop) {
        (None, None) => None,
        (Some(board), Some(alight)) => Some(Stretch::new(board, alight).ok_or("is not a later stop")),
        (None, Some(_)) | (Some(_), None) => Some(Err("needs fromStop, and the other way round")),
    };
    let stretch = stretch.transpose().map_err(|wrong| Rejection::field(format!("journeys[{index}].toStop"), wrong))?;
    Ok(IncludedJourney { route, class, stretch, day_offset })
}

fn entitlement_of((index, spoken): (usize, SpokenEntitlement)) -> Result<EntitlementTerms, Rejection> {
    let validity = validity_of(&spoken.validity)
        .map_err(|(field, wrong)| Rejection::field(format!("entitlements[{index}].validity.{field}"), wrong))?;
    Ok(EntitlementTerms {
        code: spoken.code,
        names: spoken.names,
        quantity: spoken.quantity,
        merchant: spoken.merchant_id,
        locations: spoken.location_ids,
        channel: spoken.redemption_channel,
        requires_identity: spoken.requires_identity,
        shared: spoken.shared,
        weight: spoken.share_weight.unwrap_or(0),
        validity,
    })
}

/// What its kind needs has to be there, and nothing that it does not know. Errors: the field, and what is wrong with it.
fn validity_of(spoken: &SpokenValidity) -> Result<Validity, (&'static str, &'static str)> {
    const MISSING: &str = "is missing";
    const STRAY: &str = "does not go with this kind of validity";
    let SpokenValidity { kind, from, until, days, starts_at } = *spoken;
    match kind {
        ValidityKind::Absolute => {
            let stray = days.map(|_| "days").or(starts_at.map(|_| "startsAt"));
            stray.map_or(Ok(()), |field| Err((field, STRAY)))?;
            Ok(Validity::Absolute { from: from.ok_or(("from", MISSING))?, until: until.ok_or(("until", MISSING))? })
        }
        ValidityKind::Relative => {
            from.map_or(Ok(()), |_| Err(("from", STRAY)))?;
            let starts = starts_at.unwrap_or(StartsAt::Payment);
            Ok(Validity::Relative { days: days.ok_or(("days", MISSING))?, starts, until })
        }
    }
}

fn tier_of(spoken: SpokenTier) -> Tier {
    let SpokenTier { passenger_type, min_party, day_type, price } = spoken;
    Tier { passenger_type, min_party, day_type, price: price.into() }
}
