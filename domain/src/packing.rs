//! Values packed to lie in this process' memory for a while, as short as they can be, and written nowhere else. Whatever
//! serde writes in a form that people do not read goes this way, and means nothing to another process.
//!
//! A text that many values share is packed as a number. Texts once numbered are never forgotten, so they are of a set that
//! hardly grows: codes of the catalogue, and departures, of which a thousand a day take some 50 MB in a year.
//!
//! An order is packed and unpacked [for itself](for_order): its own id then takes one byte, instants count from when it was
//! made, and only then has it numbers for texts.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

thread_local! {
    static ORDER: Cell<Option<Common>> = const { Cell::new(None) };
}

/// What the values of an order share while they are packed. In plain numbers, because ids and instants themselves are
/// packed by this module.
#[derive(Clone, Copy)]
pub struct Common {
    pub(crate) id: u128,
    /// From when its instants count, in ms since the epoch.
    pub(crate) base_ms: i64,
}

/// Packs or unpacks what belongs to this order. What was packed for one is unpacked for the same one.
pub fn for_order<T>(order: impl Into<Common>, work: impl FnOnce() -> T) -> T {
    struct Before(Option<Common>);
    impl Drop for Before {
        fn drop(&mut self) {
            ORDER.set(self.0);
        }
    }
    let _before = Before(ORDER.replace(Some(order.into())));
    work()
}

/// From when instants count here, in ms since the epoch.
pub(crate) fn base_ms() -> i64 {
    ORDER.get().map_or(0, |order| order.base_ms)
}

/// Writes the bits of an id: none of the order's own.
pub(crate) fn write_id<S: Serializer>(bits: u128, serializer: S) -> Result<S::Ok, S::Error> {
    let is_own = ORDER.get().is_some_and(|order| order.id == bits);
    let bytes = bits.to_be_bytes();
    serializer.serialize_bytes(if is_own { &[] } else { &bytes })
}

pub(crate) fn read_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
    let bytes = <&[u8]>::deserialize(deserializer)?;
    let own = || ORDER.get().filter(|_| bytes.is_empty()).map(|order| order.id);
    let written = bytes.try_into().ok().map(u128::from_be_bytes);
    written.or_else(own).ok_or_else(|| D::Error::custom("not the bits of an id"))
}

/// Bytes in one piece; they are read as a slice.
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl Serialize for Bytes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// For `serde(with)`: a text that many values share.
pub(crate) mod shared_text {
    use super::{Arc, Deserialize as _, Deserializer, ORDER, Serialize as _, Serializer, number, text};
    use serde::de::Error as _;
    use serde::ser::Error as _;

    /// A number that got out of this process would be some other text there: nothing but an order has any.
    const NOT_PACKED: &str = "no order is being packed";

    pub fn serialize<S: Serializer>(shared: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
        ORDER.get().ok_or_else(|| S::Error::custom(NOT_PACKED))?;
        number(shared).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
        ORDER.get().ok_or_else(|| D::Error::custom(NOT_PACKED))?;
        text(u32::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a text of this process"))
    }
}

/// Every numbered text of the process.
static ALL: LazyLock<RwLock<All>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct All {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// Texts that a thread has met lately, found by where they lie: values that were unpacked or come from the catalogue share
/// them. What a request has just brought is looked up by how it reads.
const LATELY: usize = 1024;

thread_local! {
    static OWN: RefCell<Own> = RefCell::new(Own { lately: vec![None; LATELY], texts: Vec::new() });
}

/// What a thread knows of [`ALL`] without its lock.
struct Own {
    lately: Vec<Option<(Arc<str>, u32)>>,
    texts: Vec<Arc<str>>,
}

/// The number of a text in this process.
pub(crate) fn number(text: &Arc<str>) -> u32 {
    OWN.with_borrow_mut(|own| {
        // Allocations are at least 16 bytes apart.
        let place = (Arc::as_ptr(text).addr() >> 4) % LATELY;
        let Some(slot) = own.lately.get_mut(place) else { return number_in_all(text) };
        match slot {
            Some((known, number)) if Arc::ptr_eq(known, text) => *number,
            _ => {
                let number = number_in_all(text);
                *slot = Some((Arc::clone(text), number));
                number
            }
        }
    })
}

/// The text of a number that this process has given; `None` for any other.
pub(crate) fn text(number: u32) -> Option<Arc<str>> {
    OWN.with_borrow_mut(|own| {
        let index = number as usize;
        if index >= own.texts.len() {
            let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
            own.texts.extend(all.texts.iter().skip(own.texts.len()).cloned());
        }
        own.texts.get(index).cloned()
    })
}

fn number_in_all(text: &Arc<str>) -> u32 {
    if let Some(number) = ALL.read().unwrap_or_else(PoisonError::into_inner).numbers.get(text) {
        return *number;
    }
    let mut all = ALL.write().unwrap_or_else(PoisonError::into_inner);
    let next = all.texts.len() as u32;
    let number = *all.numbers.entry(Arc::clone(text)).or_insert(next);
    if number == next {
        all.texts.push(Arc::clone(text));
    }
    number
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{OrderId, RouteCode};

    #[test]
    fn equal_texts_have_one_number_wherever_they_lie() {
        let texts = || (0..3_000).map(|n| Arc::from(format!("shared-{n}")));
        let numbers: Vec<u32> = texts().map(|text| number(&text)).collect();
        for (text, expected) in texts().zip(numbers) {
            assert_eq!((number(&text), super::text(expected)), (expected, Some(text)));
        }
    }

    #[test]
    fn for_its_order_an_id_is_a_byte_and_what_was_packed_for_one_is_refused_elsewhere() {
        let order = OrderId::from_bits(7 << 80 | 1);
        let other = OrderId::from_bits(7 << 80 | 2);
        let ids = (order, other);
        let written = for_order(order, || postcard::to_allocvec(&ids)).unwrap();
        assert_eq!(written.len(), 1 + 17);
        assert_eq!(for_order(order, || postcard::from_bytes(&written)), Ok(ids));
        assert!(postcard::from_bytes::<(OrderId, OrderId)>(&written).is_err());
        let code = RouteCode::constant("GZ-HKA");
        let written = for_order(order, || postcard::to_allocvec(&code)).unwrap();
        assert_eq!(for_order(order, || postcard::from_bytes(&written)), Ok(code.clone()));
        assert!(postcard::to_allocvec(&code).is_err() && postcard::from_bytes::<RouteCode>(&written).is_err());
        let plain = postcard::to_allocvec(&ids).unwrap();
        assert_eq!((plain.len(), postcard::from_bytes(&plain)), (34, Ok(ids)));
    }

    #[test]
    fn a_number_that_nobody_gave_has_no_text() {
        assert_eq!(text(u32::MAX), None);
    }
}
