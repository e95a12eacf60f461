//! What a batch of the projector costs, on a private Postgres of its own with fsync on.
//!
//! `cargo bench --bench projector`
//!
//! First come the processor times per order, of Postgres and of ourselves, then divan's wall times per batch.

#![allow(clippy::unwrap_used, reason = "a benchmark ends at the first surprise, as tests do")]

#[path = "../tests/store/support.rs"]
#[allow(dead_code, reason = "made for the tests of the store")]
mod support;

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{LazyLock, OnceLock};
use std::time::Instant;

use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::postgres::{Access, migrate};
use deeptravel_domain::inventory::rows::HoldRow;
use deeptravel_domain::row::{Column, Kind, Message, Raw, Rows};
use deeptravel_domain::tables;
use divan::Bencher;
use divan::counter::ItemsCount;
use support::{Buyer, Coach, NOW, Stand, confirm, count, draft, io_runtime, order_id, place, traveller, without_marks};

/// Orders of each kind whose processor time is taken.
const ORDERS: u64 = 60_000;
/// As many as a batch has at a few thousand orders a second.
const BATCH: u64 = 1_000;
const DEPARTURES: u64 = 500;
const TRAVELLERS: u64 = 5_000;
/// Units of the times in `/proc/PID/stat`.
const TICKS_PER_SECOND: f64 = 100.0;

struct Server {
    stand: Stand,
    cluster: Cluster,
    next: AtomicU64,
    directory: tempfile::TempDir,
}

/// Never dropped: `main` stops it.
static SERVER: OnceLock<Server> = OnceLock::new();

fn server() -> &'static Server {
    SERVER.get_or_init(|| {
        let directory = tempfile::tempdir_in("/var/tmp").unwrap();
        let cluster = Cluster::start(&Options::new(directory.path().join("postgres"))).unwrap();
        let config = cluster.connection(DATABASE);
        io_runtime().block_on(migrate(&Access::by_socket(config.clone()))).unwrap();
        Server { stand: Stand::on(&config), cluster, next: AtomicU64::new(0), directory }
    })
}

/// The rows of an order of one for one seat, and of its hold.
static TEMPLATE: LazyLock<(Rows, Rows)> = LazyLock::new(|| {
    let mut draft = draft(order_id(1), traveller(1), "HKMO-0800.20261127");
    draft.passengers.truncate(1);
    let (mut buyer, mut placed) = Buyer::place(draft, NOW);
    let mut coach = Coach::new("HKMO-0800.20261127", 13);
    coach.tell(&place(0, NOW), NOW);
    placed.extend(&coach.tell(&place(1, NOW), NOW));
    let mut paid = buyer.pay(NOW.plus_seconds(30));
    paid.extend(&coach.tell(&confirm(1), NOW));
    (placed, paid)
});

/// The template's rows for the orders from `first` on.
fn rows(template: &Rows, first: u64, orders: u64) -> Rows {
    let mut rows = Rows::default();
    let old = order_id(1).to_string();
    for number in first..first + orders {
        let id = order_id(number).to_string();
        let departure = format!("HKMO-{:04}.20261127", number * 7 % DEPARTURES);
        let who = traveller((number * 13 % TRAVELLERS) as u16);
        put_renamed(template, &mut rows, |column, value| match (column.name, column.kind) {
            ("order_id", Kind::Uuid) => Some(order_id(number).bits().to_be_bytes().into()),
            ("traveller_id", Kind::Uuid) => Some(who.bits().to_be_bytes().into()),
            ("order_id" | "idempotency_key" | "out_trade_no" | "ticket_id", _) => {
                Some(str::from_utf8(value).unwrap().replace(&old, &id).into_bytes())
            }
            ("departure_id", _) => Some(departure.clone().into_bytes()),
            _ => None,
        });
    }
    rows
}

