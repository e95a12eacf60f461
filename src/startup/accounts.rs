//! Accounts that are made and changed outside of HTTP: by the demo, and on the command line.

use anyhow::bail;
use argon2::Argon2;
use argon2::password_hash::PasswordHasher;
use deeptravel_actors::engine::Engine;
use deeptravel_domain::identity::{Account, Command, Role};

use crate::api;

/// Shortest password of an account of staff.
const PASSWORD_CHARS_MIN: usize = 12;

/// Refuses a name or a password that nobody could log in with, and one that is too easily guessed.
pub fn check_password(name: &str, password: &str) -> anyhow::Result<()> {
    if let Err(problem) = api::check_login(name, password) {
        let wrong = problem.errors().iter().map(|wrong| format!("the {} {}", wrong.field, wrong.message));
        bail!("no login would accept it: {}", wrong.collect::<Vec<_>>().join(", "));
    }
    if password.chars().count() < PASSWORD_CHARS_MIN {
        bail!("a password has at least {PASSWORD_CHARS_MIN} characters");
    }
    Ok(())
}

/// Makes an account; durable when it returns.
pub async fn make_account(
    engine: &Engine,
    name: &str,
    password: String,
    role: Role,
    merchant: Option<&str>,
) -> anyhow::Result<()> {
    let account = Account {
        username: name.into(),
        password_hash: hash(password).await?,
        roles: [role].into(),
        merchant: merchant.map(str::parse).transpose()?,
        disabled: false,
    };
    put(engine, account).await
}

/// Gives an account another password, which ends its sessions; durable when it returns.
pub async fn reset_password(engine: &Engine, account: &Account, password: String) -> anyhow::Result<()> {
    put(engine, Account { password_hash: hash(password).await?, ..account.clone() }).await
}

/// Slow on purpose, so not on this thread.
async fn hash(password: String) -> anyhow::Result<Box<str>> {
    let hashing = tokio::task::spawn_blocking(move || Argon2::default().hash_password(password.as_bytes()));
    let hash = hashing.await?.map_err(|error| anyhow::anyhow!("argon2: {error}"))?;
    Ok(hash.to_string().into())
}

async fn put(engine: &Engine, account: Account) -> anyhow::Result<()> {
    Ok(engine.identify(Command::PutAccount(account)).await?.outcome?)
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
