//! What partners print for their tickets, read again and held before a gate (R-OTA-04, R-TICKET-04).

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Partner};
use crate::shop::{monday, text};
use crate::symbols;

impl Partner {
    /// A file, and of which type it is.
    async fn file(&self, path: &str) -> (String, Vec<u8>) {
        let response = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["cache-control"], "no-store", "it opens a gate");
        let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        (media_type, response.bytes().await.unwrap().to_vec())
    }
}

fn codes(listed: &Value, field: &str) -> Vec<String> {
    listed.as_array().unwrap().iter().map(|one| text(&one[field])).collect()
}

#[tokio::test]
async fn r_ota_04_a_tickets_symbol_in_each_format_is_a_code_that_gates_know_before_and_after_activation() {
    let client = Client::new();
    let partner = client.seller("prints-tickets", 95_001, 10).await;
    let batch = partner.generate(95_001, 4, "B-1").await.ok();
    let tickets = codes(&batch["tickets"], "ticketCode");
    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "prints-tickets" })).await;

    let mut printed = Vec::new();
    for (ticket, format) in tickets.iter().zip(["json", "svg", "png", "pdf"]) {
        let (media_type, bytes) = partner.file(&format!("/api/ota/tickets/{ticket}/qr?format={format}")).await;
        let (expected, code) = match format {
            "json" => {
                let shown: Value = serde_json::from_slice(&bytes).unwrap();
                assert_eq!(text(&shown["ticketCode"]), *ticket);
                assert!(shown["expiresAt"].is_string());
                ("application/json", text(&shown["qrCode"]))
            }
            "svg" => ("image/svg+xml", symbols::of_svg(&bytes)),
            "png" => ("image/png", symbols::of_png(&bytes)),
            _ => {
                let on_it = symbols::of_pdf(&bytes);
                assert_eq!(on_it.len(), 1, "a ticket alone");
                ("application/pdf", on_it.into_iter().next().unwrap())
            }
        };
        assert_eq!(media_type, expected);
        let refused = gate.scan(&code, &format!("before-{format}")).await;
        assert_eq!((&refused["result"], &refused["reason"]), (&json!("reject"), &json!("NOT_ACTIVATED")), "{format}");
        printed.push(code);
    }
    let of_json = partner.get(&format!("/api/ota/tickets/{}/qr", tickets[0])).await.ok();
    assert_eq!(of_json["ticketCode"], json!(tickets[0]), "JSON when nothing is said");
    for (ticket, code) in tickets.iter().zip(&printed) {
        partner.activate(ticket, monday()).await.ok();
        let opened = gate.scan(code, &format!("after-{ticket}")).await;
        assert_eq!(opened["result"], "success", "what was printed before is good: {opened}");
    }

    let refused = partner.get(&format!("/api/ota/tickets/{}/qr?format=gif", tickets[0])).await;
    assert_eq!(refused.problem(422, "INVALID_PARAMETER").body["errors"][0]["field"], "format");
    partner.get("/api/ota/tickets/none/qr?format=pdf").await.problem(404, "TICKET_NOT_FOUND");
}

