//! Whether and how traces are sent: the standard variables of OpenTelemetry. Where to and with which
//! headers, the exporter reads itself.

use std::time::Duration;

use opentelemetry::trace::TraceId;

use crate::TraceContext;

/// How traces are sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub sampler: Sampler,
    /// How many spans wait at most.
    pub queue: usize,
    /// How many are sent at once.
    pub batch: usize,
    /// How long a span waits for others to be sent with.
    pub delay: Duration,
    /// How long the collector may take for one batch.
    pub timeout: Duration,
}

/// Variables that make no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("{name}={value} is not something that this can do: {hint}")]
    Unusable { name: &'static str, value: String, hint: &'static str },
    #[error("traces cannot be sent: {0}")]
    Exporter(String),
}

/// Which traces are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampler {
    /// The share of the traces that begin here.
    share: f64,
    /// What comes from elsewhere is sampled where it was sampled there.
    follows_parent: bool,
}

impl Sampler {
    pub const ALL: Self = Self { share: 1.0, follows_parent: true };

    /// Whether a trace is sent. Every process decides alike, for the trace's id decides: its lowest 56
    /// bits are random.
    pub fn takes(&self, trace: TraceId, parent: Option<&TraceContext>) -> bool {
        match parent {
            Some(parent) if self.follows_parent => parent.sampled,
            _ => {
                let random = u128::from_be_bytes(trace.to_bytes()) & ((1 << 56) - 1);
                random as f64 >= (1.0 - self.share) * (1_u64 << 56) as f64
            }
        }
    }
}

impl Settings {
    /// `None` where nobody asked for traces.
    pub fn from(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>, SettingsError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let one_of = |names: [&'static str; 2]| {
            names.into_iter().find_map(|name| variable(name).map(|value| (name, value)))
        };
        let disabled = variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let endpoint = one_of(["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"]);
        if disabled || endpoint.is_none() {
            return Ok(None);
        }
        match variable("OTEL_TRACES_EXPORTER").as_deref() {
            None | Some("otlp") => {}
            Some("none") => return Ok(None),
            Some(value) => {
                let hint = "traces go over OTLP; leave it out, or `none`";
                return Err(unusable("OTEL_TRACES_EXPORTER", value, hint));
            }
        }
        if let Some((name, value)) =
            one_of(["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"])
            && value != "http/protobuf"
        {
            return Err(unusable(name, &value, "only http/protobuf is spoken, to port 4318 as a rule"));
        }
        let number = |name: &'static str, usual: u64| match variable(name) {
            None => Ok(usual),
            Some(value) => match value.trim().parse::<u64>() {
                Ok(number) if (1..=86_400_000).contains(&number) => Ok(number),
                _ => Err(unusable(name, &value, "a whole number above 0 is meant")),
            },
        };
        let timeout = match variable("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT") {
            Some(_) => number("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", 10_000)?,
            None => number("OTEL_EXPORTER_OTLP_TIMEOUT", 10_000)?,
        };
        let queue = number("OTEL_BSP_MAX_QUEUE_SIZE", 2_048)?.min(65_536);
        Ok(Some(Self {
            sampler: sampler(variable("OTEL_TRACES_SAMPLER"), variable("OTEL_TRACES_SAMPLER_ARG"))?,
            queue: queue as usize,
            batch: number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 512)?.min(queue) as usize,
            delay: Duration::from_millis(number("OTEL_BSP_SCHEDULE_DELAY", 5_000)?),
            timeout: Duration::from_millis(timeout),
        }))
    }
}

fn sampler(name: Option<String>, share: Option<String>) -> Result<Sampler, SettingsError> {
    let name = name.unwrap_or_else(|| "parentbased_always_on".to_owned());
    let (follows_parent, kind) = match name.strip_prefix("parentbased_") {
        Some(kind) => (true, kind),
        None => (false, name.as_str()),
    };
    let share = match (kind, share) {
        ("always_on", _) | ("traceidratio", None) => 1.0,
        ("always_off", _) => 0.0,
        ("traceidratio", Some(share)) => match share.trim().parse::<f64>() {
            Ok(number) if (0.0..=1.0).contains(&number) => number,
            _ => return Err(unusable("OTEL_TRACES_SAMPLER_ARG", &share, "a share from 0 to 1 is meant")),
        },
        _ => {
            let hint = "use always_on, always_off or traceidratio, each also with parentbased_ before it";
            return Err(unusable("OTEL_TRACES_SAMPLER", &name, hint));
        }
    };
    Ok(Sampler { share, follows_parent })
}

fn unusable(name: &'static str, value: &str, hint: &'static str) -> SettingsError {
    SettingsError::Unusable { name, value: value.chars().take(60).collect(), hint }
}

#[cfg(test)]
mod tests {
    use runbook_core::event::RunId;

    use super::*;
    use crate::ids::trace_of;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    fn read(variables: &[(&str, &str)]) -> Result<Option<Settings>, SettingsError> {
        Settings::from(&|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_sent_unless_asked_for() {
        for variables in [
            &[][..],
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "TRUE")],
            &[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert_eq!(read(variables), Ok(None), "{variables:?}");
        }
        for variables in [
            &[ENDPOINT][..],
            &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1/x")],
            &[ENDPOINT, ("OTEL_SDK_DISABLED", "false"), ("OTEL_TRACES_EXPORTER", "otlp")],
            &[ENDPOINT, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
        ] {
            assert!(read(variables).unwrap().is_some(), "{variables:?}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "-1"),
        ] {
            let told = read(&[ENDPOINT, (name, value)]).unwrap_err().to_string();
            assert!(told.contains(&format!("{name}={value}")), "{told}");
        }
        let ratio = [ENDPOINT, ("OTEL_TRACES_SAMPLER", "traceidratio"), ("OTEL_TRACES_SAMPLER_ARG", "2")];
        assert!(read(&ratio).unwrap_err().to_string().contains("OTEL_TRACES_SAMPLER_ARG=2"));
    }

    #[test]
    fn a_share_of_the_traces_is_taken_by_their_ids() {
        let with = |sampler: &str, share: &str| {
            let variables = [ENDPOINT, ("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", share)];
            read(&variables).unwrap().unwrap().sampler
        };
        let run = |number: u128| trace_of(RunId::new(uuid::Uuid::from_u128(number)));
        let ids: Vec<TraceId> = (0..2_000).map(run).collect();
        let taken = |sampler: Sampler| ids.iter().filter(|id| sampler.takes(**id, None)).count();
        assert_eq!(taken(with("always_on", "")), 2_000);
        assert_eq!(taken(with("parentbased_always_off", "")), 0);
        assert_eq!(taken(with("traceidratio", "1.0")), 2_000);
        assert_eq!(taken(with("traceidratio", "0")), 0);
        let quarter = taken(with("traceidratio", "0.25"));
        assert!((380..=620).contains(&quarter), "{quarter} of 2,000 is no quarter");

        let parent = TraceContext::parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00").unwrap();
        assert!(!with("parentbased_always_on", "").takes(parent.trace, Some(&parent)));
        assert!(with("always_on", "").takes(parent.trace, Some(&parent)));
        let sampled = TraceContext { sampled: true, ..parent };
        assert!(with("parentbased_always_off", "").takes(parent.trace, Some(&sampled)));
    }
}
