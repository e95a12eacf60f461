//! Who wrote what to the configuration, and when, also what was refused (R-ADMIN-06, R-ADMIN-07).

use deeptravel_actors::lists::{AuditEntry, AuditFilter, AuditPlace};
use deeptravel_domain::text;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::api::frame::{Allowed, Answered, Page, Paging, Problem, Routes, SeeConfiguration, ok, parse_date};
use crate::api::views::{self, End, Zoned, instant_or_day};

/// Longest name of an account, in bytes, and of a kind of configuration.
const NAME_LEN_MAX: usize = 64;

pub fn routes(routes: &mut Routes<'_, '_>) {
    routes.mount(__path_list_audit_logs, list_audit_logs);
}

#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AuditLogsFilter {
    /// On this day, in the time zone of +08:00. Without `from` and `to`.
    #[param(example = "2026-12-24")]
    date: Option<String>,
    /// Since this instant (RFC 3339), or since the beginning of this day.
    #[param(example = "2026-12-24T08:00:00+08:00")]
    from: Option<String>,
    /// Before this instant, or until the end of this day.
    to: Option<String>,
    /// User name of the account; or `import`.
    account: Option<String>,
    /// A kind of configuration: `route`, `fares`, `schedules`, `vehicle`, …
    #[param(example = "fares")]
    entity: Option<String>,
}

/// A write to the configuration, also one that was refused.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditLog {
    at: Zoned,
    /// User name of the account; or `import`.
    account: String,
    /// The kind of configuration, and the id of what was written.
    entity: String,
    id: String,
    #[schema(pattern = "^(put|restore|withdraw)$")]
    action: &'static str,
    /// The revision that it made. Absent when it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u32>,
    /// What was in force before; absent when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    before: Option<Box<RawValue>>,
    /// What it was to hold; absent of a withdrawal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    after: Option<Box<RawValue>>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<AuditRefusal>,
}

#[derive(Debug, Serialize, ToSchema)]
struct AuditRefusal {
    code: String,
    detail: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AuditLogs {
    /// The newest first.
    entries: Vec<AuditLog>,
    /// Absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl AuditLogsFilter {
    fn understood(&self) -> Result<AuditFilter, Problem> {
        let both = self.date.is_some() && (self.from.is_some() || self.to.is_some());
        Problem::unless(!both, "date", "is not given together with from or to")?;
        let date = self.date.as_deref().map(|date| parse_date("date", date)).transpose()?;
        let (from, until) = match date.map(views::day) {
            Some((from, until)) => (Some(from), Some(until)),
            None => (
                instant_or_day("from", self.from.as_deref(), End::First)?,
                instant_or_day("to", self.to.as_deref(), End::Last)?,
            ),
        };
        let name = |account: &String| {
            let readable = !text::is_blank(account) && !text::has_controls(account) && !account.contains('\u{fffd}');
            readable && account.len() <= NAME_LEN_MAX
        };
        Problem::unless(self.account.as_ref().is_none_or(name), "account", "is no name of an account")?;
        let of_a_word = |byte: u8| byte.is_ascii_lowercase() || matches!(byte, b' ' | b'_' | b'-');
        let kind = |entity: &String| (1..=NAME_LEN_MAX).contains(&entity.len()) && entity.bytes().all(of_a_word);
        Problem::unless(self.entity.as_ref().is_none_or(kind), "entity", "is no kind of configuration")?;
        Ok(AuditFilter { from, until, account: self.account.clone(), entity: self.entity.clone() })
    }
}

fn shown(entry: AuditEntry) -> Result<AuditLog, Problem> {
    let json = |text: Option<String>| {
        let json = text.map(RawValue::from_string).transpose();
        json.map_err(|error| Problem::fault("What the audit holds is no JSON", &error))
    };
    Ok(AuditLog {
        at: views::time(entry.at),
        account: entry.account,
        entity: entry.entity,
        id: entry.id,
        action: entry.action.code(),
        version: entry.revision,
        before: json(entry.before)?,
        after: json(entry.after)?,
        refusal: entry.refusal.map(|refusal| AuditRefusal { code: refusal.code, detail: refusal.text }),
    })
}

/// Writes to the configuration, also those that were refused. For administration, operations, finance and audit.
#[utoipa::path(
    get, path = "/admin/audit-logs", params(AuditLogsFilter, Paging),
    responses((status = 200, body = AuditLogs), (status = 503, description = "`STORAGE_UNAVAILABLE`"))
)]
async fn list_audit_logs(Allowed(by): Allowed<SeeConfiguration>, page: Page<AuditPlace, AuditLogsFilter>) -> Answered {
    let filter = page.filter.understood()?;
    let mut entries =
        page.read(&by, |lists, before, count| async move { lists.audit_logs(filter, before, count).await }).await?;
    let next_cursor = page.cut(&mut entries, AuditEntry::place);
    Ok(ok(&AuditLogs { entries: entries.into_iter().map(shown).collect::<Result<_, _>>()?, next_cursor }))
}
