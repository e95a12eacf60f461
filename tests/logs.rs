//! No log of the whole suite shows anything personal or secret (R-ADMIN-11, fault 4 of those found from outside).
//!
//! While `./test` runs, every server writes its log to one place, and whatever the tests tell a server or hear from one is
//! noted there (`deeptravel::testing::suite`). What is searched last is the one for the other. The tests that are not
//! ignored plant something of each kind and see that the search finds it.
//!
//! A value is found as it is and as logs write it: as a part of JSON, of Rust's `{:?}`, of a URL, as bytes, in hexadecimal,
//! in base64 from its first byte on; a number of a telephone or a document also with other separators or none, a telephone
//! also without its country. Not found: what is hashed or masked, and a part of a value.

#![allow(clippy::unwrap_used, reason = "helpers of tests end at the first surprise, as tests do")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE};
use deeptravel::testing::suite::{Kind, OF_POSTGRES, OF_SERVER, PLACE, USED, Used};

/// Shorter values stand in logs by chance: passwords of a letter, names that are refused. Those that the tests' builders
/// make are longer.
const BYTES_MIN: usize = 6;
/// Nor is one looked for that is a letter many times.
const DIFFERENT_BYTES_MIN: usize = 4;
/// No more of a value is looked for: a log that shows so many characters of it is found, and so many bytes as numbers.
const CHARS_MAX: usize = 24;
const NUMBERS_MAX: usize = 12;
/// Findings that are worth printing.
const SHOWN_MAX: usize = 40;
/// What every server says when it starts.
const START: &str = "file descriptors";

/// How many logs of servers that have started, and of Postgres, each suite has at least. `store` is no server: its process
/// has the log of one.
const LOGS_MIN: [(&str, usize, usize); 7] = [
    ("api", 10, 5),
    ("crash", 20, 10),
    ("store", 0, 1),
    ("embedded", 0, 5),
    ("postgres", 0, 1),
    ("shared", 0, 1),
    ("collections", 1, 0),
];

/// How many values of a kind are looked for at least.
fn values_min(kind: Kind) -> usize {
    match kind {
        Kind::Phone | Kind::Email | Kind::Document => 1,
        Kind::Name | Kind::Password => 5,
        Kind::Openid | Kind::Token | Kind::Secret | Kind::Code => 50,
    }
}

struct Log {
    /// The suite, and whether it is a server's.
    suite: String,
    of_server: bool,
    path: PathBuf,
    text: String,
}

fn logs(place: &Path) -> Vec<Log> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let of_server = name.ends_with(OF_SERVER);
        if of_server || name.ends_with(OF_POSTGRES) {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            logs.push(Log { suite: name.split('.').next().unwrap().to_owned(), of_server, path, text });
        }
    }
    logs
}

/// Everything that was noted, and is long enough to be looked for.
fn wanted(place: &Path) -> BTreeSet<Used> {
    let mut noted = BTreeSet::new();
    for entry in std::fs::read_dir(place.join(USED)).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        noted.extend(text.lines().map(|line| serde_json::from_str::<Used>(line).unwrap()));
    }
    let is_long = |value: &str| value.len() >= BYTES_MIN;
    let is_varied = |value: &str| value.bytes().collect::<BTreeSet<_>>().len() >= DIFFERENT_BYTES_MIN;
    noted.retain(|used| is_long(used.value.trim()) && is_varied(&used.value));
    noted
}

/// How a value may be written. Large and small letters are one in the search, and both are looked at `plain`.
fn forms(value: &str) -> BTreeSet<String> {
    let value = &value.chars().take(CHARS_MAX).collect::<String>();
    // Three bytes are four characters: a last group depends on what follows.
    let groups = &value.as_bytes()[..value.len() / 3 * 3];
    let mut utf16 = String::new();
    for unit in value.encode_utf16() {
        match char::from_u32(u32::from(unit)).filter(char::is_ascii) {
            Some(letter) => utf16.push(letter),
            None => write!(utf16, "\\u{unit:04x}").unwrap(),
        }
    }
    let forms = [
        value.to_owned(),
        utf16,
        value.escape_default().to_string(),
        value.as_bytes().escape_ascii().to_string(),
        // In a query.
        value.replace(' ', "+"),
        value.bytes().take(NUMBERS_MAX).map(|byte| byte.to_string()).collect::<Vec<_>>().join(", "),
        hex::encode(value),
        BASE64_STANDARD.encode(groups),
        BASE64_URL_SAFE.encode(groups),
    ];
    forms.into_iter().map(|form| plain(&form)).collect()
}

