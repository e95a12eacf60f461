//! Partners, and what is set aside for each (R-OTA-01, R-OTA-02).

use std::sync::Arc;

use deeptravel_actors::engine::Owners;
use deeptravel_domain::catalogue::{Catalogue, Names, Partner, PartnerAllotments, ProductAllotment};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::ids::PartnerCode;
use deeptravel_domain::register::{Change, Entity as _};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::StockId;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::configuration::{self, Kind, NamesView, same_id};
use crate::api::frame::{Problem, Routes, SeePartners};

const PARTNER: &str = "partnerId";

pub fn routes(routes: &mut Routes<'_, '_>) {
    configuration::mount_for::<PartnerAllotments, SeePartners>(routes);
    configuration::mount_for::<Partner, SeePartners>(routes);
}

/// The partner of a path. Errors: `NOT_CONFIGURED`.
pub fn known(catalogue: &Catalogue, id: &str) -> Result<Arc<Partner>, Problem> {
    let unknown = || Rejection::NotConfigured { entity: Partner::NAME, id: id.to_owned() };
    let known = catalogue.partner(id).cloned();
    known.ok_or_else(|| Problem::from(unknown()).naming(PARTNER, "is not configured"))
}

/// Who sells packages under its own name.
#[derive(Deserialize, ToSchema)]
#[schema(as = Partner)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartnerBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "klook")]
    partner_id: Option<PartnerCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    /// Whom to call, on one line.
    #[schema(max_length = 200)]
    contact: String,
    /// None of its keys is good any more.
    #[serde(default)]
    disabled: bool,
}

impl Kind for Partner {
    type Body = PartnerBody;
    type Shown = PartnerBody;
    type Listed = PartnerBody;

    const ITEM: &'static str = "/admin/ota/partners/{partnerId}";
    const LIST: Option<&'static str> = Some("partners");
    const ONE: &'static str = "a partner";
    const PUT: &'static str = "Tickets name it for ever: it is not withdrawn but disabled.";
    const ENDS: bool = false;

    fn change(id: PartnerCode, body: PartnerBody) -> Result<Change<Partner>, Problem> {
        same_id(PARTNER, &id, body.partner_id.as_ref())?;
        Ok(Partner { id, names: body.name, contact: body.contact, disabled: body.disabled }.into())
    }
}

/// All that is set aside for a partner. Of a product that is not named nothing is.
#[derive(Deserialize, ToSchema)]
#[schema(as = PartnerAllotments)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AllotmentsBody {
    /// As in the path.
    #[schema(value_type = Option<String>)]
    partner_id: Option<PartnerCode>,
    #[schema(max_items = 200)]
    allotments: Vec<AllotmentBody>,
}

/// Units of a product.
#[derive(Deserialize, ToSchema)]
#[schema(as = PartnerAllotment)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct AllotmentBody {
    #[schema(example = 106)]
    product_id: u32,
    #[schema(maximum = 1_000_000_000)]
    quantity: u32,
}

/// What is set aside for a partner, and what is left of it.
#[derive(ToSchema)]
#[schema(as = PartnerAllotmentsShown, rename_all = "camelCase")]
#[allow(dead_code)] // the document alone reads it
pub struct AllotmentsView {
    partner_id: String,
    allotments: Vec<AllotmentView>,
}

#[derive(ToSchema)]
#[schema(as = PartnerAllotmentShown, rename_all = "camelCase")]
#[allow(dead_code)] // as above
struct AllotmentView {
    product_id: u32,
    quantity: u32,
    /// Units that the partner has neither reserved nor made tickets of.
    available: u32,
}

impl Kind for PartnerAllotments {
    type Body = AllotmentsBody;
    type Shown = AllotmentsView;
    type Listed = AllotmentsView;

    const ITEM: &'static str = "/admin/ota/partners/{partnerId}/allotments";
    const LIST: Option<&'static str> = None;
    const ONE: &'static str = "what is set aside for a partner";
    const PUT: &'static str = "409 `BELOW_USE` for less than the partner has in use; then nothing changes.";
    const ENDS: bool = false;
    const ALONE: Option<&'static str> = Some("allotments");

    fn change(partner: PartnerCode, body: AllotmentsBody) -> Result<Change<PartnerAllotments>, Problem> {
        same_id(PARTNER, &partner, body.partner_id.as_ref())?;
        let allotments = body.allotments.into_iter();
        let allotments = allotments.map(|of| ProductAllotment { product: of.product_id, quantity: of.quantity });
        Ok(PartnerAllotments { partner, allotments: allotments.collect() }.into())
    }

    fn live(&self, owners: &Owners, shown: &mut Map<String, Value>) {
        let (catalogue, channel) = (owners.catalogue.load(), Channel::from(&self.partner));
        let Some(Value::Array(allotments)) = shown.get_mut("allotments") else { return };
        for (allotment, said) in self.allotments.iter().zip(allotments) {
            let template = catalogue.product(allotment.product);
            let left = template
                .and_then(|template| owners.stock_board.left(&StockId::Package(template.id.clone()), None, &channel));
            if let Value::Object(said) = said {
                said.insert("available".to_owned(), left.unwrap_or(allotment.quantity).into());
            }
        }
    }
}
