//! A limit that a level must leave by a margin before it is well again.

/// Whether a level is over its limit, for a check that was `failing` before.
///
/// A passing check fails once the level is above `limit`; a failing one passes once the level is below
/// `limit - hysteresis`. All three in the same unit.
pub fn over(level: f64, limit: f64, hysteresis: f64, failing: bool) -> bool {
    if failing { level >= limit - hysteresis } else { level > limit }
}

#[cfg(test)]
mod tests {
    use super::over;

    #[test]
    fn a_level_at_its_limit_passes_and_a_failing_one_must_fall_below_the_margin() {
        assert!(!over(90.0, 90.0, 2.0, false));
        assert!(over(90.1, 90.0, 2.0, false));
        assert!(over(88.0, 90.0, 2.0, true));
        assert!(!over(87.9, 90.0, 2.0, true));
    }
}
