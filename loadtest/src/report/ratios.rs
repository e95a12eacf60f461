//! Ratios of what took turns: each round's from that round's figures, then the median, so that a disturbed round shows
//! and does not count.

/// The median; of an even number the mean of the middle two; 0 of none.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match (sorted.len() % 2, sorted.get(middle), middle.checked_sub(1).and_then(|below| sorted.get(below))) {
        (1, Some(value), _) => *value,
        (0, Some(above), Some(below)) => f64::midpoint(*above, *below),
        _ => 0.0,
    }
}

/// Ours against theirs, round by round; a round in which theirs got nothing done has no ratio.
pub fn by_round(ours: &[f64], theirs: &[f64]) -> Vec<f64> {
    ours.iter().zip(theirs).filter(|(_, theirs)| **theirs > 0.0).map(|(ours, theirs)| ours / theirs).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is(value: f64, expected: f64) -> bool {
        (value - expected).abs() < 1e-9
    }

    #[test]
    fn the_median_is_not_moved_by_one_disturbed_round() {
        assert!(is(median(&[]), 0.0));
        assert!(is(median(&[3.0]), 3.0));
        assert!(is(median(&[1.0, 2.0]), 1.5));
        assert!(is(median(&[0.7, 0.1, 0.8]), 0.7));
    }

    #[test]
    fn a_round_is_compared_with_itself() {
        // A neighbour halves the second round for both: its ratio stays.
        let ratios = by_round(&[80.0, 40.0, 90.0], &[100.0, 50.0, 100.0]);
        assert!(is(median(&ratios), 0.8), "{ratios:?}");
        assert_eq!(by_round(&[1.0], &[0.0]), Vec::<f64>::new());
    }
}
