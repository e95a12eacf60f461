//! Who may ask what. An operation's permission is the type of its first argument: [`Allowed<Buy>`](Allowed) is there only
//! when who asks may buy, and gives the handler who that is. [`Routes`](super::Routes) mounts nothing without one.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::http::header::{FORWARDED, HOST};
use actix_web::http::uri::Authority;
use actix_web::{FromRequest, HttpRequest};
use deeptravel_domain::identity::{Account, Principal, Role};
use serde::Serialize;

use super::auth::{LoggedIn, Staff, Traveller, logged_in};
use super::partner::Partner;
use super::problem::Problem;
use super::refusals;
use super::refused::note_account;
use super::state::of_request;
use crate::here::is_here;

/// The document's name for a token in the `Authorization` header.
pub(super) const BEARER: &str = "bearer";
/// The document's name for a key in the `X-API-Key` header.
pub(super) const API_KEY: &str = "apiKey";
/// What proxies say on whose behalf they ask: such a request does not come from this machine, whoever delivers it.
const FORWARDED_FOR: &str = "X-Forwarded-For";

/// Makes the enum [`Permission`], and for each permission a type of the same name for signatures, with the [`Caller`]
/// that a handler gets.
macro_rules! permissions {
    ($($(#[$doc:meta])* $name:ident gives $caller:ty;)*) => {
        /// What one may do, named for the deed and not for who does it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Permission { $($(#[$doc])* $name,)* }

        $(
            $(#[$doc])*
            #[derive(Debug)]
            pub struct $name;

            impl Permit for $name {
                const PERMISSION: Permission = Permission::$name;
                type Caller = $caller;
            }
        )*
    };
}

permissions! {
    /// What anybody may ask without saying who he is.
    Public gives ();
    /// Ending the session of the token that one has.
    EndSession gives LoggedIn<()>;
    /// Buying, and what comes of it: one's own orders, payments, tickets and refunds.
    Buy gives Traveller;
    /// Working at a gate: validator sessions and scans.
    Redeem gives Staff;
    /// Looking at what was redeemed: an operator at the own merchant's.
    SeeRedemptions gives Staff;
    /// Logging in at a desk.
    UseDesk gives Staff;
    /// Looking at money in trouble, whosever it is.
    SeeMoney gives Staff;
    /// Seeing to money in trouble.
    SettleMoney gives Staff;
    /// Looking at what is configured.
    SeeConfiguration gives Staff;
    /// Looking at partners, their keys and what is set aside for them.
    SeePartners gives Staff;
    /// Changing what is configured.
    Configure gives Staff;
    /// Stopping and resuming the sale of a departure.
    StopSale gives Staff;
    /// Selling under one's own name, and looking at what one has sold.
    Resell gives Partner;
    /// Looking at how the process is.
    SeeMetrics gives Onlooker;
}

/// Whose permissions they are.
#[derive(Clone, Copy)]
enum Holder {
    Traveller,
    Partner,
    Staff(Role),
}

/// The table. What is in no line of it asks for no role: [`Permission::Public`] for nothing, [`Permission::EndSession`] for
/// any token.
const fn permissions(holder: Holder) -> &'static [Permission] {
    use Permission::{
        Buy, Configure, Redeem, Resell, SeeConfiguration, SeeMetrics, SeeMoney, SeePartners, SeeRedemptions,
        SettleMoney, StopSale, UseDesk,
    };
    match holder {
        Holder::Traveller => &[Buy],
        Holder::Partner => &[Resell],
        Holder::Staff(Role::Operator) => &[Redeem, SeeRedemptions],
        Holder::Staff(Role::Admin) => &[
            UseDesk,
            SeeRedemptions,
            SeeConfiguration,
            SeePartners,
            Configure,
            StopSale,
            SeeMoney,
            SettleMoney,
            SeeMetrics,
        ],
        Holder::Staff(Role::Ops) => {
            &[UseDesk, SeeRedemptions, SeeConfiguration, SeePartners, StopSale, SeeMoney, SeeMetrics]
        }
        Holder::Staff(Role::Finance) => &[UseDesk, SeeRedemptions, SeeConfiguration, SeeMoney, SettleMoney],
        Holder::Staff(Role::Auditor) => &[UseDesk, SeeRedemptions, SeeConfiguration, SeePartners, SeeMoney],
    }
}

impl Permission {
    fn is_of(self, holder: Holder) -> bool {
        permissions(holder).contains(&self)
    }

    /// Whether one of the account's roles has it.
    pub fn is_of_account(self, account: &Account) -> bool {
        account.roles.iter().any(|role| self.is_of(Holder::Staff(*role)))
    }
}

/// A permission as a type.
pub trait Permit: 'static {
    const PERMISSION: Permission;
    type Caller: Caller;
}

/// Who asks, as the handler gets it.
pub trait Caller: Sized {
    /// What a request has to bring one of, as the document says it; `None` is nothing.
    const BRINGS: &[Option<&str>] = &[Some(BEARER)];

    /// 401 when it cannot be told who asks, 403 when he may not.
    fn admit(request: &HttpRequest, permission: Permission) -> Result<Self, Problem>;
}

/// Whoever asks has the permission. The first argument of every handler.
#[derive(Debug)]
pub struct Allowed<P: Permit>(pub P::Caller);

impl<P: Permit> FromRequest for Allowed<P> {
    type Error = Problem;
    type Future = Ready<Result<Allowed<P>, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(P::Caller::admit(request, P::PERMISSION).map(Allowed))
    }
}

