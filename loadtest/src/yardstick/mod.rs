//! What ours is compared with, as a process of its own so that its processor time is counted apart.
//!
//! `bare` is the least that answers JSON over HTTP with actix-web: it parses the same body into types and answers
//! `web::Json` of the same size. `durable` is the same, answering only when a record of [`journal::RECORD_BYTES`] is on
//! the disk, synced for a whole group at once: no durable order over HTTP can be faster than that.
//!
//! The answers have the fields that the loads read, so that the generator works as hard for a yardstick as for ours.

pub mod child;
pub mod journal;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::StatusCode;
use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::Context;
use serde::{Deserialize, Serialize};

use journal::{Journal, Lane};

/// As many as the server has on two cores.
const WORKERS: usize = 2;
/// Connections that may wait to be accepted: all of a burst.
const BACKLOG: u32 = 16_384;
/// As the server's.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Bytes of an answer without its filler, about; see the test.
const FRAME_BYTES: usize = 232;

/// Which yardstick.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    Bare,
    Durable,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Bare => "bare",
            Kind::Durable => "durable",
        }
    }
}

/// How to run it; our own process starts itself so.
#[derive(clap::Args, Clone, Debug)]
pub struct Arguments {
    pub kind: Kind,
    #[arg(long, default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Size of an answer's body.
    #[arg(long, default_value_t = 800)]
    pub answer_bytes: usize,
    /// Where `durable` writes; it should be on the file system of the server's data.
    #[arg(long, default_value = "/var/tmp/deeptravel-yardstick")]
    pub file: PathBuf,
    /// End when standard input does: when whoever started this has gone.
    #[arg(long)]
    pub with_parent: bool,
}

/// Serves until it is killed.
pub fn execute(arguments: &Arguments) -> anyhow::Result<()> {
    actix_web::rt::System::new().block_on(async {
        let (server, address) = serve(arguments)?;
        println!("listening on http://{address}");
        if arguments.with_parent {
            std::thread::spawn(|| {
                // What comes does not matter, only that nothing comes any more.
                let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
                std::process::exit(0);
            });
        }
        Ok(server.await?)
    })
}

/// The server, to be awaited, and where it listens.
pub fn serve(arguments: &Arguments) -> anyhow::Result<(Server, SocketAddr)> {
    let journal = match arguments.kind {
        Kind::Bare => None,
        Kind::Durable => Some(Journal::create(&arguments.file)?),
    };
    let filler = "x".repeat(arguments.answer_bytes.saturating_sub(FRAME_BYTES));
    let bound = HttpServer::new(move || {
        // Once per worker: each has a lane of its own, with one wake-up per group.
        let worker = Worker { lane: journal.as_ref().map(Journal::lane), filler: filler.clone() };
        App::new()
            .app_data(web::Data::new(worker))
            .route("/orders", web::post().to(order))
            .route("/tickets/scan", web::post().to(scan))
            .default_service(web::to(other))
    })
    .workers(WORKERS)
    .keep_alive(KEEP_ALIVE)
    .backlog(BACKLOG)
    .disable_signals()
    .bind(arguments.listen)?;
    let address = bound.addrs().first().copied().context("no address")?;
    Ok((bound.run(), address))
}

struct Worker {
    lane: Option<Lane>,
    filler: String,
}

/// The body of an order, as typed as ours has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    items: Vec<OrderItem>,
    passengers: Vec<Passenger>,
    contact: Contact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OrderItem {
    kind: String,
    departure_id: String,
    seat_class: String,
}

#[derive(Deserialize)]
struct Passenger {
    name: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Contact {
    name: String,
    phone: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Scan {
    code: String,
    session_id: String,
    request_id: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer<'a> {
    availability: &'a str,
    order_id: &'a str,
    items: [AnswerItem<'a>; 1],
    result: &'a str,
    redeemed_at: &'a str,
    routes: [(); 1],
    filler: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AnswerItem<'a> {
    departure_id: &'a str,
    seat_numbers: [&'a str; 1],
}

async fn order(worker: web::Data<Worker>, web::Json(order): web::Json<Order>) -> HttpResponse {
    let length = order.items.iter().map(|item| item.kind.len() + item.departure_id.len() + item.seat_class.len());
    let names = order.passengers.iter().map(|passenger| passenger.name.len() + passenger.kind.len());
    let parsed = length.sum::<usize>() + names.sum::<usize>() + order.contact.name.len() + order.contact.phone.len();
    answer(&worker, StatusCode::CREATED, parsed).await
}

async fn scan(worker: web::Data<Worker>, web::Json(scan): web::Json<Scan>) -> HttpResponse {
    answer(&worker, StatusCode::OK, scan.code.len() + scan.session_id.len() + scan.request_id.len()).await
}

async fn other(worker: web::Data<Worker>) -> HttpResponse {
    answer(&worker, StatusCode::OK, 0).await
}

/// `parsed` goes into the record, so that parsing cannot be left out.
async fn answer(worker: &Worker, status: StatusCode, parsed: usize) -> HttpResponse {
    if let Some(lane) = &worker.lane
        && lane.commit(parsed as u64).await.is_err()
    {
        return HttpResponse::ServiceUnavailable().finish();
    }
    HttpResponse::build(status).json(Answer {
        availability: "available",
        order_id: "0192f0c1-7b1a-7000-8000-000000000000",
        items: [AnswerItem { departure_id: "load-00.20261126T0200", seat_numbers: ["001A"] }],
        result: "success",
        redeemed_at: "2026-11-26T10:00:00+08:00",
        routes: [()],
        filler: &worker.filler,
    })
}
