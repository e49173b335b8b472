use jiff::Timestamp;
use serde_json::{Value, json};

use super::*;

fn length(text: &str) -> Duration {
    text.parse().unwrap()
}

fn optional(text: &str) -> Option<Duration> {
    (!text.is_empty()).then(|| length(text))
}

/// What a guide says of a level: name, response, update, first rung and its time, postmortem.
type Said = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const SAID: [(Preset, [Said; 4]); 5] = [
    (
        Preset::S0,
        [
            ("SEV-1 (Critical)", "15m", "30m", "Incident Commander", "", "24h"),
            ("SEV-2 (High)", "1h", "30m", "Incident Commander", "", "48h"),
            ("SEV-3 (Medium)", "4h", "30m", "Incident Commander", "", "7d"),
            ("SEV-4 (Low)", "2d", "30m", "Assigned Developer", "", "14d"),
        ],
    ),
    (
        Preset::S1,
        [
            ("SEV1", "15m", "15m", "Tech Lead + Engineering Manager + CTO", "", "48h"),
            ("SEV2", "30m", "15m", "Tech Lead + Engineering Manager", "", "48h"),
            ("SEV3", "2h", "15m", "Tech Lead", "", "7d"),
            ("SEV4", "24h", "15m", "On-call team", "", ""),
        ],
    ),
    (
        Preset::S2,
        [
            ("SEV1 (Critical)", "5m", "15m", "On-call Engineer", "0s", "48h"),
            ("SEV2 (High)", "15m", "30m", "On-call Engineer", "30m", "48h"),
            ("SEV3 (Medium)", "1h", "", "On-call Engineer", "2h", "48h"),
            ("SEV4 (Low)", "1d", "", "On-call Engineer", "", "48h"),
        ],
    ),
    (
        Preset::S3,
        [
            ("SEV-1 (Critical)", "5m", "30m", "Primary on-call", "5m", "48h"),
            ("SEV-2 (High)", "15m", "1h", "Primary on-call", "5m", "48h"),
            ("SEV-3 (Medium)", "1h", "4h", "Primary on-call", "5m", "48h"),
            ("SEV-4 (Low)", "1d", "1d", "Primary on-call", "5m", "48h"),
        ],
    ),
    (
        Preset::S4,
        [
            ("SEV0 (Critical)", "5m", "30m", "Primary on-call + Secondary on-call", "30m", "24h"),
            ("SEV1 (High)", "15m", "1h", "Primary on-call", "15m", "48h"),
            ("SEV2 (Medium)", "1h", "4h", "On-call team", "", "7d"),
            ("SEV3 (Low)", "1d", "", "", "", "14d"),
        ],
    ),
];

#[test]
fn the_presets_say_what_the_guides_say() {
    for (preset, said) in SAID {
        let matrix = preset.matrix();
        assert_eq!(matrix.levels().len(), said.len(), "{preset}");
        for (level, (label, response, update, called, within, postmortem)) in matrix.levels().iter().zip(said)
        {
            let at = format!("{preset} {label}");
            assert_eq!(level.label(), label, "{at}");
            assert_eq!(level.response_time, length(response), "{at}");
            assert_eq!(level.update_every, optional(update), "{at}");
            let first = level.escalate_to.first();
            assert_eq!(first.map(|rung| rung.call.join(" + ")).unwrap_or_default(), called, "{at}");
            assert_eq!(first.and_then(|rung| rung.within), optional(within), "{at}");
            assert_eq!(level.postmortem_within, optional(postmortem), "{at}");
            assert!(!level.examples.is_empty(), "{at}");
        }
    }
}

#[test]
fn every_preset_is_a_good_matrix_of_its_own_format() {
    for preset in Preset::ALL {
        let matrix = presets::read(preset).unwrap();
        let again = Matrix::from_config(&serde_json::to_value(&matrix).unwrap()).unwrap();
        assert_eq!(again, matrix, "{preset}");
        assert_eq!(Matrix::from_config(&json!(preset.name())).unwrap(), matrix);
        assert_eq!(matrix.default_level().name, matrix.levels()[2].name, "{preset}");
    }
    assert_eq!(Matrix::from_config(&Value::Null).unwrap(), Preset::S3.matrix());
}

#[test]
fn detectors_words_mean_a_level_in_every_preset() {
    for (word, rank) in [
        ("critical", 0),
        ("CRITICAL", 0),
        ("page", 0),
        ("P0", 0),
        ("high", 1),
        ("error", 1),
        ("warning", 2),
        ("Medium", 2),
        ("info", 3),
        ("low", 3),
        ("none", 3),
        ("P5", 3),
    ] {
        for preset in Preset::ALL {
            assert_eq!(preset.matrix().rank(word), Some(rank), "{preset}: {word}");
        }
    }
    for (preset, word, rank) in [
        (Preset::S3, "SEV-1", Some(0)),
        (Preset::S3, "sev1", Some(0)),
        (Preset::S3, "Sev 1", Some(0)),
        (Preset::S3, "sev_1", Some(0)),
        (Preset::S3, "Severity 2", Some(1)),
        (Preset::S3, "3", Some(2)),
        (Preset::S3, "P1", Some(0)),
        (Preset::S4, "P1", Some(1)),
        (Preset::S4, "SEV0", Some(0)),
        (Preset::S4, "sev-1", Some(1)),
        (Preset::S3, "SEV0", None),
        (Preset::S3, "", None),
        (Preset::S3, "-", None),
        (Preset::S3, "critical!", None),
    ] {
        assert_eq!(preset.matrix().rank(word), rank, "{preset}: {word:?}");
    }
}

