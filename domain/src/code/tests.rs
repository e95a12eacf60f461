//! Forged, altered, expired, and from before a key rotation (R-TICKET-04). Replays are told in the order's tests.

use proptest::prelude::*;

use super::*;
use crate::ids::Shard;
use crate::sealing::{DocumentKeys, KEY_LEN, seal_document};

const NOW: Timestamp = Timestamp::from_seconds(1_764_000_000);
const NONCE: [u8; NONCE_LEN] = [3; NONCE_LEN];
const DAY: i64 = 24 * 60 * 60;

/// Without the time in which a scan may be repeated.
fn open(keys: &CodeKeys, text: &str, now: Timestamp) -> Result<Opened, ScanRejection> {
    open_within(keys, text, now, 0)
}

fn at(seconds: i64) -> Timestamp {
    NOW.plus_seconds(seconds)
}

fn key(version: u8) -> CodeKey {
    CodeKey::new(u32::from(version), [version; KEY_LEN])
}

/// Without dates, loaded long ago.
fn keys(versions: &[u8]) -> CodeKeys {
    CodeKeys::new(versions.iter().map(|version| key(*version)), at(-DAY)).unwrap()
}

/// Version 2 has sealed since `NOW`, version 1 before.
fn rotated() -> CodeKeys {
    let second = CodeKey { seals_from: Some(NOW), ..key(2) };
    CodeKeys::new([key(1), second], at(-DAY)).unwrap()
}

fn order() -> OrderId {
    OrderId::compose(NOW, Shard::of(7), 42)
}

fn scope() -> Scope {
    Scope::of(&"BOARDING".parse().unwrap(), Some(&"SK-0.20251124".parse().unwrap()))
}

fn ticket() -> Subject {
    Subject::Ticket { id: TicketId { order: order(), number: 2 }, scope: scope() }
}

fn unit() -> Subject {
    Subject::Item { order: order(), item: 1 }
}

fn print(issued_at: Timestamp) -> Code {
    Code { kind: CodeKind::Print, subject: ticket(), issued_at, from: at(-2 * DAY), until: at(30 * DAY) }
}

fn one_time() -> Code {
    Code::one_time(ticket(), NOW, 60)
}

/// Sealed when it is issued.
fn text(keys: &CodeKeys, code: &Code) -> String {
    seal(keys, code, code.issued_at, NONCE).text
}

fn invalid<T>() -> Result<T, ScanRejection> {
    Err(ScanRejection::InvalidCode)
}

#[test]
fn r_ticket_04_a_one_time_code_says_what_it_stands_for_until_the_instant_it_expires() {
    for subject in [ticket(), Subject::Order(order()), unit()] {
        let code = Code::one_time(subject, NOW, 60);
        let sealed = seal(&keys(&[1]), &code, NOW, NONCE);
        assert_eq!(sealed.expires_at, at(60));
        for now in [NOW, at(60).plus_ms(-1)] {
            assert_eq!(open(&keys(&[1]), &sealed.text, now).map(|opened| opened.code), Ok(code));
        }
        assert_eq!(open(&keys(&[1]), &sealed.text, at(60)), Err(ScanRejection::CodeExpired));
        let repeated = |now| open_for_scan(&keys(&[1]), &sealed.text, now).map(|opened| opened.code);
        assert_eq!(repeated(at(60 + REPEAT_SECONDS - 1)), Ok(code));
        assert_eq!(repeated(at(60 + REPEAT_SECONDS)), Err(ScanRejection::CodeExpired));
    }
}

#[test]
fn r_ticket_04_a_print_code_outlives_its_ticket_so_that_the_gate_hears_the_tickets_own_reason() {
    let sealed = seal(&keys(&[1]), &print(NOW), NOW, NONCE);
    assert_eq!(sealed.expires_at, at(30 * DAY));
    let opened = |now| open(&keys(&[1]), &sealed.text, now).map(|opened| opened.code);
    assert_eq!(opened(at(30 * DAY)), Ok(print(NOW)));
    assert_eq!(opened(at(30 * DAY + PRINT_GRACE_SECONDS)), Err(ScanRejection::CodeExpired));
}

