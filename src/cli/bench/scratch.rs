//! What measurements share: a folder, and figures.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};

use crate::exit::CliError;

/// A folder of its own, gone when the measurement is over.
#[derive(Debug)]
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn below(dir: &Path) -> Result<Self, CliError> {
        let path = dir.join(format!(".runbook-bench-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| {
            CliError::invalid(format!("{} could not be created: {error}", path.display()))
                .hint("name another folder with --dir")
        })?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is only in the way of tidiness.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn unusable(error: &dyn std::fmt::Display) -> CliError {
    CliError::failed(format!("the measurement failed: {error}")).hint("name another folder with --dir")
}

pub fn milliseconds(length: Duration) -> f64 {
    length.as_secs_f64() * 1e3
}

/// How long something took, many times.
#[derive(Debug, Clone, Default)]
pub struct Lengths(Vec<Duration>);

impl Lengths {
    pub fn push(&mut self, length: Duration) {
        self.0.push(length);
    }

    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The length that this share of them, in per cent, does not exceed.
    pub fn percentile(&self, percent: usize) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }

    pub fn document(&self) -> Value {
        json!({
            "times": self.0.len(),
            "median_ms": milliseconds(self.percentile(50)),
            "p95_ms": milliseconds(self.percentile(95)),
            "p99_ms": milliseconds(self.percentile(99)),
        })
    }
}

impl std::fmt::Display for Lengths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [median, p95, p99] = [50, 95, 99].map(|percent| milliseconds(self.percentile(percent)));
        write!(f, "{median:>8.1} {p95:>8.1} {p99:>8.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_lengths_that_were_measured() {
        let mut lengths = Lengths::default();
        assert_eq!(lengths.percentile(99), Duration::ZERO);
        for ms in (1..=100).rev() {
            lengths.push(Duration::from_millis(ms));
        }
        for (percent, ms) in [(0, 1), (1, 1), (50, 50), (95, 95), (99, 99), (100, 100)] {
            assert_eq!(lengths.percentile(percent), Duration::from_millis(ms), "{percent}");
        }
    }
}
