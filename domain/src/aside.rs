//! Texts that many values share, each with a number. Where a value is laid aside for a while in this process and not
//! written anywhere, its number stands for such a text: shorter, and read back without making the text again.
//!
//! The numbers mean nothing to another process, and a text once numbered is never forgotten. So it must be one of a
//! bounded set, as codes of the catalogue are.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, PoisonError, RwLock};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Every numbered text of the process.
static ALL: LazyLock<RwLock<All>> = LazyLock::new(RwLock::default);

#[derive(Default)]
struct All {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

/// Texts that a thread has met lately: found by where they lie, since values share them.
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
pub fn number(text: &Arc<str>) -> u32 {
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
pub fn text(number: u32) -> Option<Arc<str>> {
    OWN.with_borrow_mut(|own| {
        let index = number as usize;
        if index >= own.texts.len() {
            let all = ALL.read().unwrap_or_else(PoisonError::into_inner);
            own.texts.extend(all.texts.iter().skip(own.texts.len()).cloned());
        }
        own.texts.get(index).cloned()
    })
}

/// For `serde(with)`, of values that are only ever laid aside.
pub fn serialize<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    number(text).serialize(serializer)
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    text(u32::deserialize(deserializer)?).ok_or_else(|| D::Error::custom("not a text of this process"))
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

    #[test]
    fn equal_texts_have_one_number_wherever_they_lie_and_on_every_thread() {
        let texts: Vec<Arc<str>> = (0..3_000).map(|n| format!("shared-{n}").into()).collect();
        let numbers: Vec<u32> = texts.iter().map(number).collect();
        let elsewhere = std::thread::spawn(move || {
            let again: Vec<Arc<str>> = (0..3_000).map(|n| format!("shared-{n}").into()).collect();
            again.iter().map(|text| (number(text), super::text(number(text)))).collect::<Vec<_>>()
        });
        for ((expected, text), (number, read)) in numbers.into_iter().zip(texts).zip(elsewhere.join().unwrap()) {
            assert_eq!((number, read.as_ref()), (expected, Some(&text)));
        }
    }

    #[test]
    fn a_number_that_nobody_gave_has_no_text() {
        assert_eq!(text(u32::MAX), None);
    }
}