#[test]
fn r_ticket_04_the_channel_decides_what_is_shown() {
    use CodeKind::{OneTime, Print};
    let partner = Channel::Ota("trip".into());
    assert_eq!(CodeKind::of(&Channel::Direct, None), Some(OneTime));
    assert_eq!(CodeKind::of(&Channel::Direct, Some(Print)), Some(Print));
    assert_eq!(CodeKind::of(&partner, None), Some(Print));
    assert_eq!(CodeKind::of(&partner, Some(OneTime)), None);
}

#[test]
fn two_codes_have_two_tokens() {
    let token = |nonce| open(&keys(&[1]), &seal(&keys(&[1]), &one_time(), NOW, nonce).text, NOW).unwrap().token;
    assert_ne!(token([1; NONCE_LEN]), token([2; NONCE_LEN]));
    assert_eq!(CodeToken(token(NONCE).0), token(NONCE));
}

#[test]
fn a_code_fits_the_alphanumeric_mode_of_a_small_symbol() {
    let of_ticket = text(&keys(&[1]), &one_time());
    let of_order = text(&keys(&[1]), &Code::one_time(Subject::Order(order()), NOW, 60));
    assert_eq!((of_ticket.len(), TICKET_CODE_TEXT_LEN), (219, 219), "a symbol of version 8 at level M holds 221");
    assert_eq!((of_order.len(), ORDER_CODE_TEXT_LEN), (99, 99), "a symbol of version 5 at level M holds 122");
    for code in [of_ticket, of_order] {
        assert!(code.bytes().all(|byte| ::base45::alphabet::TABLE.contains(&byte)));
        assert!(!code.ends_with(' '), "scanners trim");
    }
}

/// Printed by an earlier release: what is out has to open after an upgrade, and at gates that were built by the page.
const PRINTED: &str = "DT15H00001006H06H06H06H06H06H06DD*DG3DD.2S1EDTY1:5FY%J-5C37021IB5U:QS%I29JRA2RH+PISCXL89BN4RUQUQPYCDOA-5L/UMXX7+PN2\
    /QE57:F85J0QM9A9W7V3 JD1NU0CBQ09SDON9NQJK4C80BBIQ2MSM5RV+LKZ/2G19R 5X5T4 PIS4%CNT62YSTN32/-5X%FAFK5BPXXG";

#[test]
fn r_ticket_04_a_code_printed_by_an_earlier_release_is_what_we_seal_and_opens() {
    let keys = keys(&[1]);
    assert_eq!(text(&keys, &print(NOW)), PRINTED);
    assert_eq!(open(&keys, PRINTED, at(DAY)).map(|opened| opened.code), Ok(print(NOW)));
    assert!(verify(&keys.public(), PRINTED, at(DAY)).is_ok());
}

/// As printed by the release that made them, likewise: an order's, and its second unit's.
const OF_ORDER: &str =
    "DT1JB00001006H06H06H06H06H06H06DD*DG3DD.2S1EDTY15RV+LKZ/2G19R 5X5T4 PIS4+CNPRG*4LM-1DGLAS3GPRWET  0";
const OF_UNIT: &str =
    "DT1JB00001006H06H06H06H06H06H06DD*DG3DD.2S1EDTY15RV+LKZ/2G19R 5X5T4 PIS4%CN3:BGUQML4FKA9+0M/1BK3L-I";

#[test]
fn r_ota_06_a_units_code_is_as_short_as_its_orders_and_neither_is_taken_for_the_other() {
    let keys = keys(&[1]);
    for (subject, printed) in [(Subject::Order(order()), OF_ORDER), (unit(), OF_UNIT)] {
        let code = Code { subject, ..print(NOW) };
        assert_eq!(text(&keys, &code), printed);
        assert_eq!(open(&keys, printed, at(DAY)).map(|opened| opened.code), Ok(code));
        assert!(verify(&keys.public(), printed, at(DAY)).is_err(), "it is for the server alone");
    }
}

#[test]
fn r_ticket_04_nothing_that_names_the_order_is_in_clear() {
    let bytes = from_text(&text(&keys(&[1]), &one_time())).unwrap();
    let id = order().bits().to_be_bytes();
    assert!(!bytes.windows(4).any(|part| id.windows(4).any(|clear| clear == part)));
}

