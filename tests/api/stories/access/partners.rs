//! Partners: who may ask what of them and as one of them, and that none has part in what is another's.

use reqwest::Method;
use serde_json::{Value, json};

use super::{AGENTS, Admin, DESKS, LISTED, PARTNERS, Row, SIGNED, documented, kind};
use crate::client::{Answer, Client, signed};
use crate::shop::{GENERATE, generation, id, journey, monday, text};

/// Partners, their keys, what is set aside for them, and what they ask.
pub fn rows() -> Vec<Row> {
    let body = json!({ "name": { "zh": "客路", "en": "Access" }, "contact": "Mei" });
    let looked_at_by_few = |row: Row| Row { may: if row.may == DESKS { AGENTS } else { row.may }, ..row };
    let partner = kind("/admin/ota/partners/{partnerId}", "access-kind", &body, &[LISTED]);
    let set_aside = kind("/admin/ota/partners/{partnerId}/allotments", "access-kind", &json!([]), &[]);
    let row = |operation: &str, may, path: &str| {
        let (operation, path) = (operation.to_owned(), path.replace("{partnerId}", "access-kind"));
        Row { operation, may, path, body: Value::Null }
    };
    let keys = "/admin/ota/partners/{partnerId}/keys";
    let of_keys = [
        row(&format!("GET {keys}"), AGENTS, keys),
        row(&format!("POST {keys}"), &[Admin], keys),
        row(&format!("DELETE {keys}/{{keyId}}"), &[Admin], &format!("{keys}/nothing")),
    ];
    let hook = "/admin/ota/partners/{partnerId}/webhooks";
    let body = json!({ "url": "https://access.example/", "enabled": false });
    let with = |body: Value, row: Row| Row { body, ..row };
    let of_hook = [
        with(body, row(&format!("PUT {hook}"), &[Admin], hook)),
        row(&format!("GET {hook}"), AGENTS, hook),
        row(&format!("POST {hook}/secret"), &[Admin], &format!("{hook}/secret")),
        row(&format!("GET {hook}/deliveries"), AGENTS, &format!("{hook}/deliveries")),
        with(json!({ "fromSequence": 1 }), row(&format!("POST {hook}/replay"), &[Admin], &format!("{hook}/replay"))),
    ];
    let asked = ["products", "inventory", "tickets", "batches", "reservations", "orders"].map(|what| {
        let path = format!("/api/ota/{what}");
        row(&format!("GET {path}"), PARTNERS, &path)
    });
    let of_nothing = [
        "GET /api/ota/tickets/{ticketCode}",
        "GET /api/ota/tickets/{ticketCode}/qr",
        "GET /api/ota/batches/{batchId}/qr",
        "POST /api/ota/tickets/{ticketCode}/cancel",
        "GET /api/ota/batches/{batchId}",
        "GET /api/ota/batches/{batchId}/analytics",
        "GET /api/ota/reservations/{reservationId}",
        "DELETE /api/ota/reservations/{reservationId}",
        "GET /api/ota/orders/{orderId}",
        "GET /api/ota/orders/{orderId}/tickets",
    ];
    let of_nothing = of_nothing.map(|operation| row(operation, PARTNERS, &of_path(operation, "none")));
    let batch = generation(1, 1, "access");
    let customer = json!({ "customerDetails": { "name": "Mei", "phone": "+85291234567" }, "paymentReference": "P-1" });
    let activate = "/api/ota/reservations/none/activate";
    let paid = json!({ "ticketCode": "none", "paymentReference": "P-1", "paidAt": "2026-12-01T10:00:00+08:00" });
    let sold = [
        with(json!({ "productId": 1, "quantity": 1 }), row("POST /api/ota/reserve", PARTNERS, "/api/ota/reserve")),
        with(customer.clone(), row("POST /api/ota/reservations/{reservationId}/activate", PARTNERS, activate)),
        with(paid, row(SIGNED, PARTNERS, "/api/ota/webhooks/payment")),
        with(batch, row(&format!("POST {GENERATE}"), PARTNERS, GENERATE)),
        with(customer, row("POST /api/ota/tickets/{ticketCode}/activate", PARTNERS, "/api/ota/tickets/none/activate")),
    ];
    let configured = partner.into_iter().chain(set_aside).map(looked_at_by_few);
    configured.chain(of_keys).chain(of_hook).chain(asked).chain(of_nothing).chain(sold).collect()
}

/// The path of an operation, with this for whatever it is about.
fn of_path(operation: &str, id: &str) -> String {
    let path = operation.split_once(' ').unwrap().1;
    ["{ticketCode}", "{batchId}", "{reservationId}", "{orderId}"]
        .iter()
        .fold(path.to_owned(), |path, parameter| path.replace(parameter, id))
}

