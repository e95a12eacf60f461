//! Single departures administered (R-ADMIN-04): other seats, other times, a sale that is stopped, a departure that does not run.
//!
//! The departure is told first: what is held and sold decides. Then the catalogue records what searches, prices, gates and
//! tickets read of it, with the audit, and publishes it; then comes the answer. After a crash in between the departure has it
//! already, and the same write told again goes through. A refusal of the departure is recorded by the catalogue, too.

use std::sync::Arc;

use deeptravel_domain::catalogue::{self, Catalogue, DepartureOverride, Fitting};
use deeptravel_domain::departure::{Call, Channel, ClassCapacity, SeatMap};
use deeptravel_domain::ids::{DepartureId, VehicleCode};
use deeptravel_domain::inventory::{Allotment, Alteration, Command, Inventory, Refit};
use deeptravel_domain::register::{Author, Standing};
use deeptravel_domain::rejection::Rejection;
use deeptravel_domain::time::Timestamp;

use crate::engine::Engine;
use crate::journal::Position;
use crate::outage::{Answer, Outage, Reply};

/// Which seats a departure is to sell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SeatsWanted {
    /// All those of a vehicle, as it is configured now.
    Vehicle(VehicleCode),
    /// So many of some classes, of those its vehicle has.
    Capacities(Vec<ClassCapacity>),
}

/// What an administrator changes of a departure at once. `None` leaves it as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DeparturePatch {
    pub seats: Option<SeatsWanted>,
    pub stopped: Option<bool>,
}

impl Engine {
    /// Changes a departure's seats and whether it is sold, both or nothing. Refused with `DepartureNotFound`, a field
    /// (`vehicle`, `classes`), `DepartureCancelled`, and `BelowUse` that names what is held and sold.
    pub async fn alter_departure(&self, id: DepartureId, patch: DeparturePatch, by: Author) -> Answer<Standing> {
        self.in_turn(move |engine| async move {
            let catalogue = engine.owners.catalogue.load_full();
            let mut wanted = standing_override(&catalogue, &id);
            let DeparturePatch { seats, stopped } = patch;
            let fitted = seats.map(|seats| fitted(&catalogue, &wanted, seats)).transpose();
            let fitted = match fitted {
                Ok(fitted) => fitted,
                Err(rejection) => return Ok(Reply::rejected(rejection, Position::NOTHING)),
            };
            let seats = fitted.map(|(fitting, refit)| {
                wanted.fitting = Some(fitting);
                refit
            });
            wanted.stopped = stopped.unwrap_or(wanted.stopped);
            engine.write_override(&catalogue, wanted, Command::Alter(Alteration { seats, stopped }), by).await
        })
        .await
    }

    /// Sets aside these seats for partners, and no others. Refused with `DepartureNotFound`, the field `allotments`, and
    /// `BelowUse` that names what is held and sold.
    pub async fn set_allotments(&self, id: DepartureId, allotments: Vec<Allotment>, by: Author) -> Answer<Standing> {
        self.in_turn(move |engine| async move {
            let catalogue = engine.owners.catalogue.load_full();
            let has = engine.owners.departures.read(&id, set_aside).await?;
            let Some(has) = has.and_then(|has| has.outcome.ok()) else { return Ok(no_such_departure()) };
            let is_named = |of: &Allotment| {
                allotments.iter().any(|named| (&named.channel, &named.class) == (&of.channel, &of.class))
            };
            let given_back = has.into_iter().filter(|of| !is_named(of)).map(|of| Allotment { seats: 0, ..of });
            let command = Command::SetAllotments(allotments.iter().cloned().chain(given_back).collect());
            let mut kept: Vec<Allotment> = allotments.into_iter().filter(|of| of.seats > 0).collect();
            kept.sort_by(|a, b| (&a.channel, &a.class).cmp(&(&b.channel, &b.class)));
            let wanted = DepartureOverride { allotments: kept, ..standing_override(&catalogue, &id) };
            engine.write_override(&catalogue, wanted, command, by).await
        })
        .await
    }

    /// The departure does not run: it is not sold, its unpaid holds cannot be paid, and gates refuse its tickets. What
    /// becomes of orders is not decided here. Refused with `DepartureNotFound`.
    pub async fn cancel_departure(&self, id: DepartureId, by: Author) -> Answer<Standing> {
        self.in_turn(move |engine| async move {
            let catalogue = engine.owners.catalogue.load_full();
            let wanted = DepartureOverride { cancelled: true, ..standing_override(&catalogue, &id) };
            engine.write_override(&catalogue, wanted, Command::CancelDeparture, by).await
        })
        .await
    }

    /// The departure runs at these times, one call for each stop. Refused with `DepartureNotFound`, the field `calls`, and
    /// `DepartureCancelled`.
    pub async fn retime_departure(&self, id: DepartureId, calls: Vec<Call>, by: Author) -> Answer<Standing> {
        self.in_turn(move |engine| async move {
            let catalogue = engine.owners.catalogue.load_full();
            let wanted = DepartureOverride { calls: calls.clone(), ..standing_override(&catalogue, &id) };
            engine.write_override(&catalogue, wanted, Command::Retime(calls), by).await
        })
        .await
    }

