//! Postgres goes away and comes back (rules 12 and 13).

use std::time::Duration;

use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::postgres::{Access, Store, migrate, read_position};
use deeptravel::testing::suite;
use deeptravel_actors::journal::Position;
use deeptravel_actors::ports::{Store as _, StoreError};
use deeptravel_domain::order::ScanTarget;

use crate::support::*;

struct Server {
    cluster: Cluster,
    stand: Stand,
    _directory: tempfile::TempDir,
}

/// A server of its own, because others must not notice that it stops.
fn server() -> Server {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = suite::cluster(SUITE, &options).unwrap();
    let config = cluster.connection(DATABASE);
    io_runtime().block_on(migrate(&Access::by_socket(config.clone()))).unwrap();
    Server { stand: Stand::on(&config), cluster, _directory: directory }
}

impl Server {
    /// Stops, sees to it that a call says so, and starts again.
    fn interrupt(&self, call: impl FnOnce()) {
        self.cluster.stop().unwrap();
        call();
        self.cluster.start_again().unwrap();
        while !self.stand.database.is_available() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn a_batch_that_postgres_missed_is_projected_when_it_is_back_whether_it_was_committed_or_not() {
    let server = server();
    let stand = &server.stand;
    let project =
        |store: &Store, rows: &_, from, to| stand.runtime.block_on(store.project(rows, Position(from), Position(to)));
    let (mut buyer, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    project(&stand.store, &placed, 0, 1).unwrap();

    // Missed, and not committed.
    let paid = buyer.pay(NOW.plus_seconds(30));
    server.interrupt(|| {
        let missed = project(&stand.store, &paid, 1, 2);
        assert!(matches!(missed, Err(StoreError::Unavailable(_))), "{missed:?}");
        let order = stand.order(order_id(1));
        assert!(matches!(order, Err(StoreError::Unavailable(_))), "never absent (rule 13): {order:?}");
        let list = stand.runtime.block_on(stand.lists.orders_of(traveller(1), None, None, 9));
        assert!(matches!(list, Err(StoreError::Unavailable(_))), "{list:?}");
    });
    project(&stand.store, &paid, 1, 2).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM tickets"), 3);

    // Committed, but the answer was lost: stood in for by the same process through another door.
    let position =
        stand.runtime.block_on(stand.database.run(deeptravel::postgres::Lane::Lists, |session| async move {
            Ok(read_position(&*session).await.unwrap().unwrap())
        }));
    let behind_its_back = Store::new(stand.database.clone(), stand.journal_id, position.unwrap().epoch);
    let ticket = |index: usize| ScanTarget::Ticket(buyer.order.tickets()[index].id);
    let targets = [ticket(0), ticket(1), ticket(2)];
    let mut scans = targets.map(|target| buyer.scan("r1", target, NOW.plus_seconds(60)));
    let missed = |from, to, rows: &_| {
        server.interrupt(|| assert!(matches!(project(&stand.store, rows, from, to), Err(StoreError::Unavailable(_)))));
    };
    missed(2, 3, &scans[0]);
    project(&behind_its_back, &scans[0], 2, 3).unwrap();
    project(&stand.store, &scans[0], 2, 3).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 3);

    // The same, and meanwhile the batch has grown.
    missed(3, 4, &scans[1]);
    project(&behind_its_back, &scans[1], 3, 4).unwrap();
    let more = scans[2].clone();
    scans[1].extend(&more);
    project(&stand.store, &scans[1], 3, 5).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 5);
    assert_eq!(stand.ask::<i64>("SELECT count(*) FROM tickets WHERE status = 'used'"), 3);

    // The same, and meanwhile the batch is shorter: the next one meets what the longer one brought.
    missed(5, 8, &scans[2]);
    project(&behind_its_back, &scans[2], 5, 8).unwrap();
    project(&stand.store, &scans[2], 5, 6).unwrap();
    project(&stand.store, &scans[2], 6, 7).unwrap();
    project(&stand.store, &scans[2], 7, 9).unwrap();
    assert_eq!(stand.ask::<i64>("SELECT position FROM journal_position"), 9);

    // Without an outage before it, a position that has moved is somebody else's work.
    project(&behind_its_back, &scans[2], 9, 10).unwrap();
    let fenced = project(&stand.store, &scans[2], 9, 10);
    assert!(matches!(fenced, Err(StoreError::Fenced(_))), "{fenced:?}");
}
