//! Who buys an order.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{PartnerCode, TravellerId};
use crate::packing::Bytes;

/// Who buys an order, and how he finds it again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Buyer {
    /// Who has asked us for it and pays us.
    Traveller {
        id: TravellerId,
        idempotency_key: Box<str>,
        /// SHA-256 of the request, to tell a repetition from another request with the same key.
        body_hash: [u8; 32],
    },
    /// The partner whose channel has sold it, with its customer's money (R-OTA-06).
    Partner {
        partner: PartnerCode,
        /// Of the customer's payment, as the partner calls it.
        payment_reference: Box<str>,
        /// SHA-256 of the id of the message that told of the payment, to tell its repetition from another one. `None`: a call.
        message: Option<[u8; 32]>,
    },
}

/// Packed, it stands between a partner's code, which never has it, and a message.
const BEFORE_MESSAGE: u8 = 0;

impl Buyer {
    pub const fn partner(&self) -> Option<&PartnerCode> {
        match self {
            Buyer::Traveller { .. } => None,
            Buyer::Partner { partner, .. } => Some(partner),
        }
    }

    pub const fn traveller(&self) -> Option<TravellerId> {
        match self {
            Buyer::Traveller { id, .. } => Some(*id),
            Buyer::Partner { .. } => None,
        }
    }

    /// What its buyer tells a repetition by.
    pub(in crate::order) const fn body_hash(&self) -> Option<[u8; 32]> {
        match self {
            Buyer::Traveller { body_hash, .. } => Some(*body_hash),
            Buyer::Partner { message, .. } => *message,
        }
    }

    /// By what he knows the order: a traveller's key, or a partner's reference.
    pub(in crate::order) const fn reference(&self) -> &str {
        match self {
            Buyer::Traveller { idempotency_key, .. } => idempotency_key,
            Buyer::Partner { payment_reference, .. } => payment_reference,
        }
    }
}

/// Packed, a partner is a traveller without an id, with its code and the message in place of the hash: so no order of a
/// traveller has a byte more.
impl Serialize for Buyer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Buyer::Traveller { id, idempotency_key, body_hash } => {
                (Bytes(&id.bits().to_be_bytes()), idempotency_key, Bytes(body_hash)).serialize(serializer)
            }
            Buyer::Partner { partner, payment_reference, message } => {
                let mut rest = partner.as_str().as_bytes().to_vec();
                if let Some(message) = message {
                    rest.push(BEFORE_MESSAGE);
                    rest.extend(message);
                }
                (Bytes(&[]), payment_reference, Bytes(&rest)).serialize(serializer)
            }
        }
    }
}

impl<'de> Deserialize<'de> for Buyer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Buyer, D::Error> {
        let (id, reference, rest) = <(&[u8], Box<str>, &[u8])>::deserialize(deserializer)?;
        if id.is_empty() {
            let mut parts = rest.splitn(2, |byte| *byte == BEFORE_MESSAGE);
            let partner = std::str::from_utf8(parts.next().unwrap_or_default()).map_err(D::Error::custom)?;
            let partner = partner.parse().map_err(D::Error::custom)?;
            let message = parts.next().map(<[u8; 32]>::try_from).transpose().map_err(D::Error::custom)?;
            return Ok(Buyer::Partner { partner, payment_reference: reference, message });
        }
        let id = u128::from_be_bytes(id.try_into().map_err(D::Error::custom)?);
        let body_hash = rest.try_into().map_err(D::Error::custom)?;
        Ok(Buyer::Traveller { id: TravellerId::from_bits(id), idempotency_key: reference, body_hash })
    }
}
