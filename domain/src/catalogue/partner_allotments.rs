//! What is set aside of packages for a partner (R-OTA-02), put as a whole. The packages' stocks keep to it: they are asked
//! before it is written, and what one of them refuses changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::checks::known;
use super::{Catalogue, Change, Command};
use crate::departure::Channel;
use crate::ids::PartnerCode;
use crate::register::{self, Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table, part};
use crate::stock::{Allotment, LIMIT_MAX, StockId};
use crate::time::Timestamp;

/// Products of one partner: each is a stock that is asked.
const PRODUCTS_MAX: usize = 200;

/// Units of a product, of whatever date.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProductAllotment {
    #[serde(rename = "productId")]
    pub product: u32,
    pub quantity: u32,
}

part!(ProductAllotment { 1 product as "product_id": u32, 2 quantity: u32 }
    => Some(ProductAllotment { product, quantity }));

/// All that is set aside for a partner. Of a product that is not named nothing is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PartnerAllotments {
    #[serde(rename = "partnerId")]
    pub partner: PartnerCode,
    pub allotments: Vec<ProductAllotment>,
}

row! {
    pub struct PartnerAllotmentsRow<'a>: 73 "partner_allotments", First::Unknown;
    1 partner_code [Key]: PartnerCode,
    2 version: u64,
    3 allotments: List<'a, ProductAllotment>,
}

impl Entity for PartnerAllotments {
    type Id = PartnerCode;
    type World = Catalogue;

    const NAME: &'static str = "partner allotments";
    const TABLE: &'static Table = PartnerAllotmentsRow::TABLE;

    fn id(&self) -> &PartnerCode {
        &self.partner
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        known(catalogue.partner(self.partner.as_str()), "partnerId", &self.partner)?;
        ensure(self.allotments.len() <= PRODUCTS_MAX, "allotments", "are too many")?;
        let mut seen = BTreeSet::new();
        for (index, ProductAllotment { product, quantity }) in self.allotments.iter().enumerate() {
            let field = |name: &str| format!("allotments[{index}].{name}");
            known(catalogue.product(*product), field("productId"), product)?;
            ensure(seen.insert(product), field("productId"), "is there twice")?;
            ensure(*quantity <= LIMIT_MAX, field("quantity"), format_args!("is more than {LIMIT_MAX}"))?;
        }
        Ok(())
    }

    /// A partner of whom nothing is set aside has an empty list.
    fn used_by(partner: &PartnerCode, _: &Catalogue) -> Option<String> {
        Some(format!("partner {partner}"))
    }

    fn put_rows(written: &Written<PartnerAllotments>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let PartnerAllotments { partner, allotments } = &**written.after;
        rows.put(&PartnerAllotmentsRow { partner_code: partner.clone(), version, allotments: List::Of(allotments) });
    }

    fn read_rows(rows: &Rows, _: &[PartnerCode]) -> Result<Vec<Entry<PartnerAllotments>>, Damage> {
        let allotments = |row: PartnerAllotmentsRow<'_>| PartnerAllotments {
            partner: row.partner_code,
            allotments: row.allotments.to_vec(),
        };
        rows.of().map(|row| Ok(Entry::uncounted(allotments(row?)))).collect()
    }
}

impl PartnerAllotments {
    fn by_product(&self) -> BTreeMap<u32, (usize, u32)> {
        let places = self.allotments.iter().enumerate();
        places.map(|(index, allotment)| (allotment.product, (index, allotment.quantity))).collect()
    }
}

/// What a stock is asked before allotments are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetAside {
    pub stock: StockId,
    pub channel: Channel,
    pub product: u32,
    /// As it is configured.
    pub before: u32,
    pub after: u32,
    /// Its place in the list that is put; `None`: it is not named there any more.
    index: Option<usize>,
}

impl SetAside {
    pub fn of(&self, quantity: u32) -> Vec<Allotment> {
        vec![Allotment { channel: self.channel.clone(), quantity }]
    }

    /// What the stock refuses, in the words of the configuration.
    pub fn refusal(&self, refused: Rejection) -> Rejection {
        match refused {
            Rejection::Field { message, .. } => {
                let field = |index: usize| format!("allotments[{index}].quantity");
                Rejection::field(self.index.map_or_else(|| "allotments".to_owned(), field), message)
            }
            Rejection::BelowUse { uses } => Rejection::BelowUse { uses: format!("of product {} {uses}", self.product) },
            other => other,
        }
    }
}

impl Catalogue {
    /// What stocks are to set aside before this write can be made, in their order. None: it says nothing of that, is already
    /// so, or is refused.
    pub fn set_aside_by(&self, command: &Command, now: Timestamp) -> Vec<SetAside> {
        let Some(wanted) = command.change.allotments() else { return Vec::new() };
        let event = self.registers.decide(command, self, now);
        if event.is_none_or(|event| event.outcome.is_err()) {
            return Vec::new();
        }
        let after = wanted.by_product();
        let before = self.registers.partner_allotments.get(&wanted.partner);
        let before = before.map(|before| before.by_product()).unwrap_or_default();
        let products: BTreeSet<u32> = before.keys().chain(after.keys()).copied().collect();
        let asked = products.into_iter().filter_map(|product| {
            let (named, quantity) =
                (after.get(&product), |of: Option<&(usize, u32)>| of.map_or(0, |(_, units)| *units));
            Some(SetAside {
                stock: StockId::Package(self.product(product)?.id.clone()),
                channel: Channel::from(&wanted.partner),
                product,
                before: quantity(before.get(&product)),
                after: quantity(named),
                index: named.map(|(index, _)| *index),
            })
        });
        // A stock may differ from the configuration when an earlier write broke off: all are asked, also for what stays.
        let mut asked: Vec<SetAside> = asked.collect();
        asked.sort_unstable_by(|a, b| a.stock.cmp(&b.stock));
        asked
    }

    /// Who has something set aside of a product.
    pub(super) fn partner_of(&self, product: u32) -> Option<&PartnerCode> {
        let mut all = self.registers.partner_allotments.iter();
        let names_it = |all: &&std::sync::Arc<PartnerAllotments>| {
            all.allotments.iter().any(|one| one.product == product && one.quantity > 0)
        };
        all.find(names_it).map(|all| &all.partner)
    }
}

impl Change {
    fn allotments(&self) -> Option<&PartnerAllotments> {
        let Change::PartnerAllotments(change) = self else { return None };
        match change {
            register::Change::Put(content) | register::Change::Restore { content: Some(content), .. } => Some(content),
            // Never edited in part, nor withdrawn.
            register::Change::Restore { content: None, .. }
            | register::Change::Edit(..)
            | register::Change::Withdraw(_) => None,
        }
    }

    /// Whether stocks may have to be asked before it is written.
    pub fn asks_stocks(&self) -> bool {
        self.limits().is_some() || self.allotments().is_some()
    }
}
