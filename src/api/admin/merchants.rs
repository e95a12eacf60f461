//! Merchants, whose staff redeems (R-ADMIN-05).

use deeptravel_domain::catalogue::{Merchant, Names};
use deeptravel_domain::ids::MerchantCode;
use deeptravel_domain::register::Change;
use serde::Deserialize;
use utoipa::ToSchema;

use super::configuration::{Kind, NamesView, same_id};
use crate::api::frame::Problem;

/// A merchant whose staff redeems tickets.
#[derive(Deserialize, ToSchema)]
#[schema(as = Merchant)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MerchantBody {
    /// As in the path.
    #[schema(value_type = Option<String>, example = "museum")]
    merchant_id: Option<MerchantCode>,
    #[schema(value_type = NamesView)]
    name: Names,
    /// Whom to call, on one line.
    #[schema(max_length = 200)]
    contact: Option<String>,
}

impl Kind for Merchant {
    type Body = MerchantBody;
    type Shown = MerchantBody;
    type Listed = MerchantBody;

    const ITEM: &'static str = "/admin/merchants/{merchantId}";
    const LIST: Option<&'static str> = Some("merchants");
    const ONE: &'static str = "a merchant";

    fn change(id: MerchantCode, body: MerchantBody) -> Result<Change<Merchant>, Problem> {
        same_id("merchantId", &id, body.merchant_id.as_ref())?;
        Ok(Merchant { id, names: body.name, contact: body.contact }.into())
    }
}
