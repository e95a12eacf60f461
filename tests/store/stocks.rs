//! What Postgres answers of stocks is what the owners' stories take for it.

#[path = "../../domain/src/testing/stocks.rs"]
mod answers;

use answers::StockAnswers;
use deeptravel_actors::loads;
use deeptravel_actors::ports::Haste;
use deeptravel_domain::departure::Channel;
use deeptravel_domain::hold::{BeginPaying, HoldAt};
use deeptravel_domain::machine::Machine as _;
use deeptravel_domain::row::{Damage, Row, Rows};
use deeptravel_domain::stock::rows::{StockHoldRow, StockHolderRow, StockRow, StockSoldRow};
use deeptravel_domain::stock::{Allotment, Command, Free, Limits, Place, Stock, StockId, settled_hold};
use deeptravel_domain::tables::newest_version;
use deeptravel_domain::time::Timestamp;
use jiff::civil::date;

use crate::earlier::images::Images;
use crate::support::*;

const LATER: Timestamp = NOW.plus_seconds(3 * 24 * 3600);

fn at(number: u64) -> HoldAt {
    HoldAt { hold: hold(number), epoch: 1 }
}

/// Every fourth hold is a partner's, and every third of no date.
fn place_units(number: u64, now: Timestamp) -> Command {
    let day = 1 + number as i8 % 3;
    let is_partners = number.is_multiple_of(4);
    Command::Place(Place {
        at: at(number),
        quantity: 3,
        date: (day != 1).then(|| date(2026, 12, day)),
        channel: if is_partners { Channel::Ota("trip".into()) } else { Channel::Direct },
        holder: (!is_partners).then(|| traveller(number as u16 % 5)),
        expires_at: now.plus_seconds(600),
    })
}

fn free(number: u64, units_left: u32) -> Command {
    Command::Free(Free { at: at(number), units_left, settled: None })
}

/// The rows of a table, sorted, written the same way.
fn images<'a, R: Row<'a>>(rows: &'a Rows) -> Vec<Vec<u8>> {
    let image = |row: Result<R, _>| {
        let mut image = Vec::new();
        row.unwrap_or_else(|damage: Damage| panic!("{damage}")).put(&mut image);
        image
    };
    let mut images: Vec<Vec<u8>> = rows.of::<R>().map(image).collect();
    images.sort();
    images
}

#[test]
fn a_stock_wakes_from_its_open_holds_and_the_sums_of_all_others() {
    let stand = Stand::new();
    let (package, other) = (StockId::Package("deluxe".parse().unwrap()), StockId::Promotion("SPRING".parse().unwrap()));
    let mut images_there = Images::default();
    let mut tell = |stock: &mut Stock, version: u64, command: &Command, now: Timestamp| {
        let events = stock.decide(command, now).unwrap();
        let rows = stock.apply(&events, version);
        stand.project(&rows).unwrap();
        images_there.keep(&rows).unwrap();
    };
    let mut uses = Stock::unborn(other.clone());
    tell(&mut uses, 1, &place_units(50, NOW), NOW);

    let limits = Limits { total: Some(100), per_date: Some(60), per_holder: Some(9) };
    let allotments = vec![Allotment { channel: Channel::Ota("trip".into()), quantity: 40 }];
    let mut commands = vec![(Command::SetLimits(limits), NOW), (Command::SetAllotments(allotments), NOW)];
    commands.extend((0..14).map(|number| (place_units(number, NOW), NOW)));
    commands.extend((0..9).map(|number| (Command::Confirm(at(number)), NOW)));
    commands.extend([(free(1, 2), NOW), (free(2, 0), NOW), (free(4, 1), NOW), (Command::Release(at(9)), NOW)]);
    let paying = BeginPaying { hold: hold(10), epoch: 1, expires_at: NOW.plus_seconds(900) };
    commands.push((Command::BeginPaying(paying), NOW));
    commands.push((Command::Expire, NOW.plus_seconds(601)));
    commands.extend((20..24).map(|number| (place_units(number, LATER), LATER)));
    commands.extend([(Command::Confirm(at(20)), LATER), (Command::Release(at(21)), LATER)]);
    let mut stock = Stock::unborn(package.clone());
    let mut version = 0;
    for (command, now) in &commands {
        version += 1;
        tell(&mut stock, version, command, *now);
    }

    for now in [NOW, LATER] {
        let stored = stand.load(loads::STOCK, loads::of_stock(&package, now), Haste::Start).unwrap();
        let until = Stock::settled_until(now);
        let told = StockAnswers { images: &images_there, stock: &package, until }.all();
        assert_eq!(images::<StockRow<'_>>(&stored), images::<StockRow<'_>>(&told));
        assert_eq!(images::<StockHoldRow<'_>>(&stored), images::<StockHoldRow<'_>>(&told));
        assert_eq!(images::<StockSoldRow>(&stored), images::<StockSoldRow>(&told));
        assert_eq!(images::<StockHolderRow>(&stored), images::<StockHolderRow>(&told));
        assert_eq!(newest_version(&stored), Ok(version));

        let woken = Stock::from_rows(&stored, now).unwrap();
        assert_eq!((woken.in_use(), woken.pools()), (stock.in_use(), stock.pools()));
        assert_eq!(images::<StockSoldRow>(&stored).is_empty(), now == NOW, "what was confirmed is settled later");
    }
    let ids = stand.load(loads::STOCK_IDS, Vec::new(), Haste::Start).unwrap();
    let mut ids: Vec<_> = ids.of::<loads::StockIdRow>().map(|row| row.unwrap().stock_id).collect();
    ids.sort();
    assert_eq!(ids, [package.clone(), other]);

    let of_order = |number| {
        let orders = vec![vec![hold(number).order].into()];
        let rows = stand.load(loads::SETTLED_UNITS, orders, Haste::Wake).unwrap();
        settled_hold(&rows, &package, at(number)).unwrap().map(|hold| hold.takes.left)
    };
    assert_eq!([1, 2, 3, 9, 50].map(of_order), [Some(2), Some(0), Some(3), None, None]);
}
