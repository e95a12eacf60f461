//! Which versions of templates there have been: what tells a repeated write from a new one. Their content is in the audit and
//! in their rows; memory has the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rows::TemplateRow;
use super::{Template, hex};
use crate::ids::TemplateId;
use crate::register::{Entry, Standing};
use crate::rejection::Rejection;
use crate::row::{Damage, Rows};
use crate::time::Timestamp;

/// A version that was written once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Version {
    /// From 1.
    pub number: u32,
    pub since: Timestamp,
    /// As the client named it.
    named: Option<Arc<str>>,
    client: Option<Arc<str>>,
    /// SHA-256 of its content.
    digest: [u8; 32],
}

impl Version {
    fn of(entry: &Entry<Template>) -> Version {
        Version {
            number: entry.revision,
            since: entry.since,
            named: entry.version_token.as_deref().map(Arc::from),
            client: entry.client_token.as_deref().map(Arc::from),
            digest: entry.digest(),
        }
    }

    /// Its name: the client's, or the digits of its content's hash.
    pub fn token(&self) -> String {
        self.named.as_deref().map_or_else(|| hex(&self.digest).collect(), str::to_owned)
    }

    fn is_called(&self, token: &str) -> bool {
        match &self.named {
            Some(named) => **named == *token,
            None => hex(&self.digest).eq(token.chars()),
        }
    }

    /// As whoever repeats the write learns it.
    fn standing(&self) -> Standing {
        Standing { revision: self.number, since: self.since, changed: false }
    }
}

/// Of every template its versions, rising.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Versions(BTreeMap<TemplateId, Arc<Vec<Version>>>);

impl Versions {
    /// Of the newest images of all rows.
    pub fn read(rows: &Rows) -> Result<Versions, Damage> {
        let mut versions = Versions::default();
        for row in rows.of() {
            let row: TemplateRow<'_> = row?;
            let version = Version {
                number: row.template_version,
                since: row.since,
                named: row.version_token.map(Arc::from),
                client: row.client_token.map(Arc::from),
                digest: row.content_hash,
            };
            Arc::make_mut(versions.0.entry(row.template_id).or_default()).push(version);
        }
        for of_one in versions.0.values_mut() {
            Arc::make_mut(of_one).sort_unstable_by_key(|version| version.number);
        }
        Ok(versions)
    }

    /// A version was written.
    pub fn add(&mut self, entry: &Entry<Template>) {
        Arc::make_mut(self.0.entry(entry.id.clone()).or_default()).push(Version::of(entry));
    }

    pub fn of(&self, template: &TemplateId) -> &[Version] {
        self.0.get(template).map_or(&[], |versions| versions)
    }

    /// How many templates there are.
    pub fn templates(&self) -> usize {
        self.0.len()
    }

    /// The version that a write has made already. A client's token stands for one write, whatever its template; a version
    /// token for one content of its template; without one, what the newest version holds is already so. Errors:
    /// `VERSION_CONFLICT`, a token stands for something else.
    pub fn made_before(&self, template: &Template) -> Result<Option<Standing>, Rejection> {
        let digest = template.digest();
        let same = |version: &Version, is_same: bool| {
            if is_same { Ok(Some(version.standing())) } else { Err(Rejection::VersionConflict) }
        };
        if let Some(version) = template.client_token.as_deref().and_then(|token| self.of_client(token)) {
            return same(
                version,
                version.digest == digest && version.named.as_deref() == template.version_token.as_deref(),
            );
        }
        let mut newest_first = self.of(&template.id).iter().rev();
        match &template.version_token {
            None => Ok(newest_first.next().filter(|newest| newest.digest == digest).map(Version::standing)),
            Some(token) => match newest_first.find(|version| version.is_called(token)) {
                None => Ok(None),
                Some(version) => same(version, version.digest == digest),
            },
        }
    }

    /// Writes are rare: looking at all costs nothing that anybody notices.
    fn of_client(&self, token: &str) -> Option<&Version> {
        self.0.values().flat_map(|versions| versions.iter()).find(|version| version.client.as_deref() == Some(token))
    }
}
