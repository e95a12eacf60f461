//! Companies that run departures.

use serde::{Deserialize, Serialize};

use super::{Catalogue, Names, checks};
use crate::ids::OperatorCode;
use crate::register::{Entity, Entry, Written};
use crate::rejection::Rejection;
use crate::row;
use crate::row::{Damage, First, Row as _, Rows, Table};

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Operator {
    pub code: OperatorCode,
    #[serde(rename = "name")]
    pub names: Names,
}

row! {
    pub struct OperatorRow<'a>: 16 "operators", First::Unknown;
    1 operator_code [Key]: OperatorCode,
    2 version: u64,
    3 name_zh: &'a str,
    4 name_en: &'a str,
}

impl Entity for Operator {
    type Id = OperatorCode;
    type World = Catalogue;

    const NAME: &'static str = "operator";
    const TABLE: &'static Table = OperatorRow::TABLE;

    fn id(&self) -> &OperatorCode {
        &self.code
    }

    fn check(&self, _: &Catalogue) -> Result<(), Rejection> {
        checks::names("name", &self.names)
    }

    fn used_by(code: &OperatorCode, catalogue: &Catalogue) -> Option<String> {
        catalogue.routes().find(|route| route.operator == *code).map(|route| format!("route {}", route.code))
    }

    fn put_rows(written: &Written<Operator>, _: &Catalogue, version: u64, rows: &mut Rows) {
        let Operator { code, names } = &**written.after;
        rows.put(&OperatorRow { operator_code: code.clone(), version, name_zh: &names.zh, name_en: &names.en });
    }

    fn read_rows(rows: &Rows, _: &[OperatorCode]) -> Result<Vec<Entry<Operator>>, Damage> {
        let operator =
            |row: OperatorRow<'_>| Operator { code: row.operator_code, names: Names::new(row.name_zh, row.name_en) };
        rows.of().map(|row| Ok(Entry::uncounted(operator(row?)))).collect()
    }
}
