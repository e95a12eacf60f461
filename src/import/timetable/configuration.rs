//! What else is configured, in the words of the API: rules of sale, who redeems, packages, promotions, and partners with what
//! is set aside for them.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::Context;
use deeptravel_domain::catalogue::{Command, Device, Location, Merchant, Partner, PartnerAllotments, Template};
use deeptravel_domain::promotion::Promotion;
use deeptravel_domain::refund_rule::RefundRule;
use serde::Deserialize;

use super::put;

const FILE: &str = "configuration.json";

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Configured {
    refund_rules: Vec<RefundRule>,
    merchants: Vec<Merchant>,
    locations: Vec<Location>,
    devices: Vec<Device>,
    templates: Vec<Template>,
    promotions: Vec<Promotion>,
    partners: Vec<Partner>,
    partner_allotments: Vec<PartnerAllotments>,
}

/// The file may be missing.
pub fn read(dir: &Path) -> anyhow::Result<Configured> {
    match fs::read_to_string(dir.join(FILE)) {
        Ok(text) => serde_json::from_str(&text).context(FILE),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Configured::default()),
        Err(error) => Err(error).context(FILE),
    }
}

impl Configured {
    /// Rules come before the routes that are sold under them.
    pub fn rules(&mut self) -> impl Iterator<Item = Command> {
        std::mem::take(&mut self.refund_rules).into_iter().map(put)
    }

    /// Locations come after the ports that they are at, packages after routes and whoever redeems them, promotions and
    /// what is set aside for partners after packages.
    pub fn rest(self) -> impl Iterator<Item = Command> {
        let merchants = self.merchants.into_iter().map(put);
        let redeemers = merchants.chain(self.locations.into_iter().map(put)).chain(self.devices.into_iter().map(put));
        let sold = self.templates.into_iter().map(put).chain(self.promotions.into_iter().map(put));
        let partners = self.partners.into_iter().map(put).chain(self.partner_allotments.into_iter().map(put));
        redeemers.chain(sold).chain(partners)
    }
}
