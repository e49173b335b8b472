//! Sizes as Kubernetes and people write them.

/// The number that a quantity stands for: `2Gi` is 2147483648, `1.5GB` is 1500000000, `500m` is
/// a half. `None` where it is none.
pub fn parse(text: &str) -> Option<f64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let factor = match unit.trim_start() {
        "" | "B" => 1.0,
        "m" => 1e-3,
        "k" | "K" | "kB" | "KB" => 1e3,
        "M" | "MB" => 1e6,
        "G" | "GB" => 1e9,
        "T" | "TB" => 1e12,
        "P" | "PB" => 1e15,
        "E" | "EB" => 1e18,
        "Ki" | "KiB" => 1024.0,
        "Mi" | "MiB" => 1024.0 * 1024.0,
        "Gi" | "GiB" => 1024.0 * 1024.0 * 1024.0,
        "Ti" | "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Pi" | "PiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "Ei" | "EiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let value = number * factor;
    value.is_finite().then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, expected) in [
            ("2Gi", Some(2_147_483_648.0)),
            ("512Mi", Some(536_870_912.0)),
            ("1.5GB", Some(1_500_000_000.0)),
            ("64 KB", Some(64_000.0)),
            ("500m", Some(0.5)),
            ("128", Some(128.0)),
            ("", None),
            ("Gi", None),
            ("-1Gi", None),
            ("1..5G", None),
            ("2 parsecs", None),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
    }
}
