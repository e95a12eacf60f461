//! Seats are sold once, to whole parties, stretch by stretch (R-HOLD-02, R-HOLD-04, R-HOLD-06, R-SEARCH-06).

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::client::Client;
use crate::shop::{COACH_SEATS, chosen, journey, seats};

const BUYERS: usize = 300;

/// The five stops of the coach to Guangzhou.
const STOP_A: u8 = 0;
const STOP_B: u8 = 1;
const STOP_C: u8 = 2;
const STOP_D: u8 = 3;
const STOP_E: u8 = 4;

#[tokio::test]
async fn r_hold_02_three_hundred_parties_want_one_coach_and_nobody_is_split_or_sold_twice() {
    let client = Client::new();
    let coach = client.coach().await;
    let names: Vec<String> = (0..BUYERS).map(|number| format!("crowd{number}")).collect();
    let travellers = join_all(names.iter().map(|name| client.traveller(name))).await;

    // Parties of 3, 1 and 2 in turn.
    let asking = travellers.iter().enumerate().map(|(number, traveller)| {
        let (size, coach) = ([3, 1, 2][number % 3], &coach);
        async move { (size, traveller.place(&[journey(coach)], size).await) }
    });
    let answers = join_all(asking).await;

    let mut taken = Vec::new();
    let mut refused = Vec::new();
    for (size, answer) in answers {
        if answer.status == 201 {
            let got = seats(&answer.body);
            assert_eq!(got.len(), size, "a party is not split");
            taken.extend(got);
        } else {
            let refusal = answer.problem(409, "SOLD_OUT");
            assert!(refusal.body["available"].as_u64().unwrap() < size as u64, "{}", refusal.text);
            refused.push(size as u64);
        }
    }
    assert!(taken.len() as u64 <= COACH_SEATS);
    assert_eq!(taken.iter().collect::<HashSet<_>>().len(), taken.len(), "every seat once");
    let left = COACH_SEATS - taken.len() as u64;
    assert_eq!(client.available(&coach, "").await, left);
    assert!(left < *refused.iter().min().unwrap(), "{left} left");
}

fn stretch(departure: &str, board: u8, alight: u8, seats: &[&str]) -> Value {
    let mut item = chosen(departure, seats);
    item["boardStop"] = json!(board);
    item["alightStop"] = json!(alight);
    item
}

#[tokio::test]
async fn r_search_06_a_seat_sold_from_a_to_c_is_sold_again_from_c_to_e_and_never_from_b_to_d() {
    let client = Client::new();
    let mei = client.traveller("stretches").await;
    let coach = client.five_stops().await;

    let first = mei.place(&[stretch(&coach, STOP_A, STOP_C, &["03A"])], 1).await.ok();
    assert_eq!(seats(&first), ["03A"]);
    mei.place(&[stretch(&coach, STOP_B, STOP_D, &["03A"])], 1).await.problem(409, "SEAT_TAKEN");
    mei.place(&[stretch(&coach, STOP_A, STOP_E, &["03A"])], 1).await.problem(409, "SEAT_TAKEN");
    assert_eq!(client.available(&coach, "?boardStop=2&alightStop=4").await, 49);
    assert_eq!(client.available(&coach, "?boardStop=1&alightStop=3").await, 48);
    let second = mei.place(&[stretch(&coach, STOP_C, STOP_E, &["03A"])], 1).await.ok();
    assert_eq!(seats(&second), ["03A"]);
    mei.place(&[stretch(&coach, STOP_B, STOP_D, &["03A"])], 1).await.problem(409, "SEAT_TAKEN");
    assert_eq!(client.available(&coach, "").await, 48, "one seat is used twice");
    assert_eq!(mei.pay(&first).await["tickets"][0]["seatNumber"], "03A");
    assert_eq!(mei.pay(&second).await["tickets"][0]["seatNumber"], "03A");
}

#[tokio::test]
async fn r_hold_06_a_traveller_picks_free_seats_from_the_map() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("picks").await, client.traveller("picks-too").await);
    let coach = client.coach().await;
    let order = mei.place(&[chosen(&coach, &["08D", "01A"])], 2).await.ok();
    assert_eq!(seats(&order), ["08D", "01A"], "in the order of the passengers");
    let refusal = bo.place(&[chosen(&coach, &["02A", "01A"])], 2).await.problem(409, "SEAT_TAKEN");
    assert!(refusal.text.contains("01A"), "{}", refusal.text);
    let map = client.get(&format!("/departures/{coach}")).await.ok()["seatMap"].clone();
    let taken: Vec<&Value> = map.as_array().unwrap().iter().filter(|seat| seat["free"] == false).collect();
    assert_eq!(taken.len(), 2, "the refused party got nothing: {taken:?}");
    for (seats, field) in [
        (vec!["99Z"], "items[0].seatNumbers"),
        (vec!["02A", "02B"], "items[0].seatNumbers"),
        (vec![], "items[0].seatNumbers"),
    ] {
        let answer = bo.place(&[chosen(&coach, &seats)], 1).await.problem(422, "VALIDATION_ERROR");
        assert_eq!(answer.body["errors"][0]["field"], field, "{}", answer.text);
    }
    let twice = bo.place(&[chosen(&coach, &["02A", "02A"])], 2).await.problem(422, "VALIDATION_ERROR");
    assert!(twice.text.contains("items[0].seatNumbers"), "{}", twice.text);
}

#[tokio::test]
async fn r_hold_02_there_and_back_are_held_together_or_not_at_all() {
    let client = Client::new();
    let (mei, bo) = (client.traveller("return").await, client.traveller("in-the-way").await);
    let (there, back) = (client.coach().await, client.coach().await);
    bo.place(&[chosen(&back, &["01A"])], 1).await.ok();

    let items = [chosen(&there, &["01A", "01B"]), chosen(&back, &["01B", "01A"])];
    mei.place(&items, 2).await.problem(409, "SEAT_TAKEN");
    assert_eq!(client.available(&there, "").await, 35, "nothing is held there");
    assert_eq!(client.available(&back, "").await, 34);

    let order = mei.place(&[journey(&there), journey(&back)], 2).await.ok();
    assert_eq!(client.available(&there, "").await, 33);
    assert_eq!(client.available(&back, "").await, 32);
    let paid = mei.pay(&order).await;
    assert_eq!(paid["tickets"].as_array().unwrap().len(), 4, "one per passenger and journey");

    let given_up = mei.place(&[journey(&there), journey(&back)], 3).await.ok();
    mei.cancel(&given_up).await.ok();
    assert_eq!(client.available(&there, "").await, 33);
    assert_eq!(client.available(&back, "").await, 32);
}
