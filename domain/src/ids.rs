//! Identities. An id that the service makes is time-ordered and carries the shard of its key, in the layout of a
//! UUID version 7 (RFC 9562): 48 bits of milliseconds, 12 bits of shard, 62 bits of chance. Its text is 26 characters
//! of Crockford base32, which sort like the ids. Ids of things inside an order begin with the order's id, so that the
//! owner is found without a look-up (architecture rule 13).

use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::id_text::{TEXT_LEN, decode, encode};
use crate::packing;
use crate::row::{Element, Kind, Raw, Unreadable, Uuid, text_fields, write};
use crate::time::Timestamp;

/// Hashes what nobody outside can choose: ids that the service makes, and digests. It is fast, and no defence against
/// somebody who looks for keys that fall together; texts of clients keep the standard one. The same in every process,
/// because a machine has no chance of its own.
pub type IdHash = foldhash::fast::FixedState;

/// A table by such ids.
pub type IdMap<K, V> = HashMap<K, V, IdHash>;

/// The text is not an id of the kind asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {0}")]
pub struct InvalidId(pub &'static str);

/// Names the variants of an enum, as they stand in rows, on the wire and in logs:
/// `codes!(Mode, "mode": Coach = "coach", Ferry = "ferry");` makes `Mode::ALL`, `code()`, the text both ways, and a type of
/// fields. Any other text is an [`InvalidId`] of that name.
macro_rules! codes {
    ($type:ident, $what:literal: $($variant:ident = $code:literal),+ $(,)?) => {
        impl $type {
            pub const ALL: [$type; [$($code),+].len()] = [$($type::$variant),+];

            pub const fn code(self) -> &'static str {
                match self {
                    $($type::$variant => $code,)+
                }
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }

        impl std::str::FromStr for $type {
            type Err = $crate::ids::InvalidId;

            fn from_str(text: &str) -> Result<$type, Self::Err> {
                $type::ALL.into_iter().find(|one| one.code() == text).ok_or($crate::ids::InvalidId($what))
            }
        }

        impl $crate::row::Element<'_> for $type {
            const ONE: $crate::row::Kind = $crate::row::Kind::Text;
            const MANY: $crate::row::Kind = $crate::row::Kind::Texts;

            fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
                $crate::row::Element::put_one(&self.code(), tag, out);
            }

            fn get_one(raw: $crate::row::Raw<'_>) -> Result<Self, $crate::row::Unreadable> {
                <&str as $crate::row::Element<'_>>::get_one(raw)?.parse().map_err(|_| $crate::row::Unreadable)
            }
        }
    };
}
pub(crate) use codes;

/// For `serde(with)`: a value by its text. A derived reader calls a number in its place no JSON.
pub(crate) mod as_text {
    use std::borrow::Cow;
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(deserializer: D) -> Result<T, D::Error> {
        Cow::<str>::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// A virtual shard: the part of the state to which a key belongs (0–4095).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Shard(u16);

impl Shard {
    pub const COUNT: u16 = 4096;

    /// Every number has a shard: it is taken modulo [`Shard::COUNT`].
    pub const fn of(number: u64) -> Shard {
        Shard((number % Shard::COUNT as u64) as u16)
    }

    pub const fn number(self) -> u16 {
        self.0
    }
}

fn write_text(f: &mut fmt::Formatter<'_>, bits: u128) -> fmt::Result {
    let text = encode(bits);
    // The alphabet is ASCII, so this cannot fail.
    f.write_str(std::str::from_utf8(&text).unwrap_or_default())
}

fn compose(at: Timestamp, shard: Shard, chance: u64) -> u128 {
    let ms = (at.as_ms().max(0) as u128) & 0xFFFF_FFFF_FFFF;
    ms << 80 | 0x7 << 76 | u128::from(shard.0) << 64 | 0x2 << 62 | u128::from(chance >> 2)
}

/// 128 bits, the higher half first so that ids sort as their bits do. There are ids by the million inside of other
/// things, and a `u128` would be aligned to 16 bytes.
type Halves = [u64; 2];

macro_rules! time_ordered_ids {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(Halves);

        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(self.bits());
            }
        }

        impl $name {
            /// A new id. `chance` must be fresh for every call with the same instant and shard.
            pub fn compose(at: Timestamp, shard: Shard, chance: u64) -> $name {
                $name::from_bits(compose(at, shard, chance))
            }

            pub const fn from_bits(bits: u128) -> $name {
                $name([(bits >> 64) as u64, bits as u64])
            }

            pub const fn bits(self) -> u128 {
                let [high, low] = self.0;
                (high as u128) << 64 | low as u128
            }

            pub fn shard(self) -> Shard {
                Shard((self.bits() >> 64 & 0xFFF) as u16)
            }

            /// When the id was made, to the millisecond.
            pub fn made_at(self) -> Timestamp {
                Timestamp::from_ms((self.bits() >> 80) as i64)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text(f, self.bits())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                decode(text).map($name::from_bits).ok_or(InvalidId($what))
            }
        }