    /// What is made of a departure's seats as they are now. `Ok(None)`: there is no such departure.
    pub async fn look_at_departure<T: Send + 'static>(
        &self,
        id: &DepartureId,
        read: impl FnOnce(&Inventory, Timestamp) -> T + Send + 'static,
    ) -> Result<Option<T>, Outage> {
        let Some(Reply { outcome, position }) = self.owners.departures.read(id, read).await? else { return Ok(None) };
        self.owners.journal.wait(position).await.map_err(|_| Outage::Journal)?;
        Ok(outcome.ok())
    }

    /// One write after the other, each to its end: whoever asked may have gone.
    async fn in_turn<F, T>(&self, write: impl FnOnce(Engine) -> F + Send + 'static) -> Answer<T>
    where
        F: Future<Output = Answer<T>> + Send,
        T: Send + 'static,
    {
        let engine = self.clone();
        let written = self.owners.io.spawn(async move {
            let owners = Arc::clone(&engine.owners);
            let _one_by_one = owners.overriding.lock().await;
            write(engine).await
        });
        written.await.unwrap_or(Err(Outage::Rebuilding))
    }

    /// The departure, then the catalogue.
    async fn write_override(
        &self,
        catalogue: &Arc<Catalogue>,
        wanted: DepartureOverride,
        command: Command,
        by: Author,
    ) -> Answer<Standing> {
        let id = wanted.departure.clone();
        let put = catalogue::Command::new(wanted, by);
        // What the catalogue refuses, as a key that named another write, it refuses before the departure is told.
        if catalogue.would_refuse(&put, self.now()).is_some() {
            return self.configure(put).await;
        }
        let Reply { outcome, position } = self.owners.departures.consult(&id, command).await?;
        match outcome {
            Ok(_) => {
                // Also what was so already is durable before it is answered.
                self.owners.journal.wait(position).await.map_err(|_| Outage::Journal)?;
                self.configure(put).await
            }
            Err(Rejection::DepartureNotFound) => Ok(no_such_departure()),
            Err(why) => self.configure(put.refused(why)).await,
        }
    }
}

fn no_such_departure<T>() -> Reply<T> {
    Reply::rejected(Rejection::DepartureNotFound, Position::NOTHING)
}

fn standing_override(catalogue: &Catalogue, id: &DepartureId) -> DepartureOverride {
    let standing = catalogue.override_of(id);
    standing.map_or_else(|| DepartureOverride::none(id.clone()), |of| DepartureOverride::clone(of))
}

/// What is set aside for others than the operator.
fn set_aside(inventory: &Inventory, now: Timestamp) -> Vec<Allotment> {
    let pools = inventory.pools(now);
    let others = pools.iter().filter(|pool| *pool.channel != Channel::Direct);
    others.map(|of| Allotment { channel: of.channel.clone(), class: of.class.code.clone(), seats: of.seats }).collect()
}

/// The seats as the catalogue records them, and as the departure is told them.
fn fitted(
    catalogue: &Catalogue,
    standing: &DepartureOverride,
    wanted: SeatsWanted,
) -> Result<(Fitting, Refit), Rejection> {
    let of_vehicle = |code: VehicleCode, capacities: Option<Vec<ClassCapacity>>, field: &'static str| {
        let entry = catalogue.registers().vehicles.entry(&code).filter(|entry| !entry.withdrawn);
        let entry = entry.ok_or_else(|| Rejection::field(field, format!("{code} is not known")))?;
        let vehicle: Arc<SeatMap> = Arc::clone(&entry.content.seat_map);
        let fitting =
            Fitting { vehicle: code, revision: entry.revision, capacities: capacities.clone().unwrap_or_default() };
        Ok((fitting, Refit { vehicle, capacities }))
    };
    match wanted {
        SeatsWanted::Vehicle(code) => of_vehicle(code, None, "vehicle"),
        SeatsWanted::Capacities(named) => {
            let before = standing.fitting.as_ref();
            let of_route = || Some(catalogue.route_of(&standing.departure)?.vehicle.clone());
            let code = before.map(|fitting| fitting.vehicle.clone()).or_else(of_route);
            let code = code.ok_or(Rejection::DepartureNotFound)?;
            let (mut fitting, refit) = of_vehicle(code, Some(named), "classes")?;
            // What was said of other classes still holds.
            let earlier = before.iter().flat_map(|fitting| &fitting.capacities).cloned();
            let is_named = |of: &ClassCapacity| fitting.capacities.iter().any(|named| named.code == of.code);
            let earlier: Vec<_> = earlier.filter(|of| !is_named(of)).collect();
            fitting.capacities.extend(earlier);
            fitting.capacities.sort_by(|a, b| a.code.cmp(&b.code));
            Ok((fitting, refit))
        }
    }
}