impl Caller for () {
    const BRINGS: &[Option<&str>] = &[];

    fn admit(_: &HttpRequest, _: Permission) -> Result<(), Problem> {
        Ok(())
    }
}

/// Anybody who is logged in.
impl Caller for LoggedIn<()> {
    fn admit(request: &HttpRequest, _: Permission) -> Result<LoggedIn<()>, Problem> {
        logged_in(request)
    }
}

impl Caller for Traveller {
    fn admit(request: &HttpRequest, permission: Permission) -> Result<Traveller, Problem> {
        let LoggedIn { api, session, .. } = logged_in(request)?;
        match session.principal {
            Principal::Traveller { id, .. } if permission.is_of(Holder::Traveller) => {
                Ok(Traveller { who: id, api, session })
            }
            Principal::Traveller { .. } | Principal::Staff { .. } => {
                Err(refusals::FORBIDDEN.saying("this is for travellers"))
            }
        }
    }
}

impl Caller for Staff {
    fn admit(request: &HttpRequest, permission: Permission) -> Result<Staff, Problem> {
        let LoggedIn { api, session, .. } = logged_in(request)?;
        let Principal::Staff { username } = &session.principal else {
            return Err(refusals::FORBIDDEN.saying("this is for staff"));
        };
        let account = api.engine.services().directory.account(username).filter(|account| !account.disabled);
        let account = account.ok_or_else(|| refusals::UNAUTHENTICATED.saying("the account is disabled"))?;
        if !permission.is_of_account(&account) {
            note_account(request, username);
            return Err(refusals::FORBIDDEN.saying("the account has no role for this"));
        }
        Ok(Staff { who: account, api, session })
    }
}

impl Caller for Partner {
    const BRINGS: &[Option<&str>] = &[Some(API_KEY)];

    fn admit(request: &HttpRequest, permission: Permission) -> Result<Partner, Problem> {
        if !permission.is_of(Holder::Partner) {
            return Err(refusals::FORBIDDEN.saying("this is not for partners"));
        }
        Partner::who_asks(request)
    }
}

/// Somebody on this machine, who calls it by a name of this machine, or at an address in `server.ops_allow`, or else staff
/// with the permission. A page from elsewhere makes a browser ask by the page's own name, whatever address that has.
#[derive(Debug)]
pub struct Onlooker;

impl Caller for Onlooker {
    const BRINGS: &[Option<&str>] = &[None, Some(BEARER)];

    fn admit(request: &HttpRequest, permission: Permission) -> Result<Onlooker, Problem> {
        let allowed = &of_request(request)?.server.ops_allow;
        let peer = request.peer_addr().map(|peer| peer.ip());
        let forwarded = request.headers().contains_key(FORWARDED) || request.headers().contains_key(FORWARDED_FOR);
        let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        if forwarded || !peer.is_some_and(|peer| may_look(peer, host, allowed)) {
            Staff::admit(request, permission)?;
        }
        Ok(Onlooker)
    }
}

fn may_look(peer: IpAddr, host: &str, allowed: &[IpAddr]) -> bool {
    // A socket for both families shows IPv4 peers as IPv6.
    let peer = peer.to_canonical();
    allowed.contains(&peer) || peer.is_loopback() && is_this_machine(host)
}

/// Whether a `Host` header, with or without a port, names this machine for itself.
fn is_this_machine(host: &str) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    is_here(authority.host().trim_start_matches('[').trim_end_matches(']'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_for_this_machine_and_the_listed_addresses() {
        let allowed = ["192.0.2.7".parse().unwrap()];
        let looks = |peer: &str| may_look(peer.parse().unwrap(), "127.0.0.1:8080", &allowed);
        assert!(looks("127.0.0.1") && looks("::1") && looks("::ffff:127.0.0.1"));
        assert!(looks("192.0.2.7") && looks("::ffff:192.0.2.7"));
        assert!(!looks("192.0.2.8") && !looks("2001:db8::1"));
    }

    #[test]
    fn fault_10_this_machine_asks_by_its_own_name_only() {
        let looks = |peer: &str, host: &str| may_look(peer.parse().unwrap(), host, &["192.0.2.7".parse().unwrap()]);
        for host in ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8080"] {
            assert!(looks("127.0.0.1", host), "{host}");
        }
        for host in
            ["", "shop.example", "localhost.shop.example:8080", "192.0.2.9", "[2001:db8::1]:80", "a b", "0.0.0.0"]
        {
            assert!(!looks("127.0.0.1", host), "{host}");
            assert!(looks("192.0.2.7", host), "whoever is listed may come by any name: {host}");
        }
    }
}
