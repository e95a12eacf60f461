//! Accounts that are made and changed outside of HTTP: by the demo, and on the command line.

use anyhow::bail;
use deeptravel_actors::engine::Engine;
use deeptravel_domain::identity::{AccountChange, AccountWrite, Duties};

use crate::api;

/// Refuses a name or a password that nobody could log in with, and one that is too easily guessed.
pub fn check_password(name: &str, password: &str) -> anyhow::Result<()> {
    if let Err(problem) = api::check_login(name, password) {
        let wrong = problem.errors().iter().map(|wrong| format!("the {} {}", wrong.field, wrong.message));
        bail!("no login would accept it: {}", wrong.collect::<Vec<_>>().join(", "));
    }
    if password.chars().count() < api::PASSWORD_CHARS_MIN {
        bail!("a password has at least {} characters", api::PASSWORD_CHARS_MIN);
    }
    Ok(())
}

/// Makes an account; durable when it returns. `by`: whom the audit names.
pub async fn make_account(
    engine: &Engine,
    by: &str,
    name: &str,
    password: String,
    duties: Duties,
) -> anyhow::Result<()> {
    let password_hash = Some(hash(password).await?);
    write(engine, AccountWrite::new(name, AccountChange::Put { duties, disabled: false, password_hash }, by)).await
}

/// Gives an account another password, which ends its sessions; durable when it returns.
pub async fn reset_password(engine: &Engine, by: &str, name: &str, password: String) -> anyhow::Result<()> {
    let change = AccountChange::Password { hash: hash(password).await?, stays: None };
    write(engine, AccountWrite::new(name, change, by)).await
}

/// Slow on purpose, so not on this thread.
async fn hash(password: String) -> anyhow::Result<Box<str>> {
    let hash = tokio::task::spawn_blocking(move || api::hash_password(&password)).await?;
    hash.map_err(|error| anyhow::anyhow!("argon2: {error}"))
}

async fn write(engine: &Engine, write: AccountWrite) -> anyhow::Result<()> {
    engine.write_account(write).await?.outcome?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check_password;

    #[test]
    fn fault_14_only_a_password_that_a_login_accepts_is_given_to_an_account() {
        check_password("gate", "correct horse battery").unwrap();
        check_password("gate", &"p".repeat(256)).unwrap();
        check_password("gate", "港珠澳大桥跨境巴士快船联运").unwrap();
        for (name, password) in [
            ("gate", &*"p".repeat(257)),
            ("gate", &*"港".repeat(86)),
            ("gate", "correct\thorse battery"),
            ("gate", "correct horse\u{1b}[D battery"),
            ("gate", "too short"),
            ("gate", ""),
            ("", "correct horse battery"),
            (&*"n".repeat(65), "correct horse battery"),
            ("ga\nte", "correct horse battery"),
        ] {
            assert!(check_password(name, password).is_err(), "{name:?} {password:?}");
        }
    }
}
