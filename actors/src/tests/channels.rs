//! Units of one day sold through three channels at once, through a crash (rule 5, R-OTA-02): direct by orders, partners' by
//! messages to the owner of the stock.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use deeptravel_domain::catalogue::{Names, Template};
use deeptravel_domain::departure::Channel;
use deeptravel_domain::hold::HoldAt;
use deeptravel_domain::ids::{HoldId, OrderId, Shard};
use deeptravel_domain::order::{ItemWish, PackageWish, Wish};
use deeptravel_domain::rejection::{Rejection, Sold};
use deeptravel_domain::stock::{Allotment, Command, Place, StockId};
use futures_util::future::join_all;
use serde_json::json;

use super::space::assert_nobody_died;
use crate::engine::Engine;
use crate::testing::{NOON, Running, SUNDAY, World, eventually, ferry, put, traveller, wish, within};

const UNITS: u32 = 500;
/// The channels, and what each may sell.
const CHANNELS: usize = 3;
const OWN: [u32; CHANNELS] = [250, 150, 100];
/// Who ask at once, of each channel.
const SELLERS: u64 = 4;

fn channel(index: usize) -> Channel {
    [Channel::Direct, Channel::Ota("trip".into()), Channel::Ota("klook".into())][index].clone()
}

/// A museum, so many units in all and a day.
fn template() -> Template {
    let said = json!({
        "name": { "zh": "套票", "en": "Museum" },
        "status": "active",
        "entitlements": [{
            "code": "MUSEUM", "name": { "zh": "博物馆", "en": "Museum" }, "quantity": 1, "redemptionChannel": "any",
            "requiresIdentity": false, "shared": false, "validity": { "kind": "relative", "days": 30 },
        }],
        "tiers": [{ "passengerType": "adult", "minParty": 1, "price": { "amount": 20_000, "currency": "CNY" } }],
        "stock": { "total": UNITS, "perDate": UNITS },
    });
    serde_json::from_value(said).unwrap()
}

fn stock() -> StockId {
    StockId::Package(Template::id_of(&Names::new("套票", "Museum")))
}

/// What somebody asks for; asked again it is the same. Numbers are different in all channels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Asked {
    channel: usize,
    number: u64,
    units: u16,
}

/// What was answered: whether it was sold. `None`: nobody knows.
type Answered = Option<Result<(), Rejection>>;

impl Asked {
    fn order(self) -> Wish {
        let StockId::Package(template) = stock() else { unreachable!() };
        let package = PackageWish { template, service_date: Some(SUNDAY), quantity: 1, journeys: vec![] };
        let items = vec![ItemWish::Package(package)];
        Wish { items, ..wish(traveller(self.number), "key", &ferry(), self.units) }
    }

    fn at(self) -> HoldAt {
        let order = OrderId::compose(NOON, Shard::of(self.number), self.number << 8);
        HoldAt { hold: HoldId { order, item: 0 }, epoch: 1 }
    }

    async fn ask(self, engine: Engine) -> Answered {
        let place = Command::Place(Place {
            at: self.at(),
            quantity: self.units.into(),
            date: Some(SUNDAY),
            channel: channel(self.channel),
            holder: None,
            expires_at: engine.now().plus_seconds(600),
        });
        let reply = match channel(self.channel) {
            Channel::Direct => engine.place(self.order(), |_, _| ()).await,
            Channel::Ota(_) => engine.owners.stocks.consult(&stock(), place).await,
        };
        let reply = reply.ok()?;
        engine.owners.journal.wait(reply.position).await.ok()?;
        Some(reply.outcome)
    }
}

/// Sellers of all channels ask for more and more, until they are refused or get no answer. Resolves to what each was
/// answered; `heard` counts while they do.
async fn sell(running: &Running, round: u64, heard: &Arc<AtomicUsize>) -> Vec<(Asked, Answered)> {
    let sellers = (0..CHANNELS).flat_map(|channel| (0..SELLERS).map(move |seller| (channel, seller)));
    let sellers = sellers.map(|(channel, seller)| {
        let (engine, heard) = (running.engine.clone(), Arc::clone(heard));
        running.services().io.spawn(async move {
            let mut answers = Vec::new();
            for turn in 0.. {
                let number = ((round * 10 + channel as u64) * 10 + seller) * 1_000 + turn;
                let asked = Asked { channel, number, units: 1 + (turn % 3) as u16 };
                let answered = asked.ask(engine.clone()).await;
                heard.fetch_add(1, Ordering::Relaxed);
                let goes_on = matches!(answered, Some(Ok(())));
                answers.push((asked, answered));
                if !goes_on {
                    return answers;
                }
            }
            unreachable!("there is an end of everything")
        })
    });
    let all: Vec<_> = within("all have been answered", join_all(sellers)).await;
    all.into_iter().flat_map(|answers| answers.unwrap()).collect()
}

