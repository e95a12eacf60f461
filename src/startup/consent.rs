//! Commands that cannot be taken back ask for a word that says what is agreed to: whoever types it has read it, and a
//! script that brings it fails when it is about something else.

use std::io::Write as _;

use anyhow::bail;

use crate::output::ToStderr;

/// `word` was given with the option, or is asked for on standard input. `option`: how it is given, for those who cannot
/// answer.
pub fn consent(word: &str, given: Option<&str>, option: &str) -> anyhow::Result<()> {
    let answer = match given {
        Some(given) => given.to_owned(),
        None => ask(word)?,
    };
    match answer.trim() {
        answer if answer == word => Ok(()),
        "" => bail!("nothing has been changed: to agree, answer {word}, or say {option} {word}"),
        other => bail!("nothing has been changed: {word} is to be agreed to, not {other}"),
    }
}

fn ask(word: &str) -> anyhow::Result<String> {
    let _ = write!(ToStderr, "To go on, type {word}: ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(line)
}
