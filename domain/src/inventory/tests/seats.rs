//! R-HOLD-06: which seats a party gets.

use super::*;

/// The seats a party of `wanted` gets where the seats of `taken` are.
fn picked(drawing: &[&str], taken: &str, wanted: u16) -> String {
    let mut story = Story::new(2, drawing);
    for (number, label) in taken.split(' ').filter(|label| !label.is_empty()).enumerate() {
        story.choose(100 + number as u16, "AB", label, at(0)).unwrap();
    }
    story.auto(1, "AB", wanted, at(0)).unwrap()
}

#[test]
fn r_hold_06_a_party_sits_side_by_side_if_it_can() {
    assert_eq!(picked(&["ss ss", "sss s"], "", 3), "2A 2B 2C");
    assert_eq!(picked(&["ss ss", "ss ss"], "1A", 2), "1D 1E", "not over the aisle");
    assert_eq!(picked(&["sssss"], "1C", 2), "1A 1B");
}

#[test]
fn r_hold_06_else_in_one_row_over_the_aisle() {
    assert_eq!(picked(&["ss ss", "ss ss"], "2A", 3), "2B 2D 2E", "a row that is then full");
    assert_eq!(picked(&["ss ss", "ss ss"], "1B", 3), "2A 2B 2D", "rather than around a stranger");
    assert_eq!(picked(&["ss ss", "ss ss"], "1A 1D", 3), "2A 2B 2D");
    assert_eq!(picked(&["s s s s"], "", 2), "1A 1C");
    assert_eq!(picked(&["s s  s s"], "1A", 2), "1F 1H", "as close as there are");
}

#[test]
fn r_hold_06_else_in_neighbouring_rows_else_as_near_as_there_are() {
    assert_eq!(picked(&["ss ss", "ss ss", "ss ss"], "1A 1B 1D 2A", 5), "2B 2D 2E 3A 3B");
    assert_eq!(picked(&["ss", "ss", "ss", "ss"], "1B 2A 2B 3B", 2), "4A 4B");
    assert_eq!(picked(&["ss", "ss", "ss", "ss"], "1B 2A 2B 3B 4A", 2), "3A 4B");
    assert_eq!(picked(&["ss", "ss", "ss"], "1B 2A 2B 3A", 2), "1A 3B");
}

#[test]
fn r_hold_06_large_gaps_stay_for_large_parties() {
    assert_eq!(picked(&["ssss", "ss", "sss"], "", 2), "2A 2B");
    assert_eq!(picked(&["ssss", "ss", "sss"], "", 3), "3A 3B 3C");
    assert_eq!(picked(&["ssss", "ss", "sss"], "2A", 1), "2B");
}

#[test]
fn r_hold_06_party_after_party_sits_where_it_would_without_the_one_before() {
    // A letter for each stop; parties that ask for the same as the one before, and others now and then.
    for (party, stops) in [(1, "AC"), (2, "AC"), (1, "AB"), (3, "BC")] {
        let mut story = Story::new(3, &["sss ssss sss", "sss ssss sss", "ss ss", "s", "sssssss"]);
        for number in 1.. {
            let (party, stops) = if number % 7 == 0 { (party + 1, "AB") } else { (party, stops) };
            let command = Command::PlaceHold(place(number, stops, Wanted::Auto(party), at(0)));
            assert_eq!(story.0.decide(&command, at(0)), forgetful(&story.0).decide(&command, at(0)), "{number}");
            if number % 11 == 0 {
                story.release(number - 5, at(0)).unwrap();
            } else if story.apply(&command, at(0)).is_err() && number % 7 != 0 {
                break;
            }
        }
        assert!(story.left(stops) < party);
    }
}

#[test]
fn r_hold_06_whole_seats_stay_whole() {
    let mut story = Story::new(4, &["ss", "ss"]);
    story.choose(1, "AB", "2A 2B", at(0)).unwrap();
    assert_eq!(story.auto(2, "CD", 1, at(0)).unwrap(), "2A");
    assert_eq!(story.auto(3, "BC", 2, at(0)).unwrap(), "2A 2B");
    assert_eq!(story.auto(4, "CD", 1, at(0)).unwrap(), "2B");
    assert_eq!(story.auto(5, "AD", 2, at(0)).unwrap(), "1A 1B");
}

#[test]
fn r_hold_06_the_party_gets_seats_of_its_class_only() {
    let mut story = Story::new(2, &["dd ss", "dd ss"]);
    assert_eq!(story.auto(1, "AB", 3, at(0)).unwrap(), "1D 1E 2D");
    assert_eq!(story.auto(2, "AB", 2, at(0)), Err(Rejection::SoldOut { of: Sold::Seats, wanted: 2, available: 1 }));
    assert!(matches!(story.choose(2, "AB", "1A", at(0)), Err(Rejection::Field { .. })));
    let deluxe = PlaceHold { class: class('d'), ..place(2, "AB", Wanted::Auto(2), at(0)) };
    assert_eq!(story.place(&deluxe, at(0)).unwrap(), "1A 1B");
}
