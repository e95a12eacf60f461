//! Codes that are copied, forged, or older than their key (R-TICKET-04, R-SCAN-03).

use deeptravel_domain::code::{Code, CodeKey, CodeKeys, CodeKind, Scope, Subject, seal};
use deeptravel_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::client::{Client, Gate, PATIENCE, Person};
use crate::server::another;
use crate::shop::{at, id, journey, text};

fn refused(answer: &Value, reason: &str) {
    assert_eq!((answer["result"].as_str(), answer["reason"].as_str()), (Some("reject"), Some(reason)), "{answer}");
}

/// A traveller and two gates, all of one test.
async fn people(client: &Client, test: &str) -> (Person, Gate, Gate) {
    let traveller = client.traveller(test).await;
    let operator = client.operator("gate").await;
    let gate = async |number: u8| operator.gate(&json!({ "deviceId": format!("{test}-{number}") })).await;
    (traveller, gate(1).await, gate(2).await)
}

#[tokio::test]
async fn r_ticket_04_a_screenshot_is_refused_at_a_second_gate_and_the_same_request_is_answered_the_same() {
    let client = Client::new();
    let (mei, first, second) = people(&client, "screenshot").await;
    let (ticket, code) = mei.ticket(&client.departure().await).await;
    let accepted = first.scan(&code, "r1").await;
    assert_eq!(accepted["result"], "success");

    let copied = second.scan(&code, "r1").await;
    refused(&copied, "REPLAYED");
    assert_eq!(copied["previous"]["at"], accepted["redeemedAt"]);
    assert_eq!(first.scan(&code, "r1").await, accepted, "R-SCAN-03");
    refused(&first.scan(&code, "r2").await, "ALREADY_REDEEMED");
    refused(&second.scan(&mei.ticket_code(&ticket).await, "r2").await, "ALREADY_REDEEMED");
}

#[tokio::test]
async fn fault_18_what_a_scanner_types_around_a_code_is_no_part_of_it() {
    let client = Client::new();
    let (mei, gate, _) = people(&client, "wedge").await;
    let (_, code) = mei.ticket(&client.departure().await).await;
    let accepted = gate.scan(&format!("\t {code}\r\n"), "r1").await;
    assert_eq!(accepted["result"], "success");
    assert_eq!(gate.scan(&code, "r1").await, accepted, "the same code");
}