#[test]
fn r_ticket_04_a_code_with_any_bit_of_its_bytes_altered_is_refused() {
    let keys = keys(&[1, 2, 3]);
    for subject in [ticket(), Subject::Order(order())] {
        let bytes = from_text(&text(&keys, &Code::one_time(subject, NOW, 60))).unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let altered = to_text(&altered);
            assert_eq!(open(&keys, &altered, NOW), invalid(), "bit {bit}");
            // What the sealed part hides is no part of the pass.
            if bit / 8 < SIGNED_LEN + layout::SIGNATURE_LEN {
                assert_eq!(verify(&keys.public(), &altered, NOW), invalid(), "bit {bit}");
            }
        }
    }
}

#[test]
fn r_ticket_04_a_code_with_any_character_replaced_dropped_or_added_is_refused() {
    let keys = keys(&[1]);
    let code = text(&keys, &one_time());
    let opened = open(&keys, &code, NOW);
    for place in 0..code.len() {
        for byte in 0..=127_u8 {
            let mut altered = code.clone().into_bytes();
            altered[place] = byte;
            let altered = String::from_utf8(altered).unwrap();
            let expected = if altered == code { opened.clone() } else { invalid() };
            assert_eq!(open(&keys, &altered, NOW), expected, "{altered:?}");
        }
        assert_eq!(open(&keys, &code[..place], NOW), invalid());
        let longer = format!("{}0{}", &code[..place], &code[place..]);
        assert_eq!(open(&keys, &longer, NOW), invalid());
    }
}

#[test]
fn fault_18_what_a_scanner_adds_around_a_code_is_no_part_of_it() {
    let keys = keys(&[1]);
    for subject in [ticket(), Subject::Order(order())] {
        let code = text(&keys, &Code::one_time(subject, NOW, 60));
        let (opened, pass) = (open(&keys, &code, NOW), verify(&keys.public(), &code, NOW));
        assert!(opened.is_ok());
        for added in ["\r", "\n", "\r\n", "\t", " ", "  \t\r\n", &"\r\n".repeat(200)] {
            for scanned in [format!("{code}{added}"), format!("{added}{code}"), format!("{added}{code}{added}")] {
                assert_eq!(open(&keys, &scanned, NOW), opened, "{scanned:?}");
                assert_eq!(verify(&keys.public(), &scanned, NOW), pass, "{scanned:?}");
            }
            // In it, it makes another.
            let (start, end) = code.split_at(code.len() / 2);
            assert_eq!(open(&keys, &format!("{start}{added}{end}"), NOW), invalid());
        }
    }
    for nothing in ["\r\n", &" ".repeat(60_000)] {
        assert_eq!(open(&keys, nothing, NOW), invalid());
    }
}

#[test]
fn r_ticket_04_a_code_from_before_a_rotation_opens_and_one_forged_with_the_old_key_does_not() {
    let old = keys(&[1]);
    let (before, forged) = (print(at(-1)), print(NOW));
    assert_eq!(open(&rotated(), &text(&old, &before), at(9 * DAY)).map(|opened| opened.code), Ok(before));
    assert_eq!(open(&rotated(), &text(&old, &forged), NOW), invalid());
    assert_eq!(open(&rotated(), &text(&old, &print(at(DAY))), at(2 * DAY)), invalid());
    assert_eq!(open(&rotated(), &text(&old, &Code::one_time(ticket(), at(5), 60)), at(6)), invalid());
    // Gates without the network judge the same.
    let public = rotated().public();
    assert!(verify(&public, &text(&old, &before), at(9 * DAY)).is_ok());
    assert_eq!(verify(&public, &text(&old, &forged), NOW), invalid());
}

#[test]
fn r_ticket_04_the_newest_key_whose_time_it_is_seals() {
    let keys = rotated();
    assert_eq!((keys.sealing_version(at(-1)), keys.sealing_version(NOW)), (1, 2));
    for code in [print(at(-1)), print(NOW)] {
        assert_eq!(open(&keys, &text(&keys, &code), at(DAY)).map(|opened| opened.code), Ok(code));
    }
    let early = CodeKeys::new([key(2)], at(-DAY)).unwrap();
    assert_eq!(open(&keys, &text(&early, &print(at(-1))), NOW), invalid(), "version 2 did not seal yet");
}

