//! The people an order is for, by type.

use serde::{Deserialize, Serialize};

use crate::ids::codes;

/// Most passengers of one order (R-SEARCH-05).
pub const PARTY_MAX: u16 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PassengerType {
    Adult,
    Child,
    Senior,
}

codes!(PassengerType, "passenger type": Adult = "adult", Child = "child", Senior = "senior");

/// How many of each type: 1 to [`PARTY_MAX`] in all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Party {
    adults: u16,
    children: u16,
    seniors: u16,
}

impl Party {
    /// `None` for an empty party or one of more than [`PARTY_MAX`].
    pub fn new(adults: u16, children: u16, seniors: u16) -> Option<Party> {
        let total = adults.checked_add(children)?.checked_add(seniors)?;
        (1..=PARTY_MAX).contains(&total).then_some(Party { adults, children, seniors })
    }

    pub const fn size(self) -> u16 {
        self.adults + self.children + self.seniors
    }

    pub const fn count(self, of: PassengerType) -> u16 {
        match of {
            PassengerType::Adult => self.adults,
            PassengerType::Child => self.children,
            PassengerType::Senior => self.seniors,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r_search_05_a_party_has_one_to_ten_people() {
        assert_eq!(Party::new(0, 0, 0), None);
        assert_eq!(Party::new(8, 2, 1), None);
        assert_eq!(Party::new(u16::MAX, 1, 0), None);
        assert_eq!(Party::new(7, 2, 1).map(Party::size), Some(10));
    }
}