/// Without backslashes, since quotes stand within quotes, and with what a URL encodes.
fn plain(text: &str) -> String {
    let (mut plain, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((byte, after)) = rest.split_first() {
        let encoded = after.get(..2).filter(|_| *byte == b'%').and_then(|digits| hex::decode(digits).ok());
        rest = if encoded.is_some() { &after[2..] } else { after };
        plain.extend(encoded.unwrap_or_else(|| vec![*byte]));
    }
    String::from_utf8_lossy(&plain).replace('\\', "")
}

/// Without what people put between the digits of a number.
fn with_digits_joined(text: &str) -> String {
    let mut joined = String::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        joined.push(letter);
        let mut between = String::new();
        while let Some(next) = rest.next_if(|next| next.is_whitespace() || "-()/".contains(*next)) {
            between.push(next);
        }
        if !(letter.is_ascii_digit() && rest.peek().is_some_and(char::is_ascii_digit)) {
            joined += &between;
        }
    }
    joined
}

fn letters_and_digits(text: &str) -> String {
    text.chars().filter(|letter| letter.is_alphanumeric()).collect()
}

/// The digits of a telephone, and those without its country.
fn digits(phone: &str) -> BTreeSet<String> {
    let whole: String = phone.chars().filter(char::is_ascii_digit).collect();
    let local = ["852", "853", "86"].into_iter().find_map(|country| whole.strip_prefix(country));
    let local = local.map(str::to_owned);
    [whole].into_iter().chain(local).filter(|digits| digits.len() >= 8).collect()
}

/// Finds values in lines.
struct Search {
    anywhere: Patterns,
    /// Found where no other digit stands beside them.
    phones: Patterns,
    documents: Patterns,
}

struct Patterns {
    automaton: AhoCorasick,
    /// Whose each pattern is.
    of: Vec<Used>,
}

impl Patterns {
    fn new(forms: impl Iterator<Item = (String, Used)>) -> Patterns {
        let (patterns, of): (Vec<String>, Vec<Used>) = forms.unzip();
        let automaton = AhoCorasick::builder().ascii_case_insensitive(true).build(patterns).unwrap();
        Patterns { automaton, of }
    }

    /// `is_hit`: of what stands before and after.
    fn find(&self, text: &str, is_hit: impl Fn(&str, &str) -> bool) -> BTreeSet<Used> {
        let hits = self.automaton.find_iter(text).filter(|hit| is_hit(&text[..hit.start()], &text[hit.end()..]));
        hits.map(|hit| self.of[hit.pattern().as_usize()].clone()).collect()
    }
}

impl Search {
    fn new(wanted: &BTreeSet<Used>) -> Search {
        let of = |kind| wanted.iter().filter(move |used| used.kind == kind);
        let each = |used: &'_ Used, forms: BTreeSet<String>| {
            let used = used.clone();
            forms.into_iter().map(move |form| (form, used.clone()))
        };
        Search {
            anywhere: Patterns::new(wanted.iter().flat_map(|used| each(used, forms(&used.value)))),
            phones: Patterns::new(of(Kind::Phone).flat_map(|used| each(used, digits(&used.value)))),
            documents: Patterns::new(of(Kind::Document).flat_map(|used| {
                let number = Some(letters_and_digits(&used.value)).filter(|number| number.len() >= BYTES_MIN);
                each(used, number.into_iter().collect())
            })),
        }
    }

    fn find(&self, line: &str) -> BTreeSet<Used> {
        let stands_alone = |before: &str, after: &str| !before.ends_with(is_digit) && !after.starts_with(is_digit);
        let mut found = self.anywhere.find(&plain(line), |_, _| true);
        found.extend(self.phones.find(&with_digits_joined(&plain(line)), stands_alone));
        found.extend(self.documents.find(&letters_and_digits(&plain(line)), |_, _| true));
        found
    }
}

fn is_digit(letter: char) -> bool {
    letter.is_ascii_digit()
}

