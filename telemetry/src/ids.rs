//! Ids that follow from the run alone: every process gives the same span the same id.

use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};
use runbook_core::event::RunId;
use sha2::{Digest as _, Sha256};

/// The trace of a run. Samplers ask that its lowest 56 bits be random, which those of a run's own id are
/// not: ids of one millisecond are counted.
pub fn trace_of(run: RunId) -> TraceId {
    let mut id = [1; 16];
    let digest = digest(run, "trace", "", 0);
    id.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    TraceId::from_bytes(id)
}

/// The span of a part of a run: `kind` is what it is, `path` the step that it belongs to, and `number`
/// tells those of one kind and step apart.
pub fn span_of(run: RunId, kind: &str, path: &str, number: u64) -> SpanId {
    let mut id = [1; 8];
    let digest = digest(run, kind, path, number);
    id.iter_mut().zip(digest).for_each(|(byte, from)| *byte = from);
    SpanId::from_bytes(id)
}

/// None of 2^64 tries gives zeros alone, which would mean "no span".
fn digest(run: RunId, kind: &str, path: &str, number: u64) -> impl Iterator<Item = u8> + use<> {
    let mut hash = Sha256::new();
    hash.update(run.bits().to_be_bytes());
    for part in [kind, path] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.update(number.to_be_bytes());
    hash.finalize().into_iter()
}

/// The span of a whole run.
pub fn root_of(run: RunId) -> SpanId {
    span_of(run, "run", "", 0)
}

/// Where others link to a run.
pub fn context_of(run: RunId) -> SpanContext {
    sampled(trace_of(run), root_of(run))
}

pub fn sampled(trace: TraceId, span: SpanId) -> SpanContext {
    SpanContext::new(trace, span, TraceFlags::SAMPLED, false, TraceState::default())
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn ids_follow_from_the_run_and_differ_by_part() {
        let run = RunId::new(Uuid::from_u128(0x0192_f0a1_b2c3_7d4e_8f50_6172_8394_a5b6));
        // Golden values: a release that gives other ids would break the traces of waiting runs.
        assert_eq!(trace_of(run).to_string(), "782dc3ac9ea3d0a0d104c18609011a6f");
        assert_eq!(root_of(run).to_string(), "72e5ef811ccb4096");
        let all = [
            root_of(run),
            span_of(run, "step", "a", 0),
            span_of(run, "step", "b", 0),
            span_of(run, "attempt", "a", 0),
            span_of(run, "attempt", "a", 1),
            span_of(RunId::new(Uuid::from_u128(7)), "step", "a", 0),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all.iter().skip(i + 1).all(|other| other != one), "{one}");
        }
        assert_eq!(span_of(run, "step", "a", 0), span_of(run, "step", "a", 0));
    }
}