#[test]
fn r_ticket_04_a_key_without_a_date_replaces_the_older_ones_when_it_is_loaded() {
    let loaded = CodeKeys::new([key(1), key(2)], NOW).unwrap();
    assert_eq!(loaded.undated().collect::<Vec<_>>(), [2]);
    assert_eq!(rotated().undated().count(), 0);
    let old = keys(&[1]);
    assert!(open(&loaded, &text(&old, &print(at(-1))), at(DAY)).is_ok());
    assert_eq!(open(&loaded, &text(&old, &print(NOW)), at(DAY)), invalid());
    assert!(open(&loaded, &text(&keys(&[2]), &print(at(-1))), at(DAY)).is_ok(), "it may have sealed before a restart");
}

#[test]
fn r_ticket_04_a_key_that_has_ended_opens_nothing_and_says_so_in_what_it_seals() {
    let ending = CodeKey { opens_until: Some(at(3 * DAY)), ..key(1) };
    let second = CodeKey { seals_from: Some(NOW), ..key(2) };
    let keys = CodeKeys::new([ending, second.clone()], at(-DAY)).unwrap();
    let sealed = seal(&keys, &print(at(-1)), at(-1), NONCE);
    assert_eq!(sealed.expires_at, at(3 * DAY));
    assert!(open(&keys, &sealed.text, at(3 * DAY - 1)).is_ok());
    assert_eq!(open(&keys, &sealed.text, at(3 * DAY)), invalid());
    assert_eq!(verify(&keys.public(), &sealed.text, at(3 * DAY)), invalid());

    // The newest was found out and ended at once: the one before it seals on.
    let leaked = CodeKey { opens_until: Some(at(100)), ..second };
    let keys = CodeKeys::new([key(1), leaked], at(-DAY)).unwrap();
    assert_eq!((keys.sealing_version(at(99)), keys.sealing_version(at(100))), (2, 1));
    let later = Code::one_time(ticket(), at(200), 60);
    assert_eq!(open(&keys, &text(&keys, &later), at(210)).map(|opened| opened.code), Ok(later));
    assert_eq!(open(&keys, &text(&self::keys(&[2]), &later), at(210)), invalid());
}

#[test]
fn d21_a_code_that_is_sealed_again_after_a_rotation_opens_as_it_did_before() {
    let ending = CodeKey { opens_until: Some(at(3 * DAY)), ..key(1) };
    let second = CodeKey { seals_from: Some(NOW), ..key(2) };
    let keys = |loaded_at| CodeKeys::new([ending.clone(), second.clone()], loaded_at).unwrap();
    let issued = print(at(-DAY));
    assert!(open(&keys(at(-DAY)), &text(&keys(at(-DAY)), &issued), at(DAY)).is_ok(), "sealed before the rotation");

    // Shown again afterwards, by the server that was there all the time and by one that was started since; then when the
    // first key has ended.
    for (keys, now) in [(keys(at(-DAY)), at(DAY)), (keys(at(DAY)), at(DAY)), (keys(at(-DAY)), at(9 * DAY))] {
        let again = seal(&keys, &issued, now, NONCE);
        let expected = Code { issued_at: NOW, ..issued };
        assert_eq!(open(&keys, &again.text, now).map(|opened| opened.code), Ok(expected));
        assert_eq!(verify(&keys.public(), &again.text, now).map(|pass| pass.issued_at), Ok(NOW));
        assert_eq!(again.expires_at, issued.until, "the first key's end is none of its");
    }

    // The second key was found out and ended: the first one seals on, also what was issued in the other's time.
    let leaked = CodeKey { opens_until: Some(at(100)), ..second };
    let keys = CodeKeys::new([key(1), leaked], at(-DAY)).unwrap();
    let again = seal(&keys, &print(at(50)), at(200), NONCE).text;
    assert_eq!(open(&keys, &again, at(200)).map(|opened| opened.code.issued_at), Ok(at(100)));
}

