use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::unknown;

fn names() -> Value {
    json!({
        "inputs": { "service": "api", "replicas": 10, "regions": ["eu", "us"], "dry": false, "none": null },
        "steps": {
            "history": { "passed": true, "outputs": { "age": 120, "value": null } },
            "later": unknown::because("`later` has not run"),
            "half": { "passed": unknown::because("no answer"), "outputs": { "known": 1, "rows": [1, unknown::because("row")] } },
            "roll-back": { "chosen": "scale" },
        },
        "run": { "id": "run_1", "now": "2026-01-31T12:00:00Z", "started_at": "2026-01-31T11:00:00Z" },
        "alert": { "labels": { "alertname": "HighLatency", "severity": "critical" } },
        "duration": 3,
        "big": "x".repeat(60_000),
        "pods": [{ "name": "a", "restarts": 7 }, { "name": "b", "restarts": 0 }],
    })
}

#[test]
fn evaluates() {
    for (source, expected) in [
        ("inputs.service", json!("api")),
        ("inputs.replicas * 2 + 1", json!(21)),
        ("inputs.replicas / 4", json!(2.5)),
        ("'a' ~ inputs.service ~ 1", json!("aapi1")),
        ("steps.history.passed and inputs.replicas >= 10", json!(true)),
        ("alert.labels.alertname == \"HighLatency\"", json!(true)),
        ("steps['roll-back'].chosen in ['scale', 'undo']", json!(true)),
        ("'eu' in inputs.regions and 'ap' not in inputs.regions", json!(true)),
        ("inputs.regions|join(', ')|upper", json!("EU, US")),
        ("pods|selectattr('restarts', 'gt', 5)|map(attribute='name')|list", json!(["a"])),
        ("inputs.none is none", json!(true)),
        ("inputs.nope is defined", json!(false)),
        ("inputs.nope|default('x')", json!("x")),
        ("{'a': inputs.regions, 'b': none}", json!({"a": ["eu", "us"], "b": null})),
        ("'yes' if inputs.dry else 'no'", json!("no")),
        ("inputs.regions[0:1]", json!(["eu"])),
        ("inputs.regions|length", json!(2)),
        ("duration(\"1h30m\")", json!(5400)),
        ("duration('250ms')", json!(0.25)),
        ("duration < duration('5s')", json!(true)),
        ("size('2Gi')", json!(2_147_483_648_u64)),
        ("timestamp(now) - timestamp(run.started_at)", json!(3600)),
        ("now", json!("2026-01-31T12:00:00Z")),
        ("range(3)|list", json!([0, 1, 2])),
        ("range(5, 0, -2)|list", json!([5, 3, 1])),
        ("'a b/c'|urlencode", json!("a%20b%2Fc")),
        ("[true, none, 1]|join(' ')", json!("true null 1")),
        ("{'a': 1}|tojson", json!("{\"a\":1}")),
        ("18446744073709551615", json!(18_446_744_073_709_551_615_u64)),
        ("'a\\nb'|indent(2)", json!("a\n  b")),
        ("steps.half.outputs|length", json!(2)),
        ("{}", json!({})),
    ] {
        assert_eq!(evaluate(source, &names()), Ok(Outcome::Known(expected)), "{source}");
    }
}

#[test]
fn refuses_with_a_reason_and_a_hint() {
    for (source, message, hint) in [
        ("inputs.servcie", "`inputs.servcie` is not defined", "did you mean `service`?"),
        ("inptus.service", "`inptus` is not defined", "did you mean `inputs`?"),
        (
            "steps.history.outputs.value < 1",
            "this needs a number, not null",
            "say what holds without a value",
        ),
        ("inputs.service > 3", "this needs a number, not a text", "make it a number"),
        ("'x' * 100000000", "this needs a number, not a text", "make it a number"),
        ("100000000 * inputs.service", "this needs a number, not a text", "make it a number"),
        ("inputs.regions * 100000000", "this needs a number, not a list", "compare its `|length`"),
        ("pods|selectattr('name', 'gt', 5)|list", "this needs a number, not a text", "make it a number"),
        ("duration('soon')", "`soon` is not a duration; write it like", ""),
        ("size('big')", "`big` is not a size", "write it like `512Mi`"),
        ("timestamp('today')", "`today` is not a moment in time", "write it like"),
        ("range(100000)|list", "a range of more than 1000 numbers", ""),
        ("big|replace('x', big)", "the text would be longer than 256 KiB", ""),
        ("big|list|join(big)", "the text would be longer than 256 KiB", ""),
        ("big|indent(1000000000)", "the text would be longer than 256 KiB", ""),
        ("'%100000d'|format(1)", "widths have at most three digits", ""),
        ("inputs.regions|batch(100000000, 1)", "more than 1000 items", ""),
        ("big ~ big ~ big ~ big ~ big", "the result is larger than 256 KiB", ""),
        ("1 / 0", "unable to calculate 1 / 0", ""),
        ("a +", "unexpected end of input", ""),
        ("inputs.service.", "unexpected end of input", ""),
        ("1e308 * 10", "the result is not a finite number", ""),
    ] {
        let error = evaluate(source, &names()).unwrap_err();
        assert!(error.message.contains(message), "{source}: {error}");
        let given = error.hint.clone().unwrap_or_default();
        assert!(given.contains(hint) && given.is_empty() == hint.is_empty(), "{source}: {given:?}");
    }
}

