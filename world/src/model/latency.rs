//! How long requests take: a distribution through three quantiles, mixtures of them, and load.

use crate::state::Component;

/// Above this share of its capacity a service gets slower.
const COMFORTABLE_LOAD: f64 = 0.75;
/// Above this one it turns requests away.
const SHEDDING_LOAD: f64 = 1.2;

/// The factor that load puts on every quantile: queues grow with the square of what is too much.
pub(crate) fn slowdown(load: f64) -> f64 {
    let excess = (load - COMFORTABLE_LOAD).max(0.0);
    (1.0 + 30.0 * excess * excess).min(60.0)
}

/// The share of requests that an overloaded service turns away.
pub(crate) fn shed(load: f64) -> f64 {
    ((load - SHEDDING_LOAD) * 0.1).clamp(0.0, 0.9)
}

/// The share of requests that take at most `seconds`.
pub(crate) fn share_within(mixture: &[Component], seconds: f64) -> f64 {
    mixture.iter().map(|component| component.share * cdf(component, seconds)).sum::<f64>().clamp(0.0, 1.0)
}

/// The time within which a share of the requests is answered.
pub(crate) fn quantile(mixture: &[Component], share: f64) -> f64 {
    if mixture.is_empty() {
        return 0.0;
    }
    let (mut low, mut high) = (1e-4_f64.ln(), 1e4_f64.ln());
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if share_within(mixture, middle.exp()) < share { low = middle } else { high = middle }
    }
    let seconds = high.exp();
    (seconds * 1e6).round() / 1e6
}

/// Straight lines in the logarithm of time between the known quantiles.
fn cdf(component: &Component, seconds: f64) -> f64 {
    let points = [
        (component.p50 / 8.0, 0.0),
        (component.p50 / 2.0, 0.12),
        (component.p50, 0.5),
        (component.p95, 0.95),
        (component.p99, 0.99),
        (component.p99 * 3.0, 1.0),
    ];
    if seconds <= points[0].0 {
        return 0.0;
    }
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        if seconds <= x1 {
            let along = (seconds / x0).ln() / (x1 / x0).ln().max(f64::EPSILON);
            return y0 + (y1 - y0) * along.clamp(0.0, 1.0);
        }
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const REST: Component = Component { share: 1.0, p50: 0.06, p95: 0.18, p99: 0.6 };

    #[test]
    fn quantiles_come_back() {
        for (share, seconds) in [(0.5, 0.06), (0.95, 0.18), (0.99, 0.6)] {
            assert!((quantile(&[REST], share) - seconds).abs() < 1e-4);
        }
    }

    #[test]
    fn a_slow_third_rules_the_95th_percentile() {
        let slow = Component { share: 1.0 / 3.0, p50: 2.0, p95: 8.0, p99: 12.0 };
        let fast = Component { share: 2.0 / 3.0, ..REST };
        let p95 = quantile(&[slow, fast], 0.95);
        assert!(p95 > 4.0 && p95 < 8.0, "{p95}");
    }

    #[test]
    fn load_slows_and_sheds() {
        assert_eq!((slowdown(0.5), shed(0.5)), (1.0, 0.0));
        assert!(slowdown(1.7) > 25.0 && shed(1.7) > 0.04);
        assert!(slowdown(1e9) <= 60.0 && shed(1e9) <= 0.9);
    }
}