        impl Element<'_> for Uuid<$name> {
            const ONE: Kind = Kind::Uuid;

            fn put_one(&self, tag: u32, out: &mut Vec<u8>) {
                write::bytes(tag, &self.0.bits().to_be_bytes(), out);
            }

            fn get_one(raw: Raw<'_>) -> Result<Self, Unreadable> {
                let bytes = raw.bytes()?.try_into().map_err(|_| Unreadable)?;
                Ok(Uuid($name::from_bits(u128::from_be_bytes(bytes))))
            }
        }

        text_traits!(
            $name,
            |id: &$name, serializer| packing::write_id(id.bits(), serializer),
            |deserializer| packing::read_id(deserializer).map($name::from_bits)
        );
    )+};
}

/// Debug through the text form; serde through it too where people read, and where only we do as `$write`
/// and `$read` say.
macro_rules! text_traits {
    ($name:ident, $write:expr, $read:expr) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    return serializer.collect_str(self);
                }
                $write(self, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                if deserializer.is_human_readable() {
                    return as_text::deserialize(deserializer);
                }
                $read(deserializer)
            }
        }
    };
}

time_ordered_ids! {
    /// An order. Its shard is its traveller's.
    OrderId, "order id";
    /// A traveller: one WeChat openid, see [`TravellerId::of_openid_digest`].
    TravellerId, "traveller id";
    /// A validator session of an operator on a device.
    SessionId, "session id";
}

/// Ids of things inside an order: the order's own, and a number there. Text: `<order><separator><number>`.
macro_rules! ids_in_order {
    ($($(#[$doc:meta])* $name:ident { $number:ident }, $separator:literal, $what:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name {
            pub order: OrderId,
            pub $number: u16,
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}{}{}", self.order, $separator, self.$number)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                let (order, $number) = split_number(text, $separator).ok_or(InvalidId($what))?;
                Ok($name { order, $number })
            }
        }

        text_traits!($name, |id: &$name, serializer| (id.order, id.$number).serialize(serializer), |deserializer| {
            <(OrderId, u16)>::deserialize(deserializer).map(|(order, $number)| $name { order, $number })
        });
    )+};
}

ids_in_order! {
    /// A ticket: its order and a number within it, from 1.
    TicketId { number }, '-', "ticket id";
    /// A hold: the order and the number of its item, from 0. Those on uses of promotions have numbers beyond all items.
    HoldId { item }, '.', "hold id";
    /// The merchant's number of a payment at WeChat: the order and the number of the attempt, from 1. 32 characters at
    /// most, as many as WeChat takes.
    OutTradeNo { attempt }, 'P', "outTradeNo";
    /// A refund, as WeChat knows it: the order and the number of the refund, from 1.
    OutRefundNo { number }, 'R', "outRefundNo";
}

/// Tells a one-time code of a ticket or an order from every other: part of its nonce.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct CodeToken(pub u64);

/// The number in canonical form, so that an id has exactly one text. The order's own text may contain the separator, which
/// is at a fixed place.
fn split_number(text: &str, separator: char) -> Option<(OrderId, u16)> {
    let order = text.get(..TEXT_LEN)?.parse().ok()?;
    let digits = text.get(TEXT_LEN..)?.strip_prefix(separator)?;
    let number: u16 = digits.parse().ok()?;
    (number.to_string() == digits).then_some((order, number))
}

/// Longest text of a code or a departure id, in bytes: they are part of record keys, whose length is bounded.
pub const CODE_LEN_MAX: usize = 64;

