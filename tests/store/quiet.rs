//! What fails between us and Postgres names nobody, neither in our log nor in Postgres' own (R-ADMIN-11).

use deeptravel::embedded::{Cluster, DATABASE, Options};
use deeptravel::postgres::{Access, Lane, migrate};
use deeptravel::testing::suite;
use deeptravel_actors::ports::StoreError;
use deeptravel_domain::order::rows::OrderRow;
use deeptravel_domain::row::Rows;
use tokio_postgres::NoTls;

use crate::support::*;

/// A server of its own, whose log nobody else writes to.
fn stand_with_log() -> (Stand, Cluster, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { fsync: false, ..Options::new(directory.path().join("postgres")) };
    let cluster = suite::cluster(SUITE, &options).unwrap();
    let config = cluster.connection(DATABASE);
    io_runtime().block_on(migrate(&Access::by_socket(config.clone()))).unwrap();
    (Stand::on(&config), cluster, directory)
}

/// Runs a statement as an operator does in a shell, whatever comes of it.
fn in_a_shell(cluster: &Cluster, sql: &str) -> Result<(), tokio_postgres::Error> {
    let mut config = cluster.connection(DATABASE);
    config.options("");
    io_runtime().block_on(async {
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(sql).await
    })
}

#[test]
fn fault_4_a_row_that_postgres_refuses_is_shown_in_no_log() {
    let (stand, cluster, directory) = stand_with_log();
    let (_, placed) = Buyer::place(draft(order_id(1), traveller(1), "HKMO-0800.20261127"), NOW);
    let row: OrderRow<'_> = placed.of().next().unwrap().unwrap();
    let (name, phone) = (row.contact_name, row.contact_phone);
    let is_personal = |text: &str| text.contains(name) || text.contains(phone);

    // Everything that quotes data: a whole row in a detail, a value in a message, what a trigger says.
    for refusing in [
        "ALTER TABLE order_rows ADD CONSTRAINT refusing CHECK (version < 0)",
        "ALTER TABLE order_rows DROP CONSTRAINT refusing, ADD CONSTRAINT refusing CHECK (contact_name::int > 0)",
        "ALTER TABLE order_rows DROP CONSTRAINT refusing;
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
         $$ BEGIN RAISE EXCEPTION 'no % here', NEW.contact_name USING HINT = NEW.contact_phone; END $$;
         CREATE TRIGGER refusing BEFORE INSERT ON order_rows FOR EACH ROW EXECUTE FUNCTION refuse()",
    ] {
        in_a_shell(&cluster, refusing).unwrap();
        // New rows are copied, others upserted.
        let mut again = Rows::default();
        again.put(&row);
        for rows in [&placed, &again] {
            let refused = stand.project(rows).unwrap_err();
            let StoreError::Data(said) = &refused else { panic!("{refused:?}") };
            assert!(!is_personal(&format!("{refused:?} {refused:#}")), "{refused:?}");
            assert!(
                said.contains("ERROR") && said.contains("in "),
                "it still says what kind of thing went wrong: {said}"
            );
        }
    }
    let failing = format!("INSERT INTO accounts (username, roles) VALUES ('{name}', '{phone}')");
    assert!(in_a_shell(&cluster, &failing).is_err());

    let log = std::fs::read_to_string(directory.path().join("postgres/postgres.log")).unwrap();
    assert!(!is_personal(&log), "{log}");
    assert!(!log.contains("DETAIL") && !log.contains("STATEMENT"), "{log}");
}

#[test]
fn fault_4_what_is_no_data_is_still_said() {
    let (stand, _cluster, _directory) = stand_with_log();
    let job = |session: deeptravel::postgres::Session| async move {
        session.batch_execute("SELECT nothing FROM nowhere").await.map_err(deeptravel::postgres::StoreError::from)
    };
    let refused = stand.runtime.block_on(stand.database.run(Lane::Lists, job)).unwrap_err();
    let said = format!("{:#}", anyhow::Error::from(refused));
    assert!(said.contains("42P01") && said.contains("\"nowhere\" does not exist"), "{said}");
}
