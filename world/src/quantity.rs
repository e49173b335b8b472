//! Kubernetes quantities (`512Mi`, `250m`) and the durations of scenario files (`18m`).

use crate::time::Seconds;

const SUFFIXES: [(&str, f64); 12] = [
    ("Ki", 1024.0),
    ("Mi", 1_048_576.0),
    ("Gi", 1_073_741_824.0),
    ("Ti", 1_099_511_627_776.0),
    ("Pi", 1_125_899_906_842_624.0),
    ("m", 0.001),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("", 1.0),
];

/// The value of a quantity in its base unit (bytes, cores, pieces), or `None` if it is not one.
pub(crate) fn parse(text: &str) -> Option<f64> {
    let (number, factor) =
        SUFFIXES.iter().find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    let plain = number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && number.ends_with(|c: char| c.is_ascii_digit() || c == '.');
    let value: f64 = plain.then(|| number.parse().ok()).flatten()?;
    value.is_finite().then_some(value * factor)
}

/// Bytes as the metrics API writes them.
pub(crate) fn kibibytes(bytes: f64) -> String {
    format!("{}Ki", (bytes / 1024.0).round())
}

/// Cores as the metrics API writes them.
pub(crate) fn nanocores(cores: f64) -> String {
    format!("{}n", (cores * 1e9).round())
}

/// Cores as a sum of requests is written: whole cores, else thousandths.
pub(crate) fn millicores(cores: f64) -> String {
    let thousandths = (cores * 1000.0).round();
    if thousandths % 1000.0 == 0.0 { format!("{}", thousandths / 1000.0) } else { format!("{thousandths}m") }
}

/// `90s`, `18m`, `3h`, `9d` or a plain number of seconds.
pub(crate) fn duration(text: &str) -> Option<Seconds> {
    let (number, factor) =
        [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("", 1.0)]
            .iter()
            .find_map(|(suffix, factor)| Some((text.strip_suffix(suffix)?, factor)))?;
    number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0).map(|n| n * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_as_kubernetes_reads_them() {
        for (text, value) in [
            ("512Mi", Some(536_870_912.0)),
            ("250m", Some(0.25)),
            ("2", Some(2.0)),
            ("1.5Gi", Some(1_610_612_736.0)),
            ("1e3", Some(1000.0)),
            ("lots", None),
            ("", None),
            ("inf", None),
            ("NaN", None),
            ("12Q", None),
        ] {
            assert_eq!(parse(text), value, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, value) in [
            ("18m", Some(1080.0)),
            ("60ms", Some(0.06)),
            ("9d", Some(777_600.0)),
            ("-1s", None),
            ("soon", None),
        ] {
            assert_eq!(duration(text), value, "{text}");
        }
    }

    #[test]
    fn sums_are_written_short() {
        assert_eq!((millicores(1.5), millicores(2.0)), ("1500m".into(), "2".into()));
    }
}