#[test]
fn r_ticket_04_an_unknown_version_another_key_of_the_version_and_a_code_from_the_future_are_refused() {
    let code = text(&keys(&[1]), &one_time());
    assert_eq!(open(&keys(&[2]), &code, NOW), invalid());
    let same_version = CodeKeys::new([CodeKey::new(1, [99; KEY_LEN])], NOW).unwrap();
    assert_eq!(open(&same_version, &code, NOW), invalid());
    assert_eq!(verify(&same_version.public(), &code, NOW), invalid());
    assert_eq!(open(&keys(&[1]), &code, at(-1)), invalid());
}

#[test]
fn a_set_of_keys_has_each_version_once_and_always_one_that_seals() {
    let error = |keys: Vec<CodeKey>| CodeKeys::new(keys, NOW).map(drop).unwrap_err();
    assert_eq!(error(vec![]), CodeKeysError::NoneSeals);
    assert_eq!(error(vec![key(1), key(1)]), CodeKeysError::Repeated(1));
    assert_eq!(error(vec![CodeKey::new(3, [0; KEY_LEN])]), CodeKeysError::Zero(3));
    assert_eq!(error(vec![CodeKey { seals_from: Some(at(1)), ..key(1) }]), CodeKeysError::NoneSeals);
    let ending = CodeKey { opens_until: Some(at(9)), ..key(1) };
    assert_eq!(error(vec![ending.clone()]), CodeKeysError::NoneSeals);
    let from = |seconds| vec![ending.clone(), CodeKey { seals_from: Some(at(seconds)), ..key(2) }];
    assert_eq!(error(from(10)), CodeKeysError::NoneSeals, "a second between them");
    assert!(CodeKeys::new(from(9), NOW).is_ok());
    let shown = format!("{:?} {:?}", CodeKey::new(7, [171; KEY_LEN]), keys(&[171]));
    assert!(!shown.contains("171, 171"), "{shown}");
}

#[test]
fn r_scan_09_a_gate_reads_a_tickets_pass_with_public_keys_alone() {
    let (keys, public) = (keys(&[1]), keys(&[1]).public());
    let (fresh, printed) = (text(&keys, &one_time()), text(&keys, &print(NOW)));
    let pass = verify(&public, &fresh, at(59)).unwrap();
    assert_eq!((pass.kind, pass.issued_at, pass.until), (CodeKind::OneTime, NOW, at(60)));
    assert_eq!((pass.reference, pass.scope), (Reference::of(TicketId { order: order(), number: 2 }), scope()));
    assert_ne!(pass.scope, Scope::of(&"BOARDING".parse().unwrap(), Some(&"SK-1.20251124".parse().unwrap())));
    assert_ne!(pass.scope, Scope::of(&"BOARDING".parse().unwrap(), None));
    let again = verify(&public, &printed, NOW).unwrap();
    assert_eq!((again.reference, again.scope, again.kind), (pass.reference, pass.scope, CodeKind::Print));

    assert_eq!(verify(&public, &fresh, at(60)), Err(ScanRejection::CodeExpired));
    let tomorrow = Code { from: at(DAY), ..print(NOW) };
    assert_eq!(verify(&public, &text(&keys, &tomorrow), NOW), Err(ScanRejection::NotYetValid));
    let of_order = text(&keys, &Code::one_time(Subject::Order(order()), NOW, 60));
    assert_eq!(verify(&public, &of_order, NOW), invalid());
}

#[test]
fn what_was_sealed_as_a_document_under_the_same_key_is_no_code() {
    let documents = DocumentKeys::new([(1, [1; KEY_LEN])]).unwrap();
    let sealed = seal_document(&documents, "", &"x".repeat(SECRET_LEN), NONCE).ciphertext;
    let mut bytes = from_text(&text(&keys(&[1]), &Code::one_time(Subject::Order(order()), NOW, 60))).unwrap();
    let clear = bytes.len() - (sealed.len() - 1 - NONCE_LEN);
    bytes[clear..].copy_from_slice(&sealed[1 + NONCE_LEN..]);
    assert_eq!(open(&keys(&[1]), &to_text(&bytes), NOW), invalid());
}