macro_rules! named {
    ($($(#[$doc:meta])* $name:ident, $what:literal;)+) => {$(
        $(#[$doc])*
        /// 1–64 ASCII letters, digits, `-`, `_`, `.`; cheap to clone.
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// From a constant of the program, which is known to fit.
            pub fn constant(text: &'static str) -> $name {
                debug_assert!(text.parse::<$name>().is_ok(), "{text:?} is no code");
                $name(text.into())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                let fits = !text.is_empty()
                    && text.len() <= CODE_LEN_MAX
                    && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
                if fits { Ok($name(text.into())) } else { Err(InvalidId($what)) }
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        text_traits!(
            $name,
            |code: &$name, serializer| packing::shared_text::serialize(&code.0, serializer),
            |deserializer| packing::shared_text::deserialize(deserializer).map($name)
        );
    )+};
}

named! {
    /// A route, as administrators name it.
    RouteCode, "route code";
    /// A schedule: one departure time of a route over a range of dates.
    ScheduleId, "schedule id";
    /// A dated departure: `<schedule>.<yyyymmdd>`. The schedule and the date are found from it.
    DepartureId, "departure id";
    /// A kind of vehicle or vessel: its seat map.
    VehicleCode, "vehicle code";
    /// A seat class of a departure (standard, deluxe, …).
    SeatClassCode, "seat class";
    /// A city or district in which travellers search; has ports.
    PlaceCode, "place code";
    /// A terminal or border crossing where a departure stops.
    PortCode, "port code";
    /// The company that runs a departure.
    OperatorCode, "operator code";
    /// A merchant whose staff redeems tickets. A carrier's merchant has the operator's code.
    MerchantCode, "merchant id";
    /// A gate or venue of a merchant.
    LocationCode, "location id";
    /// What a ticket gives the right to, and what an operator may redeem.
    EntitlementCode, "entitlement code";
    /// A device of a merchant, as its operators name it when they open a session.
    DeviceCode, "device id";
    /// A rule for refunds and changes.
    RuleCode, "refund rule id";
    /// A package's template; follows from its name.
    TemplateId, "template id";
    /// A promotion, as travellers type it.
    PromotionCode, "promotion code";
    /// A partner that sells packages under its own name.
    PartnerCode, "partner id";
    /// A key of a partner, by the part of it that is no secret.
    PartnerKeyId, "key id";
}

text_fields!(
    OrderId: Text,
    TravellerId: Text,
    SessionId: Text,
    TicketId: Text,
    HoldId: Text,
    OutTradeNo: Text,
    OutRefundNo: Text,
    RouteCode: Text,
    ScheduleId: Text,
    DepartureId: Text,
    VehicleCode: Text,
    SeatClassCode: Text,
    PlaceCode: Text,
    PortCode: Text,
    OperatorCode: Text,
    MerchantCode: Text,
    LocationCode: Text,
    EntitlementCode: Text,
    DeviceCode: Text,
    RuleCode: Text,
    TemplateId: Text,
    PromotionCode: Text,
    PartnerCode: Text,
    PartnerKeyId: Text,
);

impl From<OrderId> for packing::Common {
    fn from(order: OrderId) -> packing::Common {
        packing::Common { id: order.bits(), base_ms: order.made_at().as_ms() }
    }
}

impl TravellerId {
    /// The traveller behind a WeChat openid: derived from its SHA-256, so that a login has nothing to look up.
    pub fn of_openid_digest(digest: &[u8; 32]) -> TravellerId {
        let (head, _) = digest.split_at(16);
        TravellerId::from_bits(head.iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte)))
    }
}

impl PartnerCode {
    /// Of everything that the partner sells. By a digest: the same in every release.
    pub fn shard(&self) -> Shard {
        Shard::of(digest_head(&[self.as_str().as_bytes()]))
    }
}

/// The first 64 bits of the SHA-256 of some parts of fixed order, of which the last one alone varies in length.
pub(crate) fn digest_head(parts: &[&[u8]]) -> u64 {
    let mut digest = digest::Context::new(&digest::SHA256);
    for part in parts {
        digest.update(part);
    }
    digest.finish().as_ref().first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

impl From<&OperatorCode> for MerchantCode {
    /// A carrier redeems its own tickets.
    fn from(operator: &OperatorCode) -> MerchantCode {
        MerchantCode(Arc::clone(&operator.0))
    }
}

impl From<&LocationCode> for PortCode {
    /// A port is a location of every merchant.
    fn from(location: &LocationCode) -> PortCode {
        PortCode(Arc::clone(&location.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(ms: i64) -> OrderId {
        OrderId::compose(Timestamp::from_ms(ms), Shard::of(77), 0xFEED_BEEF_0000_1234)
    }

    #[test]
    fn an_order_id_carries_its_time_and_shard_and_sorts_by_time() {
        let id = order(1_764_000_000_123);
        assert_eq!(id.made_at(), Timestamp::from_ms(1_764_000_000_123));
        assert_eq!(id.shard().number(), 77);
        assert_eq!(id.to_string().len(), 26);
        assert!(order(1).to_string() < order(2).to_string());
        assert_eq!((id.bits() >> 76) & 0xF, 7, "the version of RFC 9562");
        assert_eq!((id.bits() >> 62) & 0x3, 2, "the variant of RFC 9562");
    }

    #[test]
    fn ids_inside_an_order_name_their_order_and_have_one_text_each() {
        let order = order(1_764_000_000_123);
        let ticket = TicketId { order, number: 3 };
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        let hold = HoldId { order, item: 0 };
        assert_eq!(hold.to_string().parse(), Ok(hold));
        let payment = OutTradeNo { order, attempt: 1 };
        assert_eq!(payment.to_string().parse(), Ok(payment));
        assert_eq!(OutTradeNo { order, attempt: u16::MAX }.to_string().len(), 32, "WeChat's limit");
        let refund = OutRefundNo { order, number: 12 };
        assert_eq!(refund.to_string().parse(), Ok(refund));
        assert_eq!(format!("{order}-03").parse::<TicketId>(), Err(InvalidId("ticket id")));
        assert_eq!(format!("{order}-+3").parse::<TicketId>(), Err(InvalidId("ticket id")));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "0123456789012345678901234I", "0123456789é12345678901234"] {
            assert_eq!(text.parse::<OrderId>(), Err(InvalidId("order id")), "{text}");
        }
        for text in ["", "a b", "ä", &"x".repeat(65)] {
            assert_eq!(text.parse::<RouteCode>(), Err(InvalidId("route code")), "{text}");
        }
    }
}
