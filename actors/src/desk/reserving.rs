//! A reservation from its wish to held seats, and its release (R-HOLD-07). The departure decides; the desk keeps count.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use actix::{AsyncContext as _, Context, Handler, Message};
use deeptravel_domain::ids::{HoldId, TravellerId};
use deeptravel_domain::inventory::Command as SeatCommand;
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::reservation::{Reservation, ReservationId, ReservationWish, release as hold_of};
use deeptravel_domain::row::Rows;

use super::{Desk, LOOKS_AGAIN};
use crate::ask::{Asker, NOT_TOLD_APART, Question};
use crate::departure::{AsksForSeats, Labels};
use crate::journal::Position;
use crate::order::Peers;
use crate::outage::{Answer, Outage, Reply};

/// What became of the wish. `is_first`: it was reserved now.
#[derive(Clone, Debug)]
pub struct Reserved {
    pub reservation: Arc<Reservation>,
    /// The labels of its seats.
    pub seats: Arc<[Box<str>]>,
    pub is_first: bool,
}

#[derive(Debug)]
struct Reserve(ReservationWish);

impl Question<Desk> for Reserve {
    type Answer = Reserved;

    fn put(self, desk: &mut Desk, asker: Asker<Reserved>, _: &mut Context<Desk>) {
        if let Some(Some(flight)) = desk.book(|book| book.reserve(self.0, asker)) {
            flight.begin();
        }
    }
}

/// Makes a reservation, or finds the one that its key has made.
pub async fn reserve(peers: &Peers, wish: ReservationWish) -> Answer<Reserved> {
    let desk = peers.desk_of(wish.traveller);
    peers.desks.ask(&desk, Reserve(wish)).await?.ok_or(Outage::Rebuilding)
}

/// Gives the seats of a reservation back. Refused with `ReservationNotFound` if there is nothing to give back: another
/// traveller's, or one that has ended or is being adopted. Who comes first decides the departure.
pub async fn release(peers: &Arc<Peers>, traveller: TravellerId, id: &ReservationId) -> Answer<()> {
    if !id.is_of(traveller) {
        return Ok(Reply::rejected(Rejection::ReservationNotFound, Position::NOTHING));
    }
    let was_held = Arc::new(AtomicBool::new(false));
    let notes = Arc::clone(&was_held);
    let command = SeatCommand::ReleaseHold(hold_of(id));
    // Something is written only if there was something to release.
    let answer = peers.departures.consult_bearing(id.departure(), command, move |_: &mut Rows| {
        notes.store(true, Ordering::Relaxed);
    });
    let answer = answer.await;
    let released = was_held.load(Ordering::Relaxed);
    if released || answer.is_err() {
        // Before anybody is told, so that he may reserve again at once.
        tell(peers, Released { traveller, hold: id.hold(), is_certain: answer.is_ok() }).await;
    }
    let Reply { position, .. } = answer?;
    peers.journal.wait(position).await.map_err(|_| Outage::Journal)?;
    Ok(if released { Reply::ok((), position) } else { Reply::rejected(Rejection::ReservationNotFound, position) })
}

/// A desk that is being rebuilt is told when it is there.
async fn tell(peers: &Arc<Peers>, released: Released) {
    let desk = peers.desk_of(released.traveller);
    if peers.desks.ask(&desk, released).await.is_ok() {
        return;
    }
    let peers = Arc::clone(peers);
    let io = peers.io.clone();
    io.spawn(async move {
        while peers.desks.ask(&desk, released).await.is_err() {
            tokio::time::sleep(LOOKS_AGAIN).await;
        }
    });
}

/// A reservation was released. `is_certain`: or may have been.
#[derive(Clone, Copy, Debug)]
pub(super) struct Released {
    pub traveller: TravellerId,
    pub hold: HoldId,
    pub is_certain: bool,
}

impl Question<Desk> for Released {
    type Answer = ();

    fn put(self, desk: &mut Desk, asker: Asker<()>, _: &mut Context<Desk>) {
        if desk.book(|book| book.released(self)).is_some() {
            asker.answer(Ok(Reply::ok((), Position::NOTHING)));
        }
        desk.look_at_reservations();
    }
}

/// A reservation on its way to its departure, with a note that outlives the desk. Asking again is harmless: it answers how the
/// reservation stands.
pub(super) struct Flight {
    peers: Arc<Peers>,
    reservation: Arc<Reservation>,
    /// Whoever has wished for it first. Everybody else is told by the desk.
    asker: Option<Asker<Reserved>>,
    is_over: bool,
}

impl Flight {
    pub(super) fn new(peers: &Arc<Peers>, reservation: &Arc<Reservation>, asker: Option<Asker<Reserved>>) -> Flight {
        peers.reserving.insert(reservation.id.hold(), Arc::clone(reservation));
        Flight { peers: Arc::clone(peers), reservation: Arc::clone(reservation), asker, is_over: false }
    }

    /// Outside of the desk's turn: the departure's comes next.
    pub(super) fn begin(self) {
        let (peers, reservation) = (Arc::clone(&self.peers), Arc::clone(&self.reservation));
        let (departure, command) = (reservation.id.departure().clone(), SeatCommand::PlaceHold(reservation.place()));
        let Err(flight) = peers.departures.change(&departure, command.clone(), self) else { return };
        // It is to be woken first.
        let io = peers.io.clone();
        io.spawn(async move {
            let bears = move |rows: &mut Rows| rows.put_first(&reservation.row());
            flight.told(peers.departures.consult_bearing(&departure, command, bears).await);
        });
    }

    fn tell(&mut self, answer: &Answer<Labels>) {
        self.is_over = true;
        let seats = answer.clone().map(|reply| reply.map(Arc::from));
        let seated = Seated { reservation: Arc::clone(&self.reservation), answer: seats.clone() };
        let desk = self.peers.desk_of(self.reservation.traveller);
        // First, so that the desk knows when the same client comes again. One that is not there looks at what was noted.
        let _ = self.peers.desks.hand_over(&desk, NOT_TOLD_APART, seated);
        if let Some(asker) = self.asker.take() {
            asker.answer(reserved(&self.reservation, seats, true));
        }
    }
}

impl AsksForSeats for Flight {
    fn bear(&mut self, _: &mut Labels, rows: &mut Rows) {
        rows.put_first(&self.reservation.row());
    }

    fn told(mut self, answer: Answer<Labels>) {
        self.tell(&answer);
    }
}

impl Drop for Flight {
    /// The departure has ended, and may have heard before.
    fn drop(&mut self) {
        if !self.is_over {
            self.tell(&Err(Outage::Rebuilding));
        }
        self.peers.reserving.remove(&self.reservation.id.hold());
    }
}

/// What a departure says of a reservation, for those who wished for it.
pub(super) fn reserved(
    reservation: &Arc<Reservation>,
    seats: Answer<Arc<[Box<str>]>>,
    is_first: bool,
) -> Answer<Reserved> {
    seats.map(|reply| reply.map(|seats| Reserved { reservation: Arc::clone(reservation), seats, is_first }))
}

/// What a departure says of a reservation.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Seated {
    pub reservation: Arc<Reservation>,
    pub answer: Answer<Arc<[Box<str>]>>,
}

impl Handler<Seated> for Desk {
    type Result = ();

    fn handle(&mut self, seated: Seated, ctx: &mut Context<Desk>) {
        if let Some(reservation) = self.book(|book| book.seated(seated)).flatten() {
            ctx.run_later(LOOKS_AGAIN, move |desk, _| Flight::new(&desk.peers, &reservation, None).begin());
        }
        self.post.shared.handled();
    }
}
