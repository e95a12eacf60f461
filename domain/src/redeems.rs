//! What an operator redeems, as the account says it when a ticket is scanned (R-SCAN-04).

use std::collections::BTreeSet;

use crate::catalogue::Catalogue;
use crate::ids::{EntitlementCode, LocationCode, MerchantCode};
use crate::rejection::{Rejection, ensure};

/// Most locations, and most entitlements, of one operator.
const LIST_MAX: usize = 200;

/// Clones of an `Arc` of it go with every scan.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redeems {
    /// The only merchant whose tickets; `None`: every merchant's.
    pub merchant: Option<MerchantCode>,
    /// The only locations, ports among them; empty: any.
    pub locations: BTreeSet<LocationCode>,
    /// The only entitlements; empty: any.
    pub entitlements: BTreeSet<EntitlementCode>,
}

impl Redeems {
    pub fn of_merchant(&self, merchant: &MerchantCode) -> bool {
        self.merchant.as_ref().is_none_or(|own| own == merchant)
    }

    /// `None`: a session that does not say where it is.
    pub fn at(&self, location: Option<&LocationCode>) -> bool {
        self.locations.is_empty() || location.is_some_and(|location| self.locations.contains(location))
    }

    pub fn entitled(&self, entitlement: &EntitlementCode) -> bool {
        self.entitlements.is_empty() || self.entitlements.contains(entitlement)
    }

    /// Whether all that it names is configured now. What goes later only means that nothing is redeemed there.
    pub fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        if let Some(merchant) = &self.merchant {
            // A carrier is a merchant without being configured as one.
            let id = merchant.as_str();
            let is_known = catalogue.merchant(id).is_some() || catalogue.operator(id).is_some();
            ensure(is_known, "merchantId", format_args!("{id} is not known"))?;
        }
        ensure(self.locations.len() <= LIST_MAX, "locationIds", format_args!("more than {LIST_MAX}"))?;
        for (index, location) in self.locations.iter().enumerate() {
            let field = format!("locationIds[{index}]");
            ensure(catalogue.has_location(location), &field, format_args!("{location} is not known"))?;
            let is_own = catalogue.merchant_of(location).is_none_or(|owner| self.of_merchant(owner));
            ensure(is_own, &field, format_args!("{location} is another merchant's"))?;
        }
        ensure(self.entitlements.len() <= LIST_MAX, "entitlementCodes", format_args!("more than {LIST_MAX}"))
    }
}
