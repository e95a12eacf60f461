//! What is set aside for partners: the stocks are asked before it is written, all or none (R-OTA-02).

use deeptravel_domain::catalogue::{
    Command as Configure, Names, Partner, PartnerAllotments, ProductAllotment, Template,
};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::{HoldId, OrderId, Shard};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::stock::{Command, Place, StockId};
use serde_json::json;

use crate::testing::{NOON, Running, World, put};

/// A package of which 10 units are sold, known to partners by this number.
fn package(product: u32) -> Template {
    let said = json!({
        "name": { "zh": "套票", "en": format!("Package {product}") }, "status": "active", "productId": product,
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 30 },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } }],
        "stock": { "total": 10 },
    });
    serde_json::from_value(said).unwrap()
}

fn stock(product: u32) -> StockId {
    StockId::Package(Template::id_of(&Names::new("套票", format!("Package {product}"))))
}

fn klook() -> Channel {
    Channel::Ota("klook".into())
}

fn set_aside(allotments: &[(u32, u32)]) -> Configure {
    let one = |(product, quantity): &(u32, u32)| ProductAllotment { product: *product, quantity: *quantity };
    put(PartnerAllotments { partner: "klook".parse().unwrap(), allotments: allotments.iter().map(one).collect() })
}

impl Running {
    async fn write(&self, command: Configure) -> Result<bool, Rejection> {
        self.shown(self.engine.configure(command)).await.unwrap().map(|standing| standing.changed)
    }

    fn left_of(&self, product: u32) -> [Option<u32>; 2] {
        let board = &self.services().stock_board;
        [klook(), Channel::Direct].map(|channel| board.left(&stock(product), None, &channel))
    }

    /// The partner takes so many units.
    async fn partner_takes(&self, product: u32, quantity: u32) {
        let order = OrderId::compose(NOON, Shard::of(1), u64::from(product) << 8);
        let at = HoldAt { hold: HoldId { order, item: 0 }, epoch: 1 };
        let expires_at = self.engine.now().plus_seconds(600);
        let place = Place { at, quantity, date: None, channel: klook(), holder: None, expires_at };
        let placed = self.services().stocks.consult(&stock(product), Command::Place(place)).await.unwrap();
        placed.outcome.unwrap();
    }
}

async fn shop() -> (World, Running) {
    let world = World::default();
    let running = world.start().await;
    let names = Names::new("客路", "Klook");
    let partner = Partner { id: "klook".parse().unwrap(), names, contact: "Mei".to_owned(), disabled: false };
    running.write(put(partner)).await.unwrap();
    for product in [1, 2] {
        running.write(put(package(product))).await.unwrap();
    }
    (world, running)
}

#[actix::test]
async fn r_ota_02_less_than_a_partner_has_in_use_is_refused_and_no_stock_changes() {
    let (_world, running) = shop().await;
    assert_eq!(running.write(set_aside(&[(1, 6), (2, 6)])).await, Ok(true));
    assert_eq!([running.left_of(1), running.left_of(2)], [[Some(6), Some(4)]; 2]);
    running.partner_takes(2, 5).await;

    // Whichever of the two stocks is asked first, neither changes.
    for (of_first, of_second) in [(3, 4), (9, 4)] {
        let refused = running.write(set_aside(&[(1, of_first), (2, of_second)])).await.unwrap_err();
        assert_eq!(refused.code(), "BELOW_USE");
        assert!(refused.to_string().contains("of product 2 5 are held"), "{refused}");
        assert_eq!([running.left_of(1), running.left_of(2)], [[Some(6), Some(4)], [Some(1), Some(4)]]);
    }
    let refused = running.write(set_aside(&[(1, 6)])).await.unwrap_err();
    assert_eq!(refused.code(), "BELOW_USE", "what is not named is 0");
    assert_eq!(running.write(set_aside(&[(2, 5)])).await, Ok(true));
    assert_eq!([running.left_of(1), running.left_of(2)], [[Some(0), Some(10)], [Some(0), Some(5)]]);
}

#[actix::test]
async fn r_ota_02_a_package_is_not_limited_below_what_is_set_aside_of_it() {
    let (_world, running) = shop().await;
    running.write(set_aside(&[(1, 6)])).await.unwrap();
    let less =
        Template { stock: deeptravel_domain::catalogue::StockLimits { total: Some(5), per_date: None }, ..package(1) };
    let refused = running.write(put(less)).await.unwrap_err();
    assert_eq!(refused.code(), "VALIDATION_ERROR");
    assert!(refused.to_string().starts_with("stock.total"), "{refused}");
}

#[actix::test]
async fn r_ota_02_what_is_set_aside_is_there_after_a_restart() {
    let (world, running) = shop().await;
    running.write(set_aside(&[(1, 6)])).await.unwrap();
    running.partner_takes(1, 2).await;
    running.stop().await.unwrap();
    let running = world.start().await;
    assert_eq!(running.left_of(1), [Some(4), Some(4)]);
    assert_eq!(running.write(set_aside(&[(1, 6)])).await, Ok(false), "it is already so");
}
