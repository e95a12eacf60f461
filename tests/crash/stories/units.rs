//! Units of a package's day are sold to the last one through `kill -9`, while an administrator writes its template again and
//! again (rule 5, R-ADMIN-01). Over HTTP there is direct sale only; three channels at once are a story of the actors.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::history::patiently;
use crate::server::{Launch, PATIENCE, Server, World};
use crate::shop::{Shop, day_in};

const UNITS: usize = 500;
const SELLERS: usize = 6;
const KILLS: usize = 2;
/// Orders that are answered before the server dies, each time: too few to sell everything.
const ANSWERED: usize = 40;

/// A museum, so many units a day, and more than anybody asks for in all.
fn museum(write: usize) -> Value {
    json!({
        "name": { "zh": "套票", "en": "Units" },
        "versionToken": format!("v{write}"),
        "status": "active",
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 30 },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } }],
        "stock": { "total": 10_000 + write, "perDate": UNITS },
    })
}

/// What a seller asks for. Asked again with its key, it is the same.
#[derive(Clone, Debug)]
struct Sale {
    seller: usize,
    key: String,
    adults: usize,
}

/// What is sold, and by whom.
#[derive(Clone)]
struct Stall {
    shop: Shop,
    admin: String,
    tokens: Arc<Vec<String>>,
    template: String,
    date: String,
    answered: Arc<AtomicUsize>,
    /// The units of every sale that was answered with an order.
    sold: Arc<Mutex<Vec<usize>>>,
}

impl Stall {
    /// Whether it was sold; `None`: nobody knows.
    async fn ask(&self, sale: &Sale) -> Option<bool> {
        let item = json!({ "kind": "package", "templateId": self.template, "serviceDate": self.date, "quantity": 1 });
        let token = &self.tokens[sale.seller];
        let (status, order) = self.shop.order_of_items(token, &sale.key, &[item], sale.adults).await.ok()?;
        self.answered.fetch_add(1, Ordering::Relaxed);
        if status.is_success() {
            self.sold.lock().unwrap().push(sale.adults);
            return Some(true);
        }
        assert_eq!((status, &order["code"]), (StatusCode::CONFLICT, &json!("SOLD_OUT")), "{order}");
        assert!(order["available"].as_u64().is_some_and(|left| left < sale.adults as u64), "{order}");
        Some(false)
    }

    /// Everybody sells, until they are refused or get no answer; resolves to what nobody knows of.
    fn sell(&self, round: usize) -> Vec<JoinHandle<Option<Sale>>> {
        let seller = |seller: usize| {
            let stall = self.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let sale = Sale { seller, key: format!("r{round}-s{seller}-n{n}"), adults: 1 + n % 3 };
                    match stall.ask(&sale).await {
                        Some(true) => {}
                        Some(false) => return None,
                        None => return Some(sale),
                    }
                }
                unreachable!("there is an end of everything")
            })
        };
        (0..SELLERS).map(seller).collect()
    }

    /// Asks again for what nobody knows of. Resolves to how many units that is.
    async fn settle(&self, selling: Vec<JoinHandle<Option<Sale>>>) -> anyhow::Result<usize> {
        let mut unknown = 0;
        for seller in selling {
            let Some(sale) = seller.await? else { continue };
            unknown += sale.adults;
            let since = Instant::now();
            while self.ask(&sale).await.is_none() {
                assert!(since.elapsed() < PATIENCE, "no answer: {sale:?}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        Ok(unknown)
    }

    fn sum(&self) -> usize {
        self.sold.lock().unwrap().iter().sum()
    }

    /// Units of the day that are in use, and the total that is its limit.
    async fn stock(&self) -> (usize, usize) {
        let path = format!("/admin/packages/templates/{}/stock", self.template);
        let (_, stock) = patiently(|| self.shop.list(&self.admin, &path)).await;
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{stock}")) as usize;
        let in_use = number(&stock["inUse"]);
        assert_eq!(number(&stock["available"]) + in_use, number(&stock["limits"]["total"]), "{stock}");
        (in_use, number(&stock["limits"]["total"]))
    }

    /// Writes the template under token after token, until there is no answer; resolves to that write.
    fn write(&self, mut write: usize) -> JoinHandle<usize> {
        let Stall { shop, admin, .. } = self.clone();
        tokio::spawn(async move {
            while let Ok((status, written)) = shop.put_template(&admin, &museum(write)).await {
                assert_eq!((status, &written["version"]), (StatusCode::CREATED, &json!(write)), "{written}");
                write += 1;
            }
            write
        })
    }
}

async fn start(world: &World) -> anyhow::Result<Server> {
    // Nobody pays, and nothing lapses meanwhile.
    let lasting = |launch: Launch| launch.with("DEEPTRAVEL__ORDER__LOCK_SECONDS", "3600");
    lasting(world.launch()).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r_hold_04_r_admin_01_500_units_of_a_day_are_sold_to_the_last_through_kill_9_and_so_are_writes()
-> anyhow::Result<()> {
    let world = World::new(None)?;
    let mut server = start(&world).await?;
    let shop = Shop::new(world.base_url(), world.simulator.base_url())?;
    let admin = shop.administrator().await?;
    let (_, put) = shop.put_template(&admin, &museum(1)).await.expect("an answer");
    let template = put["templateId"].as_str().unwrap_or_else(|| panic!("{put}")).to_owned();
    let mut tokens = Vec::new();
    for number in 0..SELLERS {
        tokens.push(shop.login(&format!("seller{number}")).await?);
    }
    let (tokens, date) = (Arc::new(tokens), day_in(4)?.to_string());
    let (answered, sold) = (Arc::default(), Arc::default());
    let stall = Stall { shop, admin, tokens, template, date, answered, sold };

    let (mut next, mut left_behind) = (2, 0);
    for round in 0..KILLS {
        let before = stall.answered.load(Ordering::Relaxed);
        let (selling, writing) = (stall.sell(round), stall.write(next));
        let since = Instant::now();
        while stall.answered.load(Ordering::Relaxed) < before + ANSWERED {
            assert!(since.elapsed() < PATIENCE, "nothing is sold");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        server.kill()?;
        let unknown = writing.await?;
        server = start(&world).await?;

        // What nobody knows of is asked for again: the orders with their keys, the write with its token.
        let asked_again = stall.settle(selling).await?;
        let template = museum(unknown);
        let (status, written) = patiently(|| stall.shop.put_template(&stall.admin, &template)).await;
        assert!(status.is_success() && written["version"] == json!(unknown), "{status} {written}");
        let (in_use, total) = stall.stock().await;
        assert_eq!(total, 10_000 + unknown);
        // An order that was not written yet has left its hold behind until its lock ends; told again, it is another order.
        let left = in_use.checked_sub(stall.sum()).expect("what was answered is so");
        assert!((left_behind..=left_behind + asked_again).contains(&left), "{left} units are nobody's");
        left_behind = left;
        next = unknown + 1;
    }

    // To the last unit: who is refused two or three may still have one.
    for round in KILLS.. {
        let before = stall.sum();
        stall.settle(stall.sell(round)).await?;
        if stall.sum() == before {
            break;
        }
    }
    assert_eq!((stall.sum() + left_behind, stall.stock().await.0), (UNITS, UNITS));
    Ok(())
}