#[test]
fn levels_compare_and_unknown_words_take_the_default() {
    let matrix = Matrix::default();
    assert_eq!(matrix.compare("critical", "SEV-3"), Some(Ordering::Greater));
    assert_eq!(matrix.compare("low", "SEV-3"), Some(Ordering::Less));
    assert_eq!(matrix.compare("warn", "sev3"), Some(Ordering::Equal));
    assert_eq!(matrix.compare("unheard of", "SEV-3"), None);
    assert_eq!(matrix.level_for(Some("P1")).name, "SEV-1");
    for word in [None, Some(""), Some("purple")] {
        assert_eq!(matrix.level_for(word).name, "SEV-3", "{word:?}");
    }
}

#[test]
fn a_matrix_of_ones_own() {
    let own = json!({
        "default": "p2",
        "levels": [
            { "name": "P1", "response_time": "5m", "matches": ["critical"] },
            { "name": "P2", "title": "Later", "response_time": "1h" },
            { "name": "P3", "response_time": "1d" },
            { "name": "P4", "response_time": "1d" },
        ],
    });
    let matrix = Matrix::from_config(&own).unwrap();
    assert_eq!(matrix.default_level().name, "P2");
    assert_eq!(matrix.level_of("later").unwrap().name, "P2");
    let one = json!({ "levels": [{ "name": "Bad", "response_time": "5m" }] });
    assert_eq!(Matrix::from_config(&one).unwrap().default_level().name, "Bad");
}

#[test]
fn what_is_no_matrix_is_refused_where_it_is_wrong() {
    let level = |name: &str| json!({ "name": name, "response_time": "5m" });
    let many: Vec<Value> = (0..11).map(|number| level(&format!("L{number}"))).collect();
    let cases = [
        (json!(3), "`severity`: it is neither the name of a preset nor a matrix"),
        (json!("s9"), "`severity`: there is no preset `s9`"),
        (json!({}), "`severity`: missing field `levels`"),
        (json!({ "levels": [] }), "`severity.levels`: it has no levels"),
        (json!({ "levels": many }), "`severity.levels`: it has 11 levels; at most 10 are taken"),
        (json!({ "levels": [level("A")], "defualt": "A" }), "`severity`: unknown field `defualt`"),
        (json!({ "levels": [level("A")], "default": "B" }), "`severity.default`: no level is called `B`"),
        (
            json!({ "levels": [level("A"), { "name": "B" }] }),
            "`severity.levels[1]`: missing field `response_",
        ),
        (json!({ "levels": [level(" - ")] }), "`severity.levels[0].name`: it is empty"),
        (json!({ "levels": [level("SEV1"), level("sev-1")] }), "`severity.levels[1]`: `sev-1` means both"),
        (
            json!({ "levels": [{ "name": "A", "response_time": "soon" }] }),
            "`severity.levels[0]`: `soon` is not a duration",
        ),
        (
            json!({ "levels": [{ "name": "A", "response_time": "5m", "escalate_to": [{ "call": [] }] }] }),
            "`severity.levels[0].escalate_to`: a rung calls nobody",
        ),
        (
            json!({ "levels": [{ "name": "A", "response_time": "5m", "title": "x".repeat(41) }] }),
            "`severity.levels[0].title`: it is 41 characters long; at most 40 are taken",
        ),
    ];
    for (setting, expected) in cases {
        let error = Matrix::from_config(&setting).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}\nexpected: {expected}");
    }
}

#[test]
fn business_days_leave_weekends_out() {
    let matrix = Preset::S0.matrix();
    let by = |word: &str, from: &str| {
        let from: Timestamp = from.parse().unwrap();
        matrix.level_of(word).unwrap().respond_by(from, &TimeZone::UTC).to_string()
    };
    // 2026-01-02 is a Friday.
    for (word, from, expected) in [
        ("SEV-1", "2026-01-03T10:00:00Z", "2026-01-03T10:15:00Z"),
        ("SEV-3", "2026-01-02T10:00:00Z", "2026-01-02T14:00:00Z"),
        ("SEV-3", "2026-01-02T22:00:00Z", "2026-01-05T02:00:00Z"),
        ("SEV-3", "2026-01-03T10:00:00Z", "2026-01-05T04:00:00Z"),
        ("SEV-4", "2026-01-02T10:00:00Z", "2026-01-06T10:00:00Z"),
        ("SEV-4", "2026-01-05T10:00:00Z", "2026-01-07T10:00:00Z"),
    ] {
        assert_eq!(by(word, from), expected, "{word} {from}");
    }
    let sev1 = matrix.level_of("SEV-1").unwrap();
    let resolved: Timestamp = "2026-01-02T10:00:00Z".parse().unwrap();
    assert_eq!(sev1.postmortem_by(resolved).unwrap().to_string(), "2026-01-03T10:00:00Z");
}

#[test]
fn the_schema_covers_presets_and_matrices() {
    let schema = crate::schema::of::<Setting>().to_string();
    for part in ["\"s3\"", "response_time", "\"additionalProperties\":false"] {
        assert!(schema.contains(part), "{part} is missing in {schema}");
    }
}
