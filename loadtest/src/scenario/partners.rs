//! `partners`: what a partner asks for.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::setup::{PaidTicket, WIDTH, administrator, template};
use crate::api::{Api, Call, list, spread, text};
use crate::http::Target;

/// Most tickets of a batch (R-OTA-04).
pub const BATCH: usize = 5_000;
/// Of the first product; demos and tests have lower ones.
const FIRST_PRODUCT: usize = 7_000_000;

/// A partner, with a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agent {
    pub id: String,
    pub key: String,
}

/// Makes a partner.
pub async fn agent(target: &Target, id: &str) -> anyhow::Result<Agent> {
    let mut api = Api::new(target.clone());
    let token = administrator(&mut api).await?;
    let path = format!("/admin/ota/partners/{id}");
    let body = json!({ "name": { "zh": id, "en": id }, "contact": "Load Test" });
    let put = Call { method: "PUT", path: &path, token: Some(&token), headers: &[] };
    api.expect(put, Some(&body)).await.context("making a partner")?;
    let path = format!("{path}/keys");
    let made = api.expect(Call::post(&path).token(&token), None).await.context("making a key")?;
    Ok(Agent { id: id.to_owned(), key: text(&made, "key")?.to_owned() })
}

/// A package with a number, by which partners sell it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Product {
    pub number: usize,
    pub template: String,
}

/// Products with so many units each.
pub async fn products(target: &Target, units: &[usize]) -> anyhow::Result<Vec<Product>> {
    let mut api = Api::new(target.clone());
    let token = administrator(&mut api).await?;
    let mut products = Vec::with_capacity(units.len());
    for (index, units) in units.iter().enumerate() {
        let number = FIRST_PRODUCT + index;
        let mut package = template(number);
        package["productId"] = number.into();
        package["stock"] = json!({ "total": units });
        let put = api.expect(Call::post("/admin/packages/templates").token(&token), Some(&package)).await?;
        products.push(Product { number, template: text(&put, "templateId")?.to_owned() });
    }
    Ok(products)
}

/// Sets units of products aside for a partner, and of no others.
pub async fn set_aside(target: &Target, agent: &Agent, units: &[(&Product, usize)]) -> anyhow::Result<()> {
    let mut api = Api::new(target.clone());
    let token = administrator(&mut api).await?;
    let path = format!("/admin/ota/partners/{}/allotments", agent.id);
    let of = |(product, units): &(&Product, usize)| json!({ "productId": product.number, "quantity": units });
    let allotments: Value = units.iter().map(of).collect();
    let call = Call { method: "PUT", path: &path, token: Some(&token), headers: &[] };
    api.expect(call, Some(&allotments)).await.context("setting units aside").map(drop)
}

/// A call of a partner, with its status and how long it took.
pub async fn ask(
    api: &mut Api,
    agent: &Agent,
    call: Call<'_>,
    body: Option<&Value>,
) -> anyhow::Result<(u16, Value, Duration)> {
    let begun = Instant::now();
    let (status, answer) = api.call(call.headers(&[("x-api-key", &agent.key)]), body).await?;
    Ok((status, answer, begun.elapsed()))
}

/// Tickets in advance, under the partner's id for them.
pub async fn generate(
    api: &mut Api,
    agent: &Agent,
    product: &Product,
    batch: &str,
    quantity: usize,
) -> anyhow::Result<(u16, Value, Duration)> {
    let body = json!({
        "productId": product.number, "quantity": quantity, "batchId": batch, "distributionMode": "direct_sale",
    });
    ask(api, agent, Call::post("/api/ota/tickets/bulk-generate"), Some(&body)).await
}

/// So many tickets of a partner that its customers have paid for.
pub async fn sold(
    target: &Target,
    agent: &Agent,
    product: &Product,
    batch: &str,
    number: usize,
) -> anyhow::Result<Vec<PaidTicket>> {
    let mut api = Api::new(target.clone());
    let mut generated = Vec::with_capacity(number);
    for (index, begin) in (0..number).step_by(BATCH).enumerate() {
        let (batch, quantity) = (format!("{batch}-{index}"), BATCH.min(number - begin));
        let (status, answer, _) = generate(&mut api, agent, product, &batch, quantity).await?;
        ensure!(status == 201, "{quantity} tickets were answered {status}: {}", answer["detail"]);
        for ticket in list(&answer, "tickets")? {
            generated.push((text(ticket, "ticketCode")?.to_owned(), text(ticket, "qrCode")?.to_owned()));
        }
    }
    spread(target, generated, WIDTH, async |api: &mut Api, (ticket, code): (String, String)| {
        let customer = json!({ "name": "Gate Tester", "phone": "+85251234567" });
        let body = json!({ "customerDetails": customer, "paymentReference": "load" });
        let path = format!("/api/ota/tickets/{ticket}/activate");
        let (status, answer, _) = ask(api, agent, Call::post(&path), Some(&body)).await?;
        ensure!(status == 200, "activating a ticket was answered {status}: {answer}");
        Ok(PaidTicket { ticket: format!("{ticket}-1"), traveller: 0, code })
    })
    .await
    .context("activating tickets")
}
