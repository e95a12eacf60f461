//! Chance that can be repeated: the n-th draw of a stream depends on the seed and nothing else, so threads that come in
//! another order change nothing about what happens to the n-th call.

/// A number in `0.0..1.0`.
pub(super) fn draw(seed: u64, stream: u64, n: u64) -> f64 {
    let mixed = mix(seed.wrapping_add(mix(stream.wrapping_add(mix(n)))));
    // 32 bits are fine enough for a share.
    f64::from((mixed >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

/// The output function of SplitMix64.
fn mix(state: u64) -> u64 {
    let z = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_seed_another() {
        let row = |seed| (0..8).map(|n| draw(seed, 1, n)).collect::<Vec<_>>();
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        let other_stream: Vec<_> = (0..8).map(|n| draw(7, 2, n)).collect();
        assert_ne!(row(7), other_stream);
    }

    #[test]
    fn a_tenth_is_drawn_about_every_tenth_time() {
        let struck = (0..100_000).filter(|n| draw(1, 1, *n) < 0.1).count();
        assert!((9_500..10_500).contains(&struck), "{struck}");
    }
}
