//! Names in the languages that we speak.

use serde::{Deserialize, Deserializer, Serialize};

/// A name in the two languages every name has.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Names {
    pub zh: String,
    pub en: String,
}

impl Names {
    pub fn new(zh: impl Into<String>, en: impl Into<String>) -> Names {
        Names { zh: zh.into(), en: en.into() }
    }

    /// The same in both.
    pub fn same(name: impl Into<String>) -> Names {
        let name = name.into();
        Names { zh: name.clone(), en: name }
    }

    /// From a row that may be older than its second name.
    pub(crate) fn stored(zh: &str, en: Option<&str>) -> Names {
        Names::new(zh, en.unwrap_or(zh))
    }
}

/// For `serde(deserialize_with)`: what was called by one name before it had two.
pub(crate) fn once_one_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Names, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Spoken {
        Two(Names),
        One(String),
    }
    Ok(match Spoken::deserialize(deserializer)? {
        Spoken::Two(names) => names,
        Spoken::One(name) => Names::same(name),
    })
}