/// Appends the template's rows. `rename` is asked for the new value of every column that holds a text or an id.
fn put_renamed(template: &Rows, rows: &mut Rows, rename: impl Fn(&Column, &[u8]) -> Option<Vec<u8>>) {
    let mut image = Vec::new();
    for (slot, of_template) in template.images() {
        let table = tables::by_slot(slot).unwrap();
        image.clear();
        let mut message = Message::new(of_template);
        while let Some((tag, raw)) = message.next_field().unwrap() {
            // The mark of a first image is no column.
            let column = table.columns.iter().find(|column| column.tag == tag);
            let column = column.filter(|column| matches!(column.kind, Kind::Text | Kind::Uuid));
            let renamed = column.and_then(|column| rename(column, raw.bytes().unwrap()));
            renamed.as_deref().map_or(raw, Raw::Text).put(tag, &mut image);
        }
        rows.put_image(slot, &image);
    }
}

fn placed(orders: u64) -> Rows {
    let first = server().next.fetch_add(orders, Ordering::Relaxed);
    rows(&TEMPLATE.0, first, orders)
}

/// Processor seconds of a process.
fn cpu_seconds(pid: &str) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / TICKS_PER_SECOND
}

/// Of all processes of the server.
fn postgres_seconds() -> f64 {
    let parent = server().cluster.pid().unwrap().to_string();
    let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    children.split_whitespace().chain([parent.as_str()]).map(cpu_seconds).sum()
}

fn costs(what: &str, batches: &[Rows]) {
    let (postgres, own, started) = (postgres_seconds(), cpu_seconds("self"), Instant::now());
    for batch in batches {
        server().stand.project(batch).unwrap();
    }
    let orders = batches.iter().map(|batch| f64::from(count::<HoldRow<'_>>(batch) as u32)).sum::<f64>();
    let (took, each) = (started.elapsed().as_secs_f64(), 1e6 / orders);
    println!(
        "{what}: {:.1} µs of Postgres and {:.1} µs of ours an order, {:.0} orders/s",
        (postgres_seconds() - postgres) * each,
        (cpu_seconds("self") - own) * each,
        orders / took
    );
}

fn main() {
    let numbers: Vec<u64> = (0..ORDERS / BATCH).map(|batch| batch * BATCH).collect();
    let made = |template: &Rows, offset: u64| -> Vec<Rows> {
        numbers.iter().map(|first| rows(template, first + offset, BATCH)).collect()
    };
    costs("placed", &made(&TEMPLATE.0, 0));
    costs("placed, without marks", &made(&TEMPLATE.0, ORDERS).iter().map(without_marks).collect::<Vec<_>>());
    costs("paid (3 rows changed, 5 new)", &made(&TEMPLATE.1, 0));
    server().next.store(2 * ORDERS, Ordering::Relaxed);

    divan::main();

    let Server { cluster, directory, .. } = server();
    cluster.stop().unwrap();
    fs::remove_dir_all(directory.path()).unwrap();
}

#[divan::bench(args = [100, 1_000, 4_000], sample_count = 20, sample_size = 1)]
fn projector_batch(bencher: Bencher, orders: u64) {
    bencher
        .with_inputs(|| placed(orders))
        .input_counter(move |_| ItemsCount::new(orders))
        .bench_local_refs(|rows| server().stand.project(rows).unwrap());
}

#[divan::bench(args = [1_000], sample_count = 20, sample_size = 1)]
fn projector_batch_without_marks(bencher: Bencher, orders: u64) {
    bencher
        .with_inputs(|| without_marks(&placed(orders)))
        .input_counter(move |_| ItemsCount::new(orders))
        .bench_local_refs(|rows| server().stand.project(rows).unwrap());
}

/// From the payloads of records to the rows of a batch.
#[divan::bench(args = [1_000])]
fn decode_batch(bencher: Bencher, orders: u64) {
    let payloads: Vec<Vec<u8>> = (0..orders).map(|number| rows(&TEMPLATE.0, number, 1).into_bytes()).collect();
    bencher.counter(ItemsCount::new(orders)).bench_local(|| {
        let mut rows = Rows::default();
        for payload in &payloads {
            rows.extend(&Rows::from_bytes(payload.clone()).unwrap());
        }
        rows
    });
}