#[tokio::test]
async fn r_scan_03_a_request_repeated_after_its_code_has_expired_gets_the_same_answer() {
    let client = Client::of(another(&[("DEEPTRAVEL__SESSION__CODE_SECONDS", "5")]));
    let (mei, first, second) = people(&client, "late").await;
    let order = mei.buy(&client.departure().await, 2).await;
    let code = mei.ticket_code(&order["tickets"][0]).await;
    let accepted = first.scan(&code, "r1").await;
    assert_eq!(accepted["result"], "success");

    let since = std::time::Instant::now();
    let late = loop {
        let late = second.scan(&code, "r1").await;
        if late["reason"] == "CODE_EXPIRED" {
            break late;
        }
        refused(&late, "REPLAYED");
        assert!(since.elapsed() < PATIENCE, "it expires");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!((&late["ticket"], late.get("previous")), (&Value::Null, None));
    assert_eq!(first.scan(&code, "r1").await, accepted);
    refused(&first.scan(&code, "r2").await, "CODE_EXPIRED");
}

#[tokio::test]
async fn r_ticket_04_an_orders_code_is_used_up_by_the_first_gate_and_a_fresh_one_opens_the_second() {
    let client = Client::new();
    let (mei, _, _) = people(&client, "there-and-back").await;
    let (there, back) = (client.coach().await, client.coach().await);
    let order = mei.place(&[journey(&there), journey(&back)], 1).await.ok();
    let order = mei.pay(&order).await;
    let operator = client.operator("gate").await;
    let boards = async |departure: &str, device: &str| {
        operator.gate(&json!({ "deviceId": device, "departureId": departure })).await
    };
    let (first, second) = (boards(&there, "there").await, boards(&back, "back").await);

    // At the wrong gate nothing is used up, neither the ticket nor the code.
    let code = mei.order_code(&order).await;
    let other = boards(&client.coach().await, "other").await;
    refused(&other.scan(&code, "r1").await, "WRONG_DEPARTURE");
    assert_eq!(first.scan(&code, "r1").await["result"], "partial");
    refused(&second.scan(&code, "r1").await, "REPLAYED");
    let fresh = second.scan(&mei.order_code(&order).await, "r2").await;
    assert_eq!(fresh["tickets"][1]["result"], "success", "{fresh}");
}

#[tokio::test]
async fn r_ticket_04_codes_on_two_phones_are_both_good() {
    let client = Client::new();
    let (mei, first, second) = people(&client, "two-phones").await;
    let order = mei.buy(&client.departure().await, 2).await;
    let codes = [mei.ticket_code(&order["tickets"][0]).await, mei.ticket_code(&order["tickets"][1]).await];
    assert_eq!(second.scan(&codes[1], "r1").await["result"], "success");
    assert_eq!(first.scan(&codes[0], "r1").await["result"], "success");
}

#[tokio::test]
async fn r_ticket_04_a_print_code_is_good_as_often_as_its_ticket() {
    let client = Client::new();
    let (mei, first, second) = people(&client, "paper").await;
    let order = mei.buy(&client.departure().await, 1).await;
    let code = mei.printed_code(&order["tickets"][0]).await;
    assert_eq!(first.scan(&code, "r1").await["result"], "success");
    refused(&second.scan(&code, "r1").await, "ALREADY_REDEEMED");
}

#[tokio::test]
async fn r_ticket_04_an_unpaid_order_has_no_code_to_print() {
    let client = Client::new();
    let mei = client.traveller("not-yet").await;
    let order = mei.order(&client.departure().await, 1).await;
    mei.get(&format!("/orders/{}/qr?use=print", id(&order))).await.problem(409, "TICKETS_NOT_ISSUED");
}

const OLD: [u8; 32] = [11; 32];
const NEW: [u8; 32] = [22; 32];

fn line(version: u32, key: [u8; 32]) -> String {
    format!("{version} {}\n", hex::encode(key))
}

/// What the old key's thief makes of it now.
fn forged(kind: CodeKind, ticket: &Value, issued_at: Timestamp) -> String {
    let scope = Scope::of(&"BOARDING".parse().unwrap(), None);
    let subject = Subject::Ticket { id: text(&ticket["ticketId"]).parse().unwrap(), scope };
    let code = Code { kind, ..Code::one_time(subject, issued_at, 3600) };
    seal(&CodeKeys::new([CodeKey::new(1, OLD)], issued_at).unwrap(), &code, issued_at, [9; 12]).text
}

fn now() -> Timestamp {
    Timestamp::from_jiff(jiff::Timestamp::now())
}

#[tokio::test]
async fn r_ticket_04_after_a_rotation_codes_from_before_are_good_and_those_forged_with_the_old_key_are_not() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), line(1, OLD)).unwrap();
    let environment = [("DEEPTRAVEL__SECRETS__CODE_KEYS_FILE", file.path().to_str().unwrap())];
    let server = another(&environment);
    let (mei, _, _) = people(&Client::of(server), "before").await;
    let order = mei.buy(&mei.client.departure().await, 3).await;
    let tickets = order["tickets"].as_array().unwrap();
    let (printed, shown) = (mei.printed_code(&tickets[0]).await, mei.ticket_code(&tickets[1]).await);
    let shown_until = at(&mei.get(&format!("/tickets/{}/qr", text(&tickets[1]["ticketId"]))).await.ok()["expiresAt"]);

    // Codes say whole seconds: from the next one on, what says to be sealed with the old key is forged.
    let rotated_at = Timestamp::from_seconds(now().as_seconds() + 1);
    let second_line = format!("{} seals_from={rotated_at}", line(2, NEW).trim_end());
    std::fs::write(file.path(), format!("{}{second_line}\n", line(1, OLD))).unwrap();
    let client = Client::of(server.restart(&environment));
    let (mei, first, second) = people(&client, "before").await;
    while now() < rotated_at {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(first.scan(&printed, "r1").await["result"], "success");
    let answer = first.scan(&shown, "r2").await;
    assert!(answer["result"] == "success" || jiff::Timestamp::now() >= shown_until, "{answer}");
    let paid_at = Timestamp::from_jiff(at(&order["paidAt"]));
    for (number, kind, issued_at) in [
        (1, CodeKind::OneTime, now()),
        (2, CodeKind::Print, now()),
        (3, CodeKind::Print, now().plus_seconds(3600)),
        // Nor does it help to lie about the time: before the ticket was issued, there was none to print.
        (4, CodeKind::Print, paid_at.plus_seconds(-2)),
    ] {
        refused(&first.scan(&forged(kind, &tickets[2], issued_at), &format!("f{number}")).await, "INVALID_CODE");
    }
    assert_eq!(mei.ticket_status(&tickets[2]).await, "usable");
    assert_eq!(second.scan(&mei.ticket_code(&tickets[2]).await, "r3").await["result"], "success");
}

#[tokio::test]
async fn r_ticket_04_the_key_file_is_read_again_without_a_restart() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), line(1, OLD)).unwrap();
    let server = another(&[("DEEPTRAVEL__SECRETS__CODE_KEYS_FILE", file.path().to_str().unwrap())]);
    let client = Client::of(server);
    let (mei, gate, _) = people(&client, "reload").await;
    let order = mei.buy(&client.departure().await, 2).await;
    let tickets = order["tickets"].as_array().unwrap();
    let before = mei.printed_code(&tickets[0]).await;
    // Digits 4 to 12 of a code are the layout, the kind and the key's version.
    let head = |code: &str| code[3..12].to_owned();

    std::fs::write(file.path(), format!("{}{}", line(1, OLD), line(2, NEW))).unwrap();
    assert!(std::process::Command::new("kill").args(["-HUP", &server.pid.to_string()]).status().unwrap().success());
    let since = std::time::Instant::now();
    while head(&mei.printed_code(&tickets[0]).await) == head(&before) {
        assert!(since.elapsed() < PATIENCE, "the new key seals");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(gate.scan(&before, "r1").await["result"], "success");
    assert_eq!(gate.scan(&mei.ticket_code(&tickets[1]).await, "r3").await["result"], "success");
}
