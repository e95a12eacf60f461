//! What the provider says about refunds (wechat.md R9; R-PAY-06, R-PAY-09), and what is done when it says nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{Client, Person};
use crate::notice::Notice;

use crate::shop::{Money, eventually, id, journey, text};

/// A cancelled order of ten whose coach is sold out meanwhile: its money can only go back.
struct Late {
    client: Client,
    mei: Person,
    order: Value,
    number: String,
}

impl Late {
    async fn of(client: Client, story: &str) -> Late {
        let (mei, bo) =
            (client.traveller(&format!("mei-{story}")).await, client.traveller(&format!("bo-{story}")).await);
        let coach = client.coach().await;
        let order = mei.place(&[journey(&coach)], 10).await.ok();
        let number = mei.begin_payment(&order).await;
        assert_eq!(mei.cancel(&order).await.ok()["status"], "cancelled");
        for _ in 0..3 {
            bo.place(&[journey(&coach)], 9).await.ok();
        }
        Late { client, mei, order, number }
    }

    /// Its first refund's number, which is known before there is one.
    fn refund(&self) -> String {
        format!("{}R1", id(&self.order))
    }

    /// A fault that strikes this refund alone.
    async fn fault(&self, endpoint: &str, mut fault: Value) {
        fault["number"] = json!(self.refund());
        self.client.tell_simulator("/faults", &json!({ endpoint: fault })).await;
    }

    async fn pay(&self) {
        self.mei.press(&self.number, &json!({ "force": true })).await;
    }

    fn total(&self) -> i64 {
        self.order["amount"]["amount"].as_i64().unwrap()
    }

    async fn is_due(&self) {
        self.client.money_becomes(&self.order, Money { captured: self.total(), due: self.total(), refunded: 0 }).await;
    }

    async fn is_refunded(&self) {
        self.client.money_becomes(&self.order, Money { captured: self.total(), due: 0, refunded: self.total() }).await;
        assert_eq!(self.mei.status(&self.order).await, "cancelled");
    }

    /// Waits until the refund is in this state.
    async fn becomes(&self, state: &str) {
        let database = self.client.database().await;
        let sql = "SELECT FROM refunds WHERE out_refund_no = $1 AND state = $2";
        eventually(&format!("the refund is {state}"), async || {
            database.query_opt(sql, &[&self.refund(), &state]).await.unwrap().map(drop)
        })
        .await;
    }

    /// Attempts to tell of the refund.
    async fn told(&self) -> Vec<Value> {
        let mut all = self.client.deliveries(&self.number).await;
        all.retain(|delivery| !delivery["out_refund_no"].is_null());
        all
    }

    /// Somebody at the provider does something with the refund.
    async fn at_provider(&self, what: &str, body: &Value) {
        self.client.tell_simulator(&format!("/refunds/{}/{what}", self.refund()), body).await;
    }

    async fn count(&self, sql: &str) -> i64 {
        self.client.database().await.query_one(sql, &[&id(&self.order)]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn r9_a_refund_notice_counts_once_and_not_at_all_when_any_byte_of_it_is_wrong() {
    let late = Late::of(Client::new(), "notice").await;
    late.fault("refund_notify", json!({ "lose_notify": true })).await;
    late.pay().await;
    let genuine = eventually("the notice is made", async || late.told().await.first().map(Notice::of)).await;
    late.becomes("processing").await;

    for (what, notice) in genuine.altered().into_iter().step_by(5) {
        let answer = late.client.send(notice.request(&late.client)).await;
        assert!(matches!(answer.status, 400 | 401), "{what}: {} {}", answer.status, answer.text);
    }
    late.is_due().await;

    for _ in 0..4 {
        assert_eq!(late.client.send(genuine.request(&late.client)).await.status, 204);
        late.is_refunded().await;
    }
    assert_eq!(late.count("SELECT count(*) FROM refunds WHERE order_id = $1").await, 1);
    let refunded = "SELECT count(*) FROM ledger_entries WHERE order_id = $1 AND kind = 'refunded'";
    assert_eq!(late.count(refunded).await, 1);
    assert_eq!(late.client.refunds(&late.number).await.len(), 1);
}

#[tokio::test]
async fn r_pay_06_a_genuine_refund_notice_about_another_amount_is_put_aside_and_changes_nothing() {
    let late = Late::of(Client::new(), "tampered").await;
    late.fault("refund_notify", json!({ "tamper": { "refund": 1 }, "times": 1 })).await;
    late.pay().await;
    let first = eventually("the notice is answered", async || late.told().await.first().cloned()).await;
    assert_eq!(first["status"], 204, "repeating it cannot help: {first}");
    let database = late.client.database().await;
    let notice = text(&first["id"]);
    let sql = "SELECT out_trade_no, reason FROM quarantine WHERE notice_id = $1";
    let row = eventually("the quarantine shows it", async || database.query_opt(sql, &[&notice]).await.unwrap()).await;
    assert_eq!(row.get::<_, String>(0), late.number);
    assert!(row.get::<_, String>(1).contains("amount"), "{row:?}");
    late.is_due().await;

    late.at_provider("notify", &json!({})).await;
    late.is_refunded().await;
}

#[tokio::test]
async fn r_pay_06_the_unsigned_xml_of_the_old_protocol_is_refused() {
    let late = Late::of(Client::new(), "xml").await;
    late.fault("refund_notify", json!({ "v2_xml": true, "times": 1 })).await;
    late.pay().await;
    let first = eventually("the notice is answered", async || late.told().await.first().cloned()).await;
    assert_eq!(first["status"], 400, "{first}");
    // The next attempt is a proper one.
    late.at_provider("notify", &json!({})).await;
    late.is_refunded().await;

    let xml = late.client.request(Method::POST, "/payments/wechat/refund-notify").header("Content-Type", "text/xml");
    late.client
        .send(xml.body("<xml><return_code>SUCCESS</return_code></xml>"))
        .await
        .problem(400, "MALFORMED_NOTIFICATION");
}

#[tokio::test]
async fn r9_a_refund_whose_answer_and_notices_are_lost_is_found_by_query() {
    let late = Late::of(Client::new(), "lost").await;
    late.fault("refund", json!({ "drop_after": true, "times": 1 })).await;
    late.fault("refund_notify", json!({ "lose_notify": true })).await;
    // The query comes when the money has gone back.
    late.fault("refund_query", json!({ "delay_before_ms": 2_000 })).await;
    late.pay().await;
    late.is_refunded().await;
    assert_eq!(late.client.refunds(&late.number).await.len(), 1, "it was not called again");
    assert!(late.told().await.iter().all(|delivery| delivery["error"] == "lost"));
}

#[tokio::test]
async fn r9_a_refund_that_cannot_arrive_stays_due_until_somebody_has_mended_it() {
    let late = Late::of(Client::new(), "abnormal").await;
    late.fault("refund", json!({ "refund_becomes": "ABNORMAL" })).await;
    late.pay().await;
    late.becomes("abnormal").await;
    late.is_due().await;

    late.at_provider("settle", &json!({ "status": "SUCCESS" })).await;
    late.is_refunded().await;
}

#[tokio::test]
async fn r9_a_refund_that_is_refused_for_want_of_money_stays_due() {
    let late = Late::of(Client::new(), "refused").await;
    late.fault("refund", json!({ "status_before": 403, "error_code": "NOT_ENOUGH", "times": 1 })).await;
    late.pay().await;
    late.becomes("refused").await;
    late.is_due().await;
    assert_eq!(late.client.refunds(&late.number).await, Vec::<Value>::new());
}
