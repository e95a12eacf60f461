//! The desk that sees to money in trouble: the quarantine, and refunds that wait for a person (R-PAY-06, R-ADMIN-07).

use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::server::another;
use crate::shop::{COACH_SEATS, eventually, id, journey, text};

/// A gauge or counter as `/metrics` shows it.
async fn metric(client: &Client, name: &str) -> u64 {
    let metrics = client.get("/metrics").await.text;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} in {metrics}")).parse().unwrap()
}

fn notices(list: &Value) -> &Vec<Value> {
    list["notices"].as_array().unwrap()
}

#[tokio::test]
async fn r_pay_06_finance_sees_to_what_fits_no_order_and_what_was_done_is_kept() {
    let client = Client::of(another(&[]));
    let (mei, finance) = (client.traveller("mei").await, client.staff("finance").await);
    let auditor = client.staff("auditor").await;
    assert_eq!(notices(&finance.get("/admin/quarantine").await.ok()).len(), 0);
    assert_eq!(metric(&client, "payment_quarantine_open").await, 0);
    let order = mei.place(&[journey(&client.coach().await)], 1).await.ok();
    let number = mei.begin_payment(&order).await;
    mei.press(&number, &json!({ "total": 1 })).await;
    // One by the notice, another by the query after five seconds.
    let list = eventually("both are there", async || {
        let list = finance.get("/admin/quarantine?resolved=false").await.ok();
        (notices(&list).len() == 2).then_some(list)
    })
    .await;
    assert_eq!(metric(&client, "payment_quarantine_open").await, 2);
    let page = finance.get("/admin/quarantine?limit=1").await.ok();
    assert_eq!(notices(&page), &notices(&list)[..1]);
    let page = finance.get(&format!("/admin/quarantine?limit=1&cursor={}", text(&page["nextCursor"]))).await.ok();
    assert_eq!((notices(&page), page.get("nextCursor")), (&notices(&list)[1..].to_vec(), None));

    let (asked, noticed) = (&notices(&list)[0], &notices(&list)[1]);
    assert_eq!((&asked["noticeId"], &asked["orderId"]), (&json!(format!("query/{number}")), &order["orderId"]));
    assert_eq!((&noticed["orderId"], &noticed["notice"]["amount"]["total"]), (&order["orderId"], &json!(1)));
    let path = |notice: &Value| format!("/admin/quarantine/{}/resolve", text(&notice["noticeId"]).replace('/', "%2F"));
    for notice in [asked, noticed] {
        let resolved = finance.post(&path(notice), &json!({ "note": "given back by hand" })).await.ok();
        assert_eq!((&resolved["resolvedBy"], &resolved["note"]), (&json!("finance"), &json!("given back by hand")));
        let again = client.administrator().await.post(&path(notice), &json!({ "note": "by me" })).await.ok();
        assert_eq!(again, resolved, "the first one is kept");
    }
    auditor.post(&path(asked), &json!({ "note": "no" })).await.problem(403, "FORBIDDEN");
    finance.post("/admin/quarantine/none/resolve", &json!({ "note": "no" })).await.problem(404, "NOTICE_NOT_FOUND");
    finance.post(&path(asked), &json!({ "note": " " })).await.names("note");
    assert_eq!(metric(&client, "payment_quarantine_open").await, 0);
    assert_eq!(notices(&finance.get("/admin/quarantine?resolved=false").await.ok()).len(), 0, "one's own changes show");
    assert_eq!(notices(&auditor.get("/admin/quarantine?resolved=true").await.ok()).len(), 2);
}

/// A refund of this order in a list.
async fn listed(desk: &Person, status: &str, order: &Value) -> Option<Value> {
    let list = desk.get(&format!("/admin/refunds?status={status}")).await.ok();
    list["refunds"].as_array().unwrap().iter().find(|refund| refund["orderId"] == id(order)).cloned()
}

#[tokio::test]
async fn r_pay_04_a_refund_that_wechat_refuses_waits_for_finance_and_goes_on_when_told() {
    let client = Client::of(another(&[]));
    let (mei, bo) = (client.traveller("mei").await, client.traveller("bo").await);
    let finance = client.staff("finance").await;
    let coach = client.coach().await;
    let order = mei.place(&[journey(&coach)], 1).await.ok();
    let number = mei.begin_payment(&order).await;
    mei.cancel(&order).await.ok();
    for party in [10, 10, 10, COACH_SEATS as usize - 30] {
        let filling = bo.place(&[journey(&coach)], party).await.ok();
        bo.pay(&filling).await;
    }
    let refuse = json!({ "refund": { "status_before": 403, "error_code": "NOT_ENOUGH" } });
    client.tell_simulator("/faults", &refuse).await;
    mei.press(&number, &json!({ "force": true })).await;

    let stuck = eventually("it is refused", async || listed(&finance, "stuck", &order).await).await;
    assert_eq!((&stuck["status"], &stuck["shownStatus"]), (&json!("refused"), &json!("delayed")));
    assert_eq!(stuck["outTradeNo"], number);
    assert!(text(&stuck["refusal"]).contains("ENOUGH"), "{stuck}");
    assert_eq!(mei.shown(&order).await["refunds"][0]["status"], "delayed");
    assert_eq!((metric(&client, "refunds_stuck").await, metric(&client, "refunds_outstanding").await), (1, 1));
    for never in ["paying_holds_overdue", "seats_resold_while_payable"] {
        assert_eq!(metric(&client, never).await, 0, "{never}");
    }
    let path = format!("/admin/refunds/{}/retry", text(&stuck["refundId"]));
    client.staff("auditor").await.post(&path, &json!({})).await.problem(403, "FORBIDDEN");

    client.clear_faults().await;
    assert_eq!(finance.post(&path, &json!({})).await.status, 202);
    eventually("the money is back", async || {
        let url = format!("{}/refunds/{}/settle", client.server.simulator, text(&stuck["refundId"]));
        client.send(client.http.post(url).json(&json!({ "status": "SUCCESS" }))).await;
        listed(&finance, "succeeded", &order).await
    })
    .await;
    assert_eq!(metric(&client, "refunds_outstanding").await, 0);
    assert!(listed(&finance, "outstanding", &order).await.is_none());
    finance.post(&path, &json!({})).await.problem(409, "REFUND_NOT_STUCK");
    for unknown in ["none", &format!("{}R9", id(&order))] {
        let answer = finance.post(&format!("/admin/refunds/{unknown}/retry"), &json!({})).await;
        assert_eq!(answer.problem(404, "REFUND_NOT_FOUND").body["errors"][0]["field"], "refundId");
    }
    finance.get("/admin/refunds?status=lost").await.names("status");
}