/// What was searched, and what is wrong with that: something is missing, or something was found.
fn searched(place: &Path) -> (String, Vec<String>) {
    let (logs, wanted) = (logs(place), wanted(place));
    let mut wrong = Vec::new();
    for (suite, servers_min, postgres_min) in LOGS_MIN {
        let of = |of_server| logs.iter().filter(move |log| log.suite == suite && log.of_server == of_server);
        let servers = of(true).filter(|log| log.text.contains(START)).count();
        let postgres = of(false).filter(|log| !log.text.is_empty()).count();
        if servers < servers_min || postgres < postgres_min {
            wrong.push(format!("{suite} has the logs of {servers} servers and of {postgres} Postgres: too few"));
        }
    }
    if logs.iter().all(|log| log.suite != "store" || !log.of_server || log.text.is_empty()) {
        wrong.push("the process of store has no log".to_owned());
    }
    let mut counts = BTreeMap::new();
    for kind in Kind::ALL {
        let count = wanted.iter().filter(|used| used.kind == kind).count();
        counts.insert(kind, count);
        if count < values_min(kind) {
            wrong.push(format!("the tests noted {count} of kind {kind:?}: too few"));
        }
    }

    let search = Search::new(&wanted);
    let mut lines = 0;
    for log in &logs {
        for (index, line) in log.text.lines().enumerate() {
            lines += 1;
            for Used { kind, value } in search.find(line) {
                wrong.push(format!("{}:{}: {kind:?} {value:?} in: {line}", log.path.display(), index + 1));
            }
        }
    }
    (format!("{} logs with {lines} lines searched for {counts:?}", logs.len()), wrong)
}

/// `./test` asks for it when everything else has run.
#[test]
#[ignore = "searches what all other tests have left, so it comes last"]
fn fault_4_no_log_of_the_suite_shows_anything_personal_or_secret() {
    let place = std::env::var_os(PLACE).unwrap_or_else(|| panic!("{PLACE} names the directory with the logs"));
    let (what, wrong) = searched(Path::new(&place));
    println!("{what}");
    assert!(wrong.is_empty(), "{} findings:\n{}", wrong.len(), wrong[..wrong.len().min(SHOWN_MAX)].join("\n"));
}

mod canary {
    use std::sync::Mutex;

    use deeptravel::telemetry::{LogSettings, dispatch};

    use super::*;

    /// Something of each kind that nobody else has.
    const PLANTED: [(Kind, &str); 9] = [
        (Kind::Name, "Au-Yeung 歐陽 \"Bo\" O'Neill"),
        (Kind::Phone, "+852 6123 4567"),
        (Kind::Email, "canary+1@example.org"),
        (Kind::Document, "K 765432(1)"),
        (Kind::Openid, "oT9_canary-bird"),
        (Kind::Token, "c4n4ryTokenWhichOpensTheDoor_-0123456789abcdef"),
        (Kind::Password, "correct canary \\ battery"),
        (Kind::Secret, "MIIcanary/base64+of+a+key=="),
        (Kind::Code, "DT1:CANARY%*$+-./: OF A TICKET"),
    ];

    /// What our logging layer makes of a line, for people and for programs.
    fn lines_of(log: impl Fn()) -> String {
        let mut all = String::new();
        for settings in [LogSettings::text("info"), LogSettings::json("info")] {
            let lines = tempfile::NamedTempFile::new().unwrap();
            let writer = Mutex::new(lines.reopen().unwrap());
            tracing::dispatcher::with_default(&dispatch(&settings, writer).unwrap(), &log);
            let text = std::fs::read_to_string(lines.path()).unwrap();
            assert!(!text.is_empty());
            all += &text;
        }
        all
    }

    type Way = (&'static str, fn(&str));

    /// All the ways in which somebody who does not think of it tells a value.
    const WAYS: [Way; 13] = [
        ("a field", |value| tracing::info!(value, "Somebody came")),
        ("a field, shown", |value| tracing::info!(%value, "Somebody came")),
        ("the sentence", |value| tracing::info!("{value} came")),
        ("the sentence, quoted", |value| tracing::info!("{value:?} came")),
        ("a part", |value| tracing::info!(parts = ?vec![Some(value)], "Somebody came")),
        ("a body", |value| tracing::info!(body = %serde_json::json!({ "of": [value] }), "Somebody came")),
        ("a body, quoted", |value| tracing::info!(body = serde_json::json!([value]).to_string(), "Somebody came")),
        ("bytes", |value| tracing::info!(bytes = ?value.as_bytes(), "Somebody came")),
        ("shared bytes", |value| tracing::info!(bytes = ?bytes::Bytes::from(value.to_owned()), "Somebody came")),
        ("a path", |value| tracing::info!(path = %url_of(value), "Somebody came")),
        ("a query", |value| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair("of", value).finish();
            tracing::info!(query, "Somebody came");
        }),
        ("hexadecimal", |value| tracing::info!(of = hex::encode(value), "Somebody came")),
        ("base64", |value| tracing::info!(of = BASE64_STANDARD.encode(value), "Somebody came")),
    ];

