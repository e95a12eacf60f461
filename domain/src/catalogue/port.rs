//! Terminals and border crossings where departures stop.

use serde::{Deserialize, Serialize};

use super::location::stands_for;
use super::{Catalogue, Names, checks};
use crate::ids::PortCode;
use crate::register::{Entity, Entry, Written};
use crate::rejection::{Rejection, ensure};
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    pub code: PortCode,
    #[serde(rename = "name")]
    pub names: Names,
}

row! {
    pub struct PortRow<'a>: 17 "ports", First::Unknown;
    1 port_code [Key]: PortCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
}

impl Entity for Port {
    type Id = PortCode;
    type World = Catalogue;

    const NAME: &'static str = "port";
    const TABLE: &'static Table = PortRow::TABLE;

    fn id(&self) -> &PortCode {
        &self.code
    }

    fn check(&self, catalogue: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)?;
        let location = catalogue.location(self.code.as_str());
        let fits = location.is_none_or(|location| stands_for(location, &self.code));
        ensure(fits, "code", "is a location's id")
    }

    fn used_by(code: &PortCode, catalogue: &Catalogue) -> Option<String> {
        let route = catalogue.routes().find(|route| route.stops.iter().any(|stop| stop.port == *code));
        let place = || catalogue.places().find(|place| place.ports.contains(code));
        let location = || catalogue.registers().locations.iter().find(|location| stands_for(location, code));
        let route = route.map(|route| format!("route {}", route.code));
        let place = || place().map(|place| format!("place {}", place.code));
        route.or_else(place).or_else(|| location().map(|location| format!("location {}", location.id)))
    }

    fn put_rows(written: &Written<Port>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Port { code, names } = &**written.after;
        rows.put(&PortRow { port_code: code.clone(), version, name_zh: &names.zh, name_en: &names.en });
    }

    fn read_rows(rows: &Rows, _: &[PortCode]) -> Result<Vec<Entry<Port>>, Damage> {
        let port = |row: PortRow<'_>| Port { code: row.port_code, names: Names::new(row.name_zh, row.name_en) };
        rows.of().map(|row| Ok(Entry::uncounted(port(row?)))).collect()
    }
}
