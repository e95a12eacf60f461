//! A good request for every operation of partners.

use serde_json::{Value, json};

use super::Example;
use crate::client::{Partner, Person, passenger_name};
use crate::shop::monday;

/// What a partner has of its own.
pub struct Sold {
    /// Code of a ticket that nobody has activated, of the batch `bad-input`.
    ticket: String,
    /// The second one is there to be cancelled.
    reservations: [String; 2],
}

impl Sold {
    pub async fn make(partner: &Partner, product: &Value) -> Sold {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let batch = json!({
            "productId": product, "quantity": 1, "batchId": "bad-input", "distributionMode": "direct_sale",
        });
        let generated = partner.post("/api/ota/tickets/bulk-generate", &batch).await.ok();
        let ticket = text(&generated["tickets"][0]["ticketCode"]);
        let mut reservations = [String::new(), String::new()];
        for (key, id) in ["kept", "cancelled"].into_iter().zip(&mut reservations) {
            let body = json!({ "productId": product, "quantity": 1 });
            *id = text(&partner.keyed("/api/ota/reserve", key, &body).await.ok()["reservationId"]);
        }
        Sold { ticket, reservations }
    }
}

/// The partner has sold this.
pub fn examples(admin: Option<&Person>, partner: &Partner, sold: &Sold) -> Vec<Example> {
    let [kept, _] = &sold.reservations;
    let mut examples = configured(admin, partner);
    examples.extend(tickets(partner, &sold.ticket, kept));
    examples.extend(sales(partner, &sold.reservations));
    examples
}

/// Keys and webhooks of partners, and what partners ask.
fn configured(admin: Option<&Person>, partner: &Partner) -> Vec<Example> {
    let keys = "/admin/ota/partners/{partnerId}/keys";
    let of_keys = |operation: String| Example::new(operation, admin).with("partnerId", &partner.id);
    let hook = "/admin/ota/partners/{partnerId}/webhooks";
    let write_hook =
        |deed: &str, below: &str| of_keys(format!("{deed} {hook}{below}")).with("Idempotency-Key", "bad-input");
    let asked = |what: &str| Example { key: partner.key.clone(), ..Example::new(format!("GET /api/ota/{what}"), None) };
    vec![
        of_keys(format!("GET {keys}")),
        of_keys(format!("POST {keys}")).with("Idempotency-Key", "bad-input"),
        of_keys(format!("DELETE {keys}/{{keyId}}")).with("keyId", "nothing").with("Idempotency-Key", "bad-input"),
        of_keys(format!("GET {hook}")),
        write_hook("PUT", "").body(json!({ "url": "https://bad-input.example/", "enabled": false })),
        write_hook("POST", "/secret"),
        of_keys(format!("GET {hook}/deliveries")),
        write_hook("POST", "/replay").body(json!({ "fromSequence": 1 })),
        asked("products").with("productIds", "106,107"),
        asked("inventory").with("productIds", "106"),
        Example {
            key: partner.key.clone(),
            body: json!({
                "ticketCode": "none", "paymentReference": "P-1", "paidAt": "2026-12-01T10:00:00+08:00",
                "customerDetails": { "name": passenger_name(1), "phone": "+85291234567", "email": "mei@example.org" },
            }),
            is_signed: true,
            ..Example::new("POST /api/ota/webhooks/payment", None)
        },
    ]
}

/// What partners ask of batches and tickets; one has this ticket and this reservation.
fn tickets(partner: &Partner, ticket: &str, reservation: &str) -> Vec<Example> {
    let asked = |operation: &str| Example { key: partner.key.clone(), ..Example::new(operation, None) };
    let ticket = |operation: &str| asked(operation).with("ticketCode", ticket);
    let batch = |operation: &str| asked(operation).with("batchId", "bad-input");
    let nothing = || vec![("batchId", "a batch that is not there has no tickets")];
    vec![
        asked("POST /api/ota/tickets/bulk-generate").body(json!({
            "productId": 90_106, "quantity": 1, "batchId": "bad-input-never", "distributionMode": "reseller_batch",
            "resellerMetadata": { "intendedReseller": "Lok", "batchPurpose": "May", "distributionNotes": "Boxes" },
            "reservationId": reservation, "expiresAt": "2099-12-31T00:00:00+08:00",
        })),
        Example { any_text: nothing(), ..asked("GET /api/ota/tickets").with("createdAfter", "2026-12-24") },
        ticket("GET /api/ota/tickets/{ticketCode}"),
        ticket("GET /api/ota/tickets/{ticketCode}/qr"),
        ticket("POST /api/ota/tickets/{ticketCode}/cancel"),
        ticket("POST /api/ota/tickets/{ticketCode}/activate").body(json!({
            "customerDetails": { "name": passenger_name(1), "phone": "+85291234567", "email": "mei@example.org" },
            "customerType": "adult", "visitDate": monday(), "paymentReference": "P-1",
        })),
        asked("GET /api/ota/batches"),
        batch("GET /api/ota/batches/{batchId}"),
        batch("GET /api/ota/batches/{batchId}/analytics"),
        batch("GET /api/ota/batches/{batchId}/qr"),
    ]
}

/// What partners ask of reservations and orders; one has these reservations.
fn sales(partner: &Partner, [kept, cancelled]: &[String; 2]) -> Vec<Example> {
    let asked = |operation: &str| Example { key: partner.key.clone(), ..Example::new(operation, None) };
    let nothing = || vec![("batchId", "a batch that is not there has no orders")];
    vec![
        asked("POST /api/ota/reserve")
            .with("Idempotency-Key", "bad-input")
            .body(json!({ "productId": 90_106, "quantity": 1 })),
        asked("GET /api/ota/reservations").with("createdAfter", "2026-12-24"),
        asked("GET /api/ota/reservations/{reservationId}").with("reservationId", kept),
        asked("DELETE /api/ota/reservations/{reservationId}").with("reservationId", cancelled),
        asked("POST /api/ota/reservations/{reservationId}/activate")
            .with("reservationId", kept)
            .with("Idempotency-Key", "bad-input")
            .body(json!({
                "quantity": 1,
                "customerDetails": { "name": passenger_name(1), "phone": "+85291234567", "email": "mei@example.org" },
                "customerType": "adult", "visitDate": monday(), "paymentReference": "P-1",
            })),
        Example { any_text: nothing(), ..asked("GET /api/ota/orders").with("createdAfter", "2026-12-24") },
        asked("GET /api/ota/orders/{orderId}").with("orderId", "nothing"),
        asked("GET /api/ota/orders/{orderId}/tickets").with("orderId", "nothing"),
    ]
}
