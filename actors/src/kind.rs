//! What kinds of records there are. A kind stands outside the payload (rule 23), and the journal knows it as a number
//! only; so a reader passes over a record of a kind that it does not want without looking into it.

/// Version of the encoding of rows in a record's payload.
pub const CODEC: u16 = 1;

/// What a record is.
///
/// The numbers stand in every record's header and are never reused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Kind {
    /// Images of the rows that one decision changed. Nothing in it is announced, and followers pass over it.
    Rows = 1,
    /// The same with announcements among the rows. It is a kind of its own so that an older release stops at it instead
    /// of taking it for one without (rule 23).
    Announcing = 2,
}

impl Kind {
    const ALL: [Kind; 2] = [Kind::Rows, Kind::Announcing];

    /// The kind of a record of rows.
    pub const fn of_rows(announces: bool) -> Kind {
        if announces { Kind::Announcing } else { Kind::Rows }
    }

    /// `None`: a later release wrote it, and nobody of this one may go past it.
    pub fn known(number: u16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// As it stands in the record's header.
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// Whether followers read it.
    pub const fn announces(self) -> bool {
        match self {
            Kind::Rows => false,
            Kind::Announcing => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_number_and_no_other_number_is() {
        for kind in Kind::ALL {
            assert_eq!(Kind::known(kind.number()), Some(kind));
            assert_eq!(Kind::of_rows(kind.announces()), kind);
        }
        assert_eq!(Kind::known(0), None);
        assert_eq!(Kind::known(3), None);
    }
}