    fn url_of(value: &str) -> String {
        value.bytes().fold("/of/".to_owned(), |path, byte| format!("{path}%{byte:02x}"))
    }

    fn found_in(lines: &str) -> Vec<BTreeSet<Used>> {
        let wanted = PLANTED.map(|(kind, value)| Used { kind, value: value.to_owned() });
        let search = Search::new(&BTreeSet::from(wanted));
        lines.lines().map(|line| search.find(line)).collect()
    }

    #[test]
    fn fault_4_something_of_each_kind_is_found_however_it_was_logged() {
        for (kind, value) in PLANTED {
            let planted = BTreeSet::from([Used { kind, value: value.to_owned() }]);
            for (way, log) in WAYS {
                let lines = lines_of(|| log(value));
                assert_eq!(found_in(&lines), vec![planted.clone(); 2], "{kind:?} as {way}: {lines}");
            }
        }
        let clean = lines_of(|| tracing::info!(seats = 3, "Somebody came"));
        assert_eq!(found_in(&clean), vec![BTreeSet::new(); 2]);
    }

    #[test]
    fn fault_4_a_number_is_found_with_other_separators_or_none() {
        for line in
            ["to=+85261234567", "to 6123-4567.", "tel:852-61234567", "(852) 6123\u{a0}4567", "%2B852%206123%204567"]
        {
            assert_eq!(found_in(line)[0].len(), 1, "{line}");
        }
        assert_eq!(found_in("document=K7654321")[0].len(), 1);
        for line in ["position=161234567", "612345670", "2026-11-30T06:12:34.567000Z"] {
            assert_eq!(found_in(line)[0].len(), 0, "{line}");
        }
    }

    /// A place as a whole suite leaves it, with as many values as are wanted and something in one log.
    fn place_with(said: &str) -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        let write = |name: String, text: &str| std::fs::write(place.path().join(name), text).unwrap();
        for (suite, servers, postgres) in LOGS_MIN {
            (0..servers).for_each(|number| write(format!("{suite}.{number}{OF_SERVER}"), START));
            (0..postgres).for_each(|number| write(format!("{suite}.{number}{OF_POSTGRES}"), "ready"));
        }
        write(format!("store.0{OF_SERVER}"), said);
        std::fs::create_dir(place.path().join(USED)).unwrap();
        let mut noted = String::new();
        for (kind, value) in PLANTED {
            for number in 0..values_min(kind) {
                let value = if number == 0 { value.to_owned() } else { format!("{value}{number}") };
                writeln!(noted, "{}", serde_json::to_string(&Used { kind, value }).unwrap()).unwrap();
            }
        }
        write(format!("{USED}/1"), &noted);
        place
    }

    #[test]
    fn fault_4_a_search_without_logs_or_without_values_fails() {
        let wrong = |place: &tempfile::TempDir| searched(place.path()).1;
        assert_eq!(wrong(&place_with("Nobody came")), Vec::<String>::new());
        let found = wrong(&place_with("one\noT9_canary-bird came"));
        assert!(found.len() == 1 && found[0].contains(".server.log:2: Openid"), "{found:?}");

        let place = place_with("Nobody came");
        for suite in LOGS_MIN.map(|(suite, ..)| suite) {
            for log in logs(place.path()).into_iter().filter(|log| log.suite == suite) {
                std::fs::write(log.path, "").unwrap();
            }
            let found = wrong(&place);
            assert!(found.iter().any(|wrong| wrong.contains(suite)), "{suite}: {found:?}");
        }
        let place = place_with("Nobody came");
        std::fs::write(place.path().join(USED).join("1"), "").unwrap();
        assert_eq!(wrong(&place).len(), Kind::ALL.len());
    }
}