#[test]
fn json_cannot_grow_by_being_quoted_again_and_again() {
    let source = format!("'\"'{}", "|tojson".repeat(100));
    let error = evaluate(&source, &names()).unwrap_err();
    assert_eq!(error.message, "the text would be longer than 256 KiB");
}

#[test]
fn errors_point_at_the_source_as_it_is_written() {
    for (source, at) in [
        ("duration('1s') < inputs.nope", 24..28),
        ("1 < 2 and duration(3)", 10..21),
        ("1 < 2 and 3 ! 4", 12..13),
    ] {
        assert_eq!(evaluate(source, &names()).unwrap_err().span, Some(at), "{source}");
    }
    let error =
        evaluate("inputs.replicas < 3 and inputs.replicas > 1 or inputs.service > 2", &names()).unwrap_err();
    let span = error.span.unwrap();
    assert!(span.start >= 44 && span.end <= 65, "{span:?}");
}

#[test]
fn unknown_values_spread_only_where_they_are_touched() {
    let unknown = |reason: &str| Ok(Outcome::Unknown(reason.to_owned()));
    for (source, expected) in [
        ("steps.later.passed", unknown("`later` has not run")),
        ("steps.half.passed", unknown("no answer")),
        ("steps.half.outputs.known", Ok(Outcome::Known(json!(1)))),
        ("steps.half.outputs.rows", unknown("row")),
        ("steps.half.outputs.rows[0]", Ok(Outcome::Known(json!(1)))),
        ("steps.half.outputs.rows|sum > 3", unknown("row")),
        ("steps.later is defined", unknown("`later` has not run")),
        ("steps.later.passed|default(true)", unknown("`later` has not run")),
        ("inputs.dry and steps.later.passed", Ok(Outcome::Known(json!(false)))),
        ("1 if not inputs.dry else steps.later.passed", Ok(Outcome::Known(json!(1)))),
        ("[steps.half.passed]|tojson", unknown("no answer")),
    ] {
        assert_eq!(evaluate(source, &names()), expected, "{source}");
    }
}

#[test]
fn one_known_side_can_decide_a_condition() {
    for (source, expected) in [
        ("steps.later.passed", None),
        ("steps.later.passed and inputs.dry", Some(false)),
        ("steps.later.passed or not inputs.dry", Some(true)),
        ("steps.later.passed and not inputs.dry", None),
        ("inputs.replicas > 1 and steps.later.passed or inputs.dry", None),
        ("inputs.dry and steps.later.passed or inputs.replicas > 1", Some(true)),
        ("steps.later.passed or inputs.dry and steps.half.passed or inputs.replicas == 10", Some(true)),
        ("steps.later.passed and steps.history.outputs.value < 3", None),
        ("inputs.replicas", Some(true)),
        ("inputs.none", Some(false)),
    ] {
        assert_eq!(holds(source, &names()), Ok(expected), "{source}");
    }
}

