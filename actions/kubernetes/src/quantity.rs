//! Amounts of cpu and memory as Kubernetes writes them: `250m`, `2Gi`, `1.5`, `1e3`. Kept exactly,
//! in thousandths.

use std::fmt;

use runbook_core::Value;

/// An amount in thousandths of its unit: millicores of cpu, thousandths of a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Quantity(i128);

const SUFFIXES: [(&str, i128); 13] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("", 1),
];
const LONGEST: usize = 40;

impl Quantity {
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        if let Some(digits) = text.strip_suffix('m') {
            return decimal(digits, 0).map(Self);
        }
        // Below a thousandth nothing is told apart; it is rounded up as the server does.
        for (suffix, divisor) in [("u", 1_000), ("n", 1_000_000)] {
            if let Some(digits) = text.strip_suffix(suffix) {
                return decimal(digits, 0).map(|value| Self(-(-value).div_euclid(divisor)));
            }
        }
        if let Some((digits, power)) = text.split_once(['e', 'E']).filter(|(_, power)| !power.is_empty()) {
            let power: u32 = power.trim_start_matches('+').parse().ok().filter(|power| *power <= 18)?;
            return decimal(digits, 3)?.checked_mul(10_i128.checked_pow(power)?).map(Self);
        }
        let (digits, factor) =
            SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, *factor)))?;
        decimal(digits, 3)?.checked_mul(factor).map(Self)
    }

    /// From a field of an object: text, or a bare number.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    #[must_use]
    pub(crate) fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
    #[must_use]
    pub(crate) fn minus(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
    #[must_use]
    pub(crate) fn times(self, count: i64) -> Self {
        Self(self.0.saturating_mul(i128::from(count)))
    }
    pub(crate) fn is_negative(self) -> bool {
        self.0 < 0
    }
    /// Cores, or anything else as a number people calculate with.
    #[expect(clippy::cast_precision_loss, reason = "a number to look at and compare, not to store")]
    pub(crate) fn units(self) -> f64 {
        self.0 as f64 / 1000.0
    }
    /// Bytes, rounded up.
    pub(crate) fn whole(self) -> i64 {
        i64::try_from(-(-self.0).div_euclid(1000)).unwrap_or(i64::MAX)
    }
}

/// A decimal number, moved by `places` to the left of its point.
fn decimal(text: &str, places: u32) -> Option<i128> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => (-1, text),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let mut value: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    value = value.checked_mul(10_i128.pow(places))?;
    let kept: String = fraction.chars().take(places as usize).collect();
    if !kept.is_empty() {
        let missing = places.saturating_sub(u32::try_from(kept.len()).ok()?);
        value = value.checked_add(kept.parse::<i128>().ok()?.checked_mul(10_i128.pow(missing))?)?;
    }
    Some(sign * value)
}

impl fmt::Display for Quantity {
    /// As people write it: the largest binary unit without a remainder, millis where needed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 % 1000 != 0 {
            return write!(f, "{}m", self.0);
        }
        let whole = self.0 / 1000;
        let unit = SUFFIXES[..4].iter().rev().find(|(_, size)| whole != 0 && whole % size == 0);
        match unit {
            Some((suffix, size)) => write!(f, "{}{suffix}", whole / size),
            None => write!(f, "{whole}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_amounts() {
        for (text, units, shown) in [
            ("250m", 0.25, "250m"),
            ("1", 1.0, "1"),
            ("1.5", 1.5, "1500m"),
            ("0", 0.0, "0"),
            ("2Gi", 2_147_483_648.0, "2Gi"),
            ("2048Mi", 2_147_483_648.0, "2Gi"),
            ("1.5Gi", 1_610_612_736.0, "1536Mi"),
            ("500M", 500_000_000.0, "500000000"),
            ("128974848", 128_974_848.0, "123Mi"),
            ("1e3", 1000.0, "1000"),
            ("2E", 2e18, "1953125000000000Ki"),
            ("3741212n", 0.004, "4m"),
            ("-1Gi", -1_073_741_824.0, "-1Gi"),
            ("+1", 1.0, "1"),
            (".5", 0.5, "500m"),
        ] {
            let amount = Quantity::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(amount.units(), units, "{text}");
            assert_eq!(amount.to_string(), shown, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_amount() {
        for text in [
            "",
            "Gi",
            "two",
            "1GB",
            "1 Gi",
            "1e99",
            "0x1",
            "m",
            "--1",
            "1.2.3",
            "99999999999999999999999999999999999999999",
        ] {
            assert_eq!(Quantity::parse(text), None, "{text:?}");
        }
    }
}