#[tokio::test]
async fn r_ota_08_every_operation_of_a_partner_keeps_what_is_another_partners() {
    let client = Client::new();
    let (owner, other) = (client.seller("strangers-owner", 93_001, 10).await, client.partner("strangers-other").await);
    let batch = owner.generate(93_001, 3, "strangers").await.ok();
    let mut tickets: Vec<String> = (0..3).map(|at| text(&batch["tickets"][at]["ticketCode"])).collect();
    let mei = client.traveller("strangers-mei").await;
    tickets.push(id(&mei.place(&[journey(&client.coach().await)], 1).await.ok()));
    let customer =
        json!({ "customerDetails": { "name": "Lam Mei", "phone": "+85291234567" }, "paymentReference": "P-1" });
    let path = |operation: &str, ticket: &str| {
        operation.split_once(' ').unwrap().1.replace("{ticketCode}", ticket).replace("{batchId}", "strangers")
    };
    owner.activate(&tickets[1], monday()).await.ok();
    let reservation = owner.reserve("strangers", 93_001, 2).await.ok();
    let reserved = text(&reservation["reservationId"]);
    let is_kept = |answer: &Answer| {
        let parts = ["Lam Mei", &tickets[0], &tickets[1], &reserved, "strangers\""];
        assert!(parts.iter().all(|part| !answer.text.contains(part)), "{}", answer.text);
    };

    for (operation, permission) in documented(&client).await {
        if permission != "resell" {
            continue;
        }
        match operation.as_str() {
            "GET /api/ota/products" | "GET /api/ota/inventory" => is_kept(&other.get(&path(&operation, "")).await),
            "GET /api/ota/tickets" | "GET /api/ota/batches" | "GET /api/ota/orders" | "GET /api/ota/reservations" => {
                let listed = other.get(&path(&operation, "")).await;
                is_kept(&listed);
                assert_eq!(listed.ok()["totalCount"], 0, "{operation}");
                if operation.ends_with("tickets") {
                    let of_batch = other.get("/api/ota/tickets?batchId=strangers").await.ok();
                    assert_eq!(of_batch["totalCount"], 0);
                }
            }
            "POST /api/ota/tickets/bulk-generate" => {
                other.generate(93_001, 3, "strangers").await.problem(409, "INSUFFICIENT_ALLOTMENT");
            }
            "GET /api/ota/tickets/{ticketCode}" => {
                for ticket in &tickets {
                    let refused = other.get(&path(&operation, ticket)).await.problem(404, "TICKET_NOT_FOUND");
                    is_kept(&refused);
                }
            }
            "GET /api/ota/tickets/{ticketCode}/qr" => {
                for ticket in &tickets {
                    let refused = other.get(&path(&operation, ticket)).await.problem(404, "TICKET_NOT_FOUND");
                    is_kept(&refused);
                }
            }
            "POST /api/ota/tickets/{ticketCode}/cancel" => {
                for ticket in &tickets {
                    let refused = other.send(Method::POST, &path(&operation, ticket)).await;
                    refused.problem(404, "TICKET_NOT_FOUND");
                }
            }
            "POST /api/ota/tickets/{ticketCode}/activate" => {
                for ticket in &tickets {
                    other.post(&path(&operation, ticket), &customer).await.problem(404, "TICKET_NOT_FOUND");
                }
            }
            SIGNED => {
                let secret = other.secret().await;
                for ticket in &tickets {
                    let paid = json!({ "ticketCode": ticket, "paymentReference": "P-1", "paidAt": "2026-12-01T10:00:00+08:00" });
                    let request = client.request(Method::POST, &path(&operation, "")).header("X-API-Key", &other.key);
                    client.send(signed(request, &secret, "msg_1", &paid)).await.problem(404, "TICKET_NOT_FOUND");
                }
            }
            "GET /api/ota/batches/{batchId}"
            | "GET /api/ota/batches/{batchId}/analytics"
            | "GET /api/ota/batches/{batchId}/qr" => {
                other.get(&path(&operation, "")).await.problem(404, "BATCH_NOT_FOUND");
            }
            "POST /api/ota/reserve" => {
                other.reserve("strangers", 93_001, 1).await.problem(409, "INSUFFICIENT_ALLOTMENT");
            }
            "GET /api/ota/reservations/{reservationId}" => {
                is_kept(&other.get(&of_path(&operation, &reserved)).await.problem(404, "RESERVATION_NOT_FOUND"));
            }
            "DELETE /api/ota/reservations/{reservationId}" => {
                let refused = other.send(Method::DELETE, &of_path(&operation, &reserved)).await;
                refused.problem(404, "RESERVATION_NOT_FOUND");
            }
            "POST /api/ota/reservations/{reservationId}/activate" => {
                other.sell(&reservation, "strangers", &customer).await.problem(404, "RESERVATION_NOT_FOUND");
            }
            "GET /api/ota/orders/{orderId}" | "GET /api/ota/orders/{orderId}/tickets" => {
                for order in &tickets {
                    is_kept(&other.get(&of_path(&operation, order)).await.problem(404, "ORDER_NOT_FOUND"));
                }
            }
            unknown => panic!("nothing is said of {unknown}"),
        }
    }
    let figures = owner.get("/api/ota/batches/strangers/analytics").await.ok();
    assert_eq!((&figures["activated"], &figures["cancelled"]), (&json!(1), &json!(0)), "{figures}");
    let kept = owner.get(&of_path("GET /api/ota/reservations/{reservationId}", &reserved)).await.ok();
    assert_eq!((&kept["status"], &kept["remaining"]), (&json!("active"), &json!(2)));
}