#[test]
fn renders() {
    let template = json!({
        "lone": "${{ inputs.replicas }}",
        "text": "${{ inputs.service }}-${{ inputs.replicas }} ${{ inputs.dry }} ${{ inputs.none }} ${{ inputs.regions }}",
        "plain": ["{{ value }} {% if %} {# #} $${{ 'x' }}", 5, true],
        "promql": "rate(x{service=\"${{ inputs.service }}\"}[5m])",
        "literal": "${{ '${{ }}' }}",
        "${{ inputs.service }}": "keys stay",
        "unknown": "a ${{ steps.later.outputs.x }} b",
        "lone_unknown": "${{ steps.half.passed }}",
    });
    let expected = json!({
        "lone": 10,
        "text": "api-10 false null [\"eu\",\"us\"]",
        "plain": ["{{ value }} {% if %} {# #} $x", 5, true],
        "promql": "rate(x{service=\"api\"}[5m])",
        "literal": "${{ }}",
        "${{ inputs.service }}": "keys stay",
        "unknown": unknown::because("`later` has not run"),
        "lone_unknown": unknown::because("no answer"),
    });
    assert_eq!(render(&template, &names()), Ok(expected));
    assert_eq!(
        render_text("${{ inputs.service }}: ${{ steps.later.passed }}", &names()),
        Ok("api: (unknown)".to_owned())
    );
}

#[test]
fn refuses_templates_that_are_not_closed_or_too_large() {
    let open = render_text("a ${{ inputs.service", &names()).unwrap_err();
    assert_eq!((open.message.as_str(), open.span), ("this `${{` is not closed", Some(2..5)));
    let long = format!("{}${{{{ inputs.service }}}}", "x".repeat(MAX_TEMPLATE));
    assert!(render_text(&long, &names()).is_err());
    let large = Value::Array(vec![json!("${{ big }}"); 10]);
    assert!(render(&large, &names()).is_err());
    let text = "${{ big }}".repeat(10);
    assert!(render_text(&text, &names()).is_err());
}

#[test]
fn lists_the_references_of_templates() {
    let found = references_in_template("a ${{ inputs.x }} b ${{ steps.y.outputs['z'] }} {{ c }}").unwrap();
    assert_eq!(found, [vec!["inputs", "x"], vec!["steps", "y", "outputs", "z"]]);
    references_in_template("${{ a + }}").unwrap_err();
}

#[test]
fn the_worst_that_the_bounds_let_through_fits_a_small_stack() {
    let worst = [
        format!("a{}", ".a".repeat(128)),
        format!("a{}", "|d".repeat(128)),
        format!("{}1", "-".repeat(128)),
        format!("{}1", "not ".repeat(128)),
        format!("1{}", "+1".repeat(128)),
        format!("1{}", "<1".repeat(60)),
        format!("1{}", "~1".repeat(128)),
        format!("a{}", " if a else a".repeat(64)),
        format!("{}a{}", "(".repeat(16), ")".repeat(16)),
        format!("{}{}", "[".repeat(16), "]".repeat(16)),
        format!("a{}", "[a".repeat(16) + &"]".repeat(16)),
        format!("a{}", " is d".repeat(64)),
    ];
    let run = move || {
        for source in &worst {
            let _ = holds(source, &json!({ "a": { "a": 1 } }));
        }
    };
    std::thread::Builder::new().stack_size(512 * 1024).spawn(run).unwrap().join().unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn never_panics_on_any_text(text in ".{0,2048}") {
        let _ = holds(&text, &names());
        let _ = render_text(&text, &names());
        let _ = references_in_template(&format!("${{{{ {text} }}}}"));
    }

    #[test]
    fn never_panics_on_anything_like_an_expression(
        words in prop::collection::vec(prop::sample::select(vec![
            "inputs", ".service", ".replicas", "steps.later", "pods", "big", "1", "0", "-1", "9223372036854775807",
            "'a'", "\"é\"", "(", ")", "[", "]", "{", "}", ",", ":", "+", "-", "*", "/", "//", "%", "**", "<", "==",
            "~", "|", "is", "not", "in", "and", "or", "if", "else", "none", "true", "length", "first", "replace",
            "join", "format", "batch", "slice", "round", "split", "sum", "sort", "groupby", "tojson", "indent",
            "duration", "range", "size", "timestamp", "defined", "eq", "=", "0.5", "1e300", "..", "abs", "int",
        ]), 0..24),
    ) {
        let source = words.join(" ");
        let tight = words.concat();
        for text in [&source, &tight] {
            if let Ok(Outcome::Known(value)) = evaluate(text, &names()) {
                prop_assert!(value.to_string().len() < 4 * 256 * 1024);
            }
        }
    }
}
