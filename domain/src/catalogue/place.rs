//! Cities and districts in which travellers search. One port may belong to several places.

use serde::{Deserialize, Serialize};

use super::checks::{self, known, line};
use super::{Catalogue, Names};
use crate::ids::{PlaceCode, PortCode};
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, List, Row as _, Rows, Table};

/// Other spellings of a place.
const ALIASES_MAX: usize = 32;
/// A search looks at every pair of two places' ports.
const PORTS_MAX: usize = 64;

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub code: PlaceCode,
    #[serde(rename = "name")]
    pub names: Names,
    /// Other spellings, such as the simplified characters of a traditional name.
    pub aliases: Vec<String>,
    pub ports: Vec<PortCode>,
    /// Places with more weight stand first among the hot cities; 0 is not hot.
    pub hot_weight: u32,
}

impl Place {
    /// What a traveller may type for it, in lower case.
    pub fn spellings(&self) -> impl Iterator<Item = String> {
        let names = [self.code.as_str(), &self.names.zh, &self.names.en];
        names.into_iter().chain(self.aliases.iter().map(String::as_str)).map(|name| name.trim().to_lowercase())
    }
}

row! {
    pub struct PlaceRow<'a>: 18 "places", First::Unknown;
    1 place_code [Key]: PlaceCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
    5 aliases: List<'a, String>,
    6 ports: List<'a, PortCode>,
    7 hot_weight: u32,
}

impl Entity for Place {
    type Id = PlaceCode;
    type World = Catalogue;

    const NAME: &'static str = "place";
    const TABLE: &'static Table = PlaceRow::TABLE;

    fn id(&self) -> &PlaceCode {
        &self.code
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        ensure(self.aliases.len() <= ALIASES_MAX, "aliases", "are too many")?;
        for (index, alias) in self.aliases.iter().enumerate() {
            line(&format!("aliases[{index}]"), alias)?;
        }
        for spelling in self.spellings() {
            if let Some(other) = catalogue.place(&spelling).filter(|other| other.code != self.code) {
                return Err(Rejection::field("name", format!("{spelling} is already {}", other.code)));
            }
        }
        ensure(self.ports.len() <= PORTS_MAX, "ports", "are too many")?;
        for (index, port) in self.ports.iter().enumerate() {
            let field = format!("ports[{index}]");
            known(catalogue.port(port.as_str()), &field, port)?;
            ensure(!self.ports.iter().take(index).any(|earlier| earlier == port), &field, "is there twice")?;
        }
        Ok(())
    }

    fn used_by(code: &PlaceCode, catalogue: &Catalogue) -> Option<String> {
        catalogue.template_that(|template| template.places.contains(code))
    }

    fn put_rows(written: &Written<Place>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let place = &written.after.content;
        rows.put(&PlaceRow {
            place_code: place.code.clone(),
            version,
            name_zh: &place.names.zh,
            name_en: &place.names.en,
            aliases: List::Of(&place.aliases),
            ports: List::Of(&place.ports),
            hot_weight: place.hot_weight,
        });
    }

    fn read_rows(rows: &Rows, _: &[PlaceCode]) -> Result<Vec<Entry<Place>>, Damage> {
        let place = |row: PlaceRow<'_>| Place {
            code: row.place_code,
            names: Names::new(row.name_zh, row.name_en),
            aliases: row.aliases.to_vec(),
            ports: row.ports.to_vec(),
            hot_weight: row.hot_weight,
        };
        rows.of().map(|row| Ok(Entry::uncounted(place(row?)))).collect()
    }
}