#[tokio::test]
async fn r_ota_04_a_batch_is_printed_without_what_was_cancelled() {
    let client = Client::new();
    let partner = client.seller("prints-batches", 95_002, 10).await;
    let tickets = codes(&partner.generate(95_002, 5, "MAY/1").await.ok()["tickets"], "ticketCode");
    let cancelled = format!("/api/ota/tickets/{}", tickets[1]);
    partner.send(Method::POST, &format!("{cancelled}/cancel")).await.ok();
    for format in ["json", "svg", "png", "pdf"] {
        partner.get(&format!("{cancelled}/qr?format={format}")).await.problem(409, "TICKET_CANCELLED");
    }

    let path = "/api/ota/batches/MAY%2F1/qr";
    let page = partner.get(&format!("{path}?page=2&limit=3")).await.ok();
    let said = ["batchId", "totalCount", "page", "pageSize"].map(|field| &page[field]);
    assert_eq!(said, [&json!("MAY/1"), &json!(4), &json!(2), &json!(3)]);
    assert_eq!(codes(&page["codes"], "ticketCode"), tickets[4..]);
    let all = partner.get(path).await.ok();
    let left = [&tickets[..1], &tickets[2..]].concat();
    assert_eq!(codes(&all["codes"], "ticketCode"), left);

    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "prints-batches" })).await;
    let of_first = &codes(&all["codes"], "qrCode")[0];
    let (media_type, pdf) = partner.file(&format!("{path}?format=pdf")).await;
    assert_eq!(media_type, "application/pdf");
    let printed = symbols::of_pdf(&pdf);
    assert_eq!(printed.len(), 4);
    let (_, pdf) = partner.file(&format!("{path}?format=pdf&page=2&limit=3")).await;
    let on_the_last_page = symbols::of_pdf(&pdf);
    assert_eq!(on_the_last_page.len(), 1);
    for (number, code) in printed.iter().chain(&on_the_last_page).chain([of_first]).enumerate() {
        assert_eq!(gate.scan(code, &format!("before-{number}")).await["reason"], "NOT_ACTIVATED");
    }
    for ticket in &left {
        partner.activate(ticket, monday()).await.ok();
    }
    let mut opened = BTreeSet::new();
    for (number, code) in printed.iter().enumerate() {
        let scanned = gate.scan(code, &format!("after-{number}")).await;
        assert_eq!(scanned["result"], "success", "{scanned}");
        let ticket = text(&scanned["tickets"][0]["ticketId"]);
        opened.insert(left.iter().position(|code| ticket.starts_with(code.as_str())));
    }
    assert_eq!(opened, (0..4).map(Some).collect(), "each opens for a ticket of its own");

    for (query, field) in [("format=svg", "format"), ("page=0", "page"), ("limit=1001", "limit")] {
        let refused = partner.get(&format!("{path}?{query}")).await.problem(422, "INVALID_PARAMETER");
        assert_eq!(refused.body["errors"][0]["field"], field);
    }
    partner.get("/api/ota/batches/none/qr?format=pdf").await.problem(404, "BATCH_NOT_FOUND");
}

#[tokio::test]
async fn r_ota_06_what_is_printed_for_the_second_unit_of_an_order_redeems_that_unit_alone() {
    let client = Client::new();
    let partner = client.seller("prints-units", 95_003, 10).await;
    let reservation = partner.reserve("one", 95_003, 3).await.ok();
    let sale = json!({
        "customerDetails": { "name": "Lam Mei", "phone": "+85291234567" }, "visitDate": monday(), "paymentReference": "P-1",
    });
    let order = partner.sell(&reservation, "sale", &sale).await.ok();
    let units = codes(&order["tickets"], "ticketCode");
    assert_eq!(units[1], format!("{}.2", text(&order["orderId"])));
    let (_, svg) = partner.file(&format!("/api/ota/tickets/{}/qr?format=svg", units[1])).await;
    let (_, pdf) = partner.file(&format!("/api/ota/tickets/{}/qr?format=pdf", units[1])).await;

    let gate = client.operator("gate").await.gate(&json!({ "deviceId": "prints-units" })).await;
    assert_eq!(gate.scan(&symbols::of_svg(&svg), "r1").await["result"], "success");
    let left = async |unit: &str| {
        let shown = partner.get(&format!("/api/ota/tickets/{unit}")).await.ok();
        shown["entitlements"].as_array().unwrap().iter().map(|one| one["remaining"].as_u64().unwrap()).sum::<u64>()
    };
    assert_eq!([left(&units[0]).await, left(&units[1]).await, left(&units[2]).await], [3, 1, 3]);
    let on_sheet = symbols::of_pdf(&pdf);
    assert_eq!(on_sheet.len(), 1, "one ticket, one symbol");
    for code in on_sheet {
        let second = gate.scan(&code, "r2").await;
        assert_eq!(
            (&second["result"], second["tickets"].as_array().unwrap().len()),
            (&json!("partial"), 2),
            "{second}"
        );
    }
    assert_eq!([left(&units[0]).await, left(&units[1]).await, left(&units[2]).await], [3, 0, 3]);
    partner.get(&format!("/api/ota/tickets/{}/qr", units[1])).await.problem(409, "TICKET_USED");
    partner.get(&format!("/api/ota/tickets/{}.4/qr", units[0])).await.problem(404, "TICKET_NOT_FOUND");
}