/// Units that each channel has sold.
fn sums(answers: &[(Asked, Answered)]) -> [u32; CHANNELS] {
    let mut sums = [0; CHANNELS];
    for (asked, _) in answers.iter().filter(|(_, answered)| *answered == Some(Ok(()))) {
        sums[asked.channel] += u32::from(asked.units);
    }
    sums
}

impl Running {
    /// Units that are left for each channel.
    fn left_of_day(&self) -> [u32; CHANNELS] {
        let left = |channel| self.services().stock_board.left(&stock(), Some(SUNDAY), &channel).unwrap();
        [0, 1, 2].map(|index| left(channel(index)))
    }

    fn units_in_use(&self) -> u64 {
        self.services().stock_board.get(&stock()).unwrap().in_use()
    }
}

/// What is left of what each channel can sell.
fn left_after(sold: [u32; CHANNELS], own: [u32; CHANNELS]) -> [u32; CHANNELS] {
    [0, 1, 2].map(|index| own[index] - sold[index])
}

#[actix::test]
async fn r_ota_02_500_units_of_a_day_are_sold_by_three_channels_at_once_to_the_last_one_through_a_crash() {
    let world = World::default();
    let running = world.open_sale(4).await;
    running.shown(running.engine.configure(put(template()))).await.unwrap().unwrap();
    let set_aside = [1, 2].map(|index| Allotment { channel: channel(index), quantity: OWN[index] });
    running.shown(running.engine.set_stock_allotments(&stock(), set_aside.to_vec())).await.unwrap().unwrap();

    // Nobody is refused before the crash, because nobody has sold so much yet.
    let heard = Arc::new(AtomicUsize::new(0));
    let selling = sell(&running, 1, &heard);
    let crashing = async {
        eventually("some have been answered", || heard.load(Ordering::Relaxed) >= 60).await;
        running.engine.stop();
    };
    let (mut answers, ()) = tokio::join!(selling, crashing);
    running.kill().await;
    let running = world.start().await;

    let known: u32 = sums(&answers).iter().sum();
    assert!(u64::from(known) <= running.units_in_use(), "what was answered is so");
    let mut unanswered = 0;
    for (asked, answered) in answers.iter_mut().filter(|(_, answered)| answered.is_none()) {
        unanswered += u32::from(asked.units);
        *answered = asked.ask(running.engine.clone()).await;
    }
    assert!(answers.iter().all(|(_, answered)| answered.is_some()), "{answers:?}");
    let sold = sums(&answers);
    // A direct order that was not written yet has left its hold behind until its lock ends; told again, it is another order.
    let left_behind = u32::try_from(running.units_in_use()).unwrap() - sold.iter().sum::<u32>();
    assert!(left_behind <= unanswered, "told again, it is the same: {sold:?}");
    let own = [OWN[0] - left_behind, OWN[1], OWN[2]];
    assert_eq!(running.left_of_day(), left_after(sold, own));

    // To the last unit: who is refused two or three may still have one.
    for round in 2.. {
        answers.extend(sell(&running, round, &heard).await);
        let sold = sums(&answers);
        assert_eq!(running.left_of_day(), left_after(sold, own), "never overdrawn");
        if sold == own {
            break;
        }
    }
    assert_eq!(running.units_in_use(), u64::from(UNITS));
    let of = Sold::Package(Template::id_of(&Names::new("套票", "Museum")));
    for index in 0..CHANNELS {
        let more = Asked { channel: index, number: index as u64, units: 1 }.ask(running.engine.clone()).await;
        assert_eq!(more, Some(Err(Rejection::SoldOut { of: of.clone(), wanted: 1, available: 0 })));
    }

    // What partners have sold for good is so, too.
    let partners = answers.iter().filter(|(asked, answered)| asked.channel > 0 && *answered == Some(Ok(())));
    for (asked, _) in partners {
        let confirmed = running.services().stocks.consult(&stock(), Command::Confirm(asked.at())).await;
        confirmed.unwrap().outcome.unwrap();
    }
    assert_nobody_died(&running);
    running.kill().await;
    let running = world.start().await;
    assert_eq!((running.units_in_use(), running.left_of_day()), (u64::from(UNITS), [0; CHANNELS]));
}