#[test]
fn anything_else_is_no_code() {
    let huge = format!("{CODE_PREFIX}{}", "0".repeat(100_000));
    for text in ["", "DT1", "dt1", "DT2", "https://example.org", "DT1é", "DT1\0", &huge] {
        assert_eq!(open(&keys(&[1]), text, NOW), invalid());
        assert_eq!(verify(&keys(&[1]).public(), text, NOW), invalid());
    }
}

/// A kind, whether it is a ticket's, a version, and all other bytes.
fn headed(printed: bool, of_ticket: bool, version: u8, mut bytes: Vec<u8>) -> String {
    let sample = Code { kind: if printed { CodeKind::Print } else { CodeKind::OneTime }, ..one_time() };
    let subject = if of_ticket { ticket() } else { Subject::Order(order()) };
    let genuine = from_text(&text(&keys(&[1]), &Code { subject, ..sample })).unwrap();
    bytes.resize(genuine.len(), 0);
    bytes[..6].copy_from_slice(&[genuine[0], genuine[1], 0, 0, 0, version]);
    to_text(&bytes)
}

proptest! {
    #[test]
    fn every_code_comes_back(
        bits: u128, number in proptest::option::of(1_u16..), issued in 0..=NOW.as_seconds(), from: u32, until: u32,
        printed: bool, nonce: [u8; NONCE_LEN],
    ) {
        let order = OrderId::from_bits(bits);
        let of_ticket = |number| Subject::Ticket { id: TicketId { order, number }, scope: scope() };
        let code = Code {
            kind: if printed { CodeKind::Print } else { CodeKind::OneTime },
            subject: number.map_or(Subject::Order(order), of_ticket),
            issued_at: Timestamp::from_seconds(issued),
            from: Timestamp::from_seconds(i64::from(from)),
            until: Timestamp::from_seconds(i64::from(until)),
        };
        // Issued before it was loaded, too: a restart lies between.
        let opened = authenticate(&keys(&[1]), &seal(&keys(&[1]), &code, NOW, nonce).text, NOW);
        prop_assert_eq!(opened.map(|opened| opened.code), Some(code));
    }

    #[test]
    fn d21_whatever_is_sealed_opens_at_once_under_any_rotation_and_whenever_it_was_issued(
        dates in proptest::collection::vec((proptest::option::of(-50..50_i64), proptest::option::of(-50..50_i64)), 1..4),
        loaded in -50..50_i64, later in 0..50_i64, ago in 0..100_i64,
    ) {
        let dated = |(version, (from, until)): (u8, &(Option<i64>, Option<i64>))| CodeKey {
            seals_from: from.map(at),
            opens_until: until.map(at),
            ..key(version)
        };
        let now = at(loaded + later);
        if let Ok(keys) = CodeKeys::new((1..).zip(&dates).map(dated), at(loaded)) {
            let sealed = seal(&keys, &print(now.plus_seconds(-ago)), now, NONCE).text;
            let issued_at = open(&keys, &sealed, now).unwrap().code.issued_at;
            prop_assert!((now.plus_seconds(-ago)..=now).contains(&issued_at), "{issued_at:?}");
            prop_assert!(verify(&keys.public(), &sealed, now).is_ok());
        }
    }

    #[test]
    fn no_text_makes_it_stumble(text in "(DT1)?\\PC{0,220}") {
        prop_assert_eq!(open(&keys(&[1]), &text, NOW), invalid());
        prop_assert_eq!(verify(&keys(&[1]).public(), &text, NOW), invalid());
    }

    #[test]
    fn no_bytes_make_it_stumble(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = to_text(&bytes);
        prop_assert_eq!(open(&keys(&[1, 2]), &text, NOW), invalid());
        prop_assert_eq!(verify(&keys(&[1, 2]).public(), &text, NOW), invalid());
    }

    #[test]
    fn no_bytes_behind_a_good_beginning_are_a_code(
        printed: bool, of_ticket: bool, version in 0_u8..4, bytes in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let text = headed(printed, of_ticket, version, bytes);
        prop_assert_eq!(open(&keys(&[1, 2]), &text, NOW), invalid());
        prop_assert_eq!(verify(&keys(&[1, 2]).public(), &text, NOW), invalid());
    }
}
