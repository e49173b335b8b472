//! Rules over time: the states of Prometheus' alerts, what is told of them, and when.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use runbook_core::{
    Timestamp,
    detection::{
        Absent, MOST_SERIES, Measure, Message, Metric, Preset, Reading, Rule, Sample, Turn, Watch, rule_file,
    },
    duration::Duration,
};
use serde_json::{Value, json};

/// The length of time between two looks.
const TICK: u64 = 10;
const REPEAT: Duration = Duration::from_secs(4 * 3600);

fn at(tick: usize) -> Timestamp {
    let start: Timestamp = "2026-11-21T03:00:00Z".parse().unwrap();
    Duration::from_secs(TICK * tick as u64).after(start)
}

fn rule(hold: u64, keep: u64) -> Rule {
    Rule {
        name: "HighErrorRate".to_owned(),
        query: Some("errors".to_owned()),
        called: Some("errorRate".to_owned()),
        above: Some(0.05),
        hold: Duration::from_secs(hold),
        keep_firing_for: Duration::from_secs(keep),
        ..Rule::default()
    }
}

fn sample<const COUNT: usize>(labels: [(&str, &str); COUNT], value: f64) -> Sample {
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Sample { labels: labels.into(), value }
}

/// One letter for each look: `x` beyond the threshold, `.` not, `-` no data, `!` failed, ` ` missed.
fn look(watch: &mut Watch, rule: &Rule, letter: char, now: Timestamp) -> Vec<(String, Turn)> {
    let samples = match letter {
        ' ' => return Vec::new(),
        '!' => {
            watch.fail("connection refused".to_owned(), None, now);
            return Vec::new();
        }
        '-' => Vec::new(),
        'x' => vec![sample([("service", "api")], 0.2)],
        _ => vec![sample([("service", "api")], 0.01)],
    };
    watch.take(rule, &rule.read(samples, &[]).unwrap(), now)
}

/// `i`nactive, `p`ending, `F`iring, `k` firing although it no longer is beyond the threshold.
fn state(watch: &Watch) -> char {
    match watch.series.values().next() {
        None => 'i',
        Some(active) if active.fired_at.is_none() => 'p',
        Some(active) if active.kept_since.is_none() => 'F',
        Some(_) => 'k',
    }
}

#[track_caller]
fn states(hold: u64, keep: u64, looks: &str, expected: &str) {
    let rule = rule(hold, keep);
    let mut watch = Watch::default();
    let mut seen = String::new();
    for (tick, letter) in looks.chars().enumerate() {
        look(&mut watch, &rule, letter, at(tick));
        seen.push(state(&watch));
        // Whatever happens, it goes on from what was kept.
        let kept = serde_json::to_string(&watch).unwrap();
        assert_eq!(serde_json::from_str::<Watch>(&kept).unwrap(), watch);
        watch = serde_json::from_str(&kept).unwrap();
    }
    assert_eq!(seen, expected, "for {hold}s, kept for {keep}s: {looks}");
}

#[test]
fn states_are_those_of_prometheus() {
    // At once without `for`; after it otherwise, counted from the first look.
    states(0, 0, ".xx.", "iFFi");
    states(30, 0, ".xxxxx.", "ipppFFi");
    // A pending alert begins anew after a single look that is not beyond the threshold.
    states(30, 0, "xxx.xxx.", "pppipppi");
    states(30, 0, "xxx-xxxx", "pppipppF");
    // Flapping: each time is a firing of its own, unless it is kept.
    states(0, 0, "x.x.x", "FiFiF");
    states(0, 20, "x.x.x...", "FkFkFkki");
    states(0, 30, "x...x", "FkkkF");
    states(0, 30, "x..x....", "FkkFkkki");
    // Being kept is for what fires, not for what is pending.
    states(20, 30, "xx.x", "ppip");
    // A look that fails changes nothing, neither way; a missed one the same.
    states(30, 0, "x!!x", "pppF");
    states(30, 0, "x  x", "pppF");
    states(0, 0, "x!!!x.", "FFFFFi");
    states(0, 20, "x.!.", "Fkki");
    states(0, 0, "!!", "ii");
    // No data ends what fires, as the series is gone.
    states(0, 0, "xx-", "FFi");
}

#[test]
fn no_data_fires_where_the_rule_says_so() {
    let rule = Rule { absent: Absent::Firing, ..rule(20, 0) };
    let mut watch = Watch::default();
    let mut seen = String::new();
    for (tick, letter) in ".---!-.".chars().enumerate() {
        look(&mut watch, &rule, letter, at(tick));
        seen.push(state(&watch));
    }
    assert_eq!(seen, "ippFFFi");
    let told = &watch.due(&rule, REPEAT, at(7))[0].body;
    assert_eq!(told["labels"], json!({"alertname": "HighErrorRate"}));
    assert_eq!(told.get("metrics"), None);
}

#[test]
fn after_an_outage_pending_begins_anew_and_firing_goes_on() {
    let rule = rule(30, 0);
    let later = |watch: &mut Watch| look(watch, &rule, 'x', at(500));
    let mut pending = Watch::default();
    look(&mut pending, &rule, 'x', at(0));
    later(&mut pending);
    assert_eq!(pending.series.values().next().unwrap().since, at(500));
    assert_eq!(state(&pending), 'p');
    let mut firing = Watch::default();
    (0..4).for_each(|tick| drop(look(&mut firing, &rule, 'x', at(tick))));
    let before = firing.series.values().next().unwrap().fired_at;
    later(&mut firing);
    assert_eq!(firing.series.values().next().unwrap().fired_at, before);
}

#[test]
fn each_series_is_watched_by_itself() {
    let rule = rule(10, 0);
    let mut watch = Watch::default();
    let mut take = |tick: usize, services: &[(&str, f64)]| {
        let samples = services.iter().map(|(name, value)| sample([("service", name)], *value)).collect();
        let turns = watch.take(&rule, &rule.read(samples, &[]).unwrap(), at(tick));
        turns.into_iter().map(|(_, turn)| turn).collect::<Vec<_>>()
    };
    assert_eq!(take(0, &[("api", 0.2), ("web", 0.01)]), [Turn::Pending]);
    assert_eq!(take(1, &[("api", 0.2), ("web", 0.3)]).len(), 2);
    assert_eq!(take(2, &[("api", 0.0), ("web", 0.3)]).len(), 2);
    assert_eq!(take(3, &[]), [Turn::Resolved]);
    assert_eq!(watch.ended.len(), 2);
    assert!(watch.series.is_empty());
}

#[test]
fn what_is_due_is_told_once_again_after_a_while_and_when_it_is_over() {
    let rule = rule(0, 0);
    let mut watch = Watch::default();
    look(&mut watch, &rule, 'x', at(0));
    let [first] = <[Message; 1]>::try_from(watch.due(&rule, REPEAT, at(0))).unwrap();
    // Nobody took it: it stays due, with the same number.
    assert_eq!(watch.due(&rule, REPEAT, at(1)), std::slice::from_ref(&first));
    watch.told(&first, at(1));
    assert_eq!(watch.due(&rule, REPEAT, at(2)), []);
    let again = at(1 + 4 * 360);
    assert_eq!(watch.due(&rule, REPEAT, again)[0].id, first.id);
    look(&mut watch, &rule, '.', at(3));
    look(&mut watch, &rule, 'x', at(4));
    let due = watch.due(&rule, REPEAT, at(4));
    let [over, second] = <[Message; 2]>::try_from(due).unwrap();
    assert_eq!((&over.body["status"], &over.body["id"]), (&json!("resolved"), &first.body["id"]));
    assert_ne!(over.id, first.id);
    assert_ne!(second.body["id"], first.body["id"], "another firing");
    // What comes late of the first does not count for the second.
    watch.told(&first, at(5));
    watch.told(&over, at(5));
    assert_eq!(watch.due(&rule, REPEAT, at(5)), [second]);
}

#[test]
fn a_message_is_one_of_the_generic_format() {
    let rule = Rule {
        title: Some("High Error Rate Detected".to_owned()),
        severity: Some("SEV-2".to_owned()),
        service: Some("checkout".to_owned()),
        labels: [("team".to_owned(), "shop".to_owned())].into(),
        annotations: [("summary".to_owned(), "requests fail".to_owned())].into(),
        url: Some("https://grafana.example.com/d/errors".to_owned()),
        ..rule(10, 0)
    };
    let mut watch = Watch::default();
    for tick in 0..2 {
        let mut reading =
            rule.read(vec![sample([("service", "api"), ("__name__", "up")], 0.12)], &[]).unwrap();
        reading.tell_along("affectedUsers", &[sample([("service", "api")], 1200.0), sample([], 5.0)]);
        watch.take(&rule, &reading, at(tick));
    }
    let message = watch.due(&rule, REPEAT, at(1)).remove(0);
    let mut body = message.body.clone();
    let id = body["id"].take();
    assert!(id.as_str().unwrap().starts_with(body["fingerprint"].take().as_str().unwrap()));
    assert_eq!(message.id, format!("{}-firing", id.as_str().unwrap()));
    assert!(id.as_str().unwrap().starts_with("HighErrorRate-"));
    assert_eq!(
        body,
        json!({
            "id": null,
            "fingerprint": null,
            "name": "HighErrorRate",
            "title": "High Error Rate Detected",
            "status": "firing",
            "timestamp": "2026-11-21T03:00:10Z",
            "startsAt": "2026-11-21T03:00:10Z",
            "description": "errorRate > 0.05 for 10s (affectedUsers 1200, errorRate 0.12)",
            "severity": "SEV-2",
            "service": "checkout",
            "url": "https://grafana.example.com/d/errors",
            "labels": {"alertname": "HighErrorRate", "service": "api", "team": "shop"},
            "annotations": {"summary": "requests fail"},
            "metrics": {"affectedUsers": 1200.0, "errorRate": 0.12},
        })
    );
}

#[test]
fn thresholds_are_strict_and_may_be_shares_of_what_is_expected() {
    let api = |value: f64| vec![sample([("service", "api")], value)];
    let breached =
        |rule: &Rule, value: f64, expected: &[Sample]| rule.read(api(value), expected).unwrap().is_breached();
    let above = rule(0, 0);
    let below = Rule { above: None, below: Some(10.0), ..rule(0, 0) };
    for (rule, value, expected) in [
        (&above, 0.05, false),
        (&above, 0.050_001, true),
        (&above, f64::NAN, false),
        (&below, 10.0, false),
        (&below, 9.0, true),
        (&below, f64::NAN, false),
    ] {
        assert_eq!(breached(rule, value, &[]), expected, "{} {value}", rule.threshold());
    }
    let half = Rule { expected: Some(Measure::default()), above: None, below: Some(0.5), ..rule(0, 0) };
    let web = sample([("service", "web")], 100.0);
    for (value, expected, is_breached) in [
        (49.0, api(100.0), true),
        (50.0, api(100.0), false),
        (49.0, vec![sample([], 100.0)], true),
        (49.0, vec![web.clone()], false),
        (49.0, vec![web, api(200.0).remove(0)], true),
        (49.0, Vec::new(), false),
        (49.0, api(f64::NAN), false),
    ] {
        assert_eq!(breached(&half, value, &expected), is_breached, "{value} of {expected:?}");
    }
    assert_eq!(half.threshold(), "< 50 % of expected");
    let odd =
        Rule { above: None, when: Some("value > 3 and labels.service == 'api'".to_owned()), ..rule(0, 0) };
    assert!(breached(&odd, 4.0, &[]) && !breached(&odd, 3.0, &[]));
}

#[test]
fn what_cannot_be_judged_is_said() {
    let rule = rule(0, 0);
    let many = (0..=MOST_SERIES).map(|n| sample([("pod", n.to_string().as_str())], 1.0)).collect();
    let same = vec![sample([("__name__", "a")], 1.0), sample([("__name__", "b")], 1.0)];
    let unfit = Rule { above: None, when: Some("value > labels.nothing".to_owned()), ..rule.clone() };
    for (rule, samples, why) in [
        (&rule, many, "has 51 series"),
        (&rule, same, "same labels"),
        (&unfit, vec![sample([], 1.0)], "`labels.nothing` is not defined"),
    ] {
        let fault = rule.read(samples, &[]).unwrap_err();
        assert!(fault.message.contains(why), "{fault}");
    }
}

#[test]
fn rules_that_make_no_sense_are_found() {
    let sound = rule(0, 0);
    assert_eq!(sound.problems(), []);
    let query = Measure { query: Some("q".to_owned()), cloudwatch: None };
    for (rule, key, why) in [
        (Rule { query: None, ..sound.clone() }, "name", "nothing is measured"),
        (Rule { cloudwatch: Some(Metric::default()), ..sound.clone() }, "query", "both"),
        (Rule { above: None, ..sound.clone() }, "name", "no threshold"),
        (Rule { below: Some(1.0), ..sound.clone() }, "name", "several thresholds"),
        (Rule { above: Some(f64::INFINITY), ..sound.clone() }, "above", "not a number"),
        (Rule { above: None, when: Some("value >".to_owned()), ..sound.clone() }, "when", "value >"),
        (Rule { above: None, when: Some("latency > 1".to_owned()), ..sound.clone() }, "when", "no `latency`"),
        (
            Rule { above: None, when: Some("value > expected".to_owned()), ..sound.clone() },
            "when",
            "`expected`",
        ),
        (Rule { expected: Some(Measure::default()), ..sound.clone() }, "expected", "either"),
        (
            Rule { labels: [("alertname".to_owned(), "x".to_owned())].into(), ..sound.clone() },
            "labels",
            "name",
        ),
        (
            Rule { also: [("errorRate".to_owned(), query)].into_iter().collect(), ..sound },
            "also",
            "two numbers",
        ),
    ] {
        let problems = rule.problems();
        assert!(problems.iter().any(|(at, text)| *at == key && text.contains(why)), "{why}: {problems:?}");
    }
}

#[test]
fn the_rules_that_ship_are_sound_and_tell_their_numbers() {
    let names = |rule: &Rule| {
        let mut names = vec![rule.called().to_owned()];
        names.extend(rule.expected.iter().map(|_| "expected".to_owned()));
        names.extend(rule.also.keys().cloned());
        names
    };
    let rules = Preset::GoldenSignals.rules();
    let told: Vec<_> = rules
        .iter()
        .map(|rule| (rule.title(), rule.severity.as_deref().unwrap(), rule.threshold(), names(rule)))
        .collect();
    let expected = [
        ("High Error Rate Detected", "SEV-2", "> 0.05", ["errorRate", "affectedUsers"]),
        ("High Latency Detected", "SEV-2", "> 5000", ["latencyP99", "latencyP95"]),
        ("Significant Traffic Drop", "SEV-1", "< 50 % of expected", ["current", "expected"]),
    ];
    let expected = expected.map(|(title, severity, threshold, names)| {
        (title, severity, threshold.to_owned(), names.map(str::to_owned).to_vec())
    });
    assert_eq!(told, expected);
    assert!(rules.iter().all(|rule| rule.problems().is_empty()));
}

#[test]
fn a_rule_file_says_the_same_and_names_what_it_cannot_say() {
    let rules = [
        Rule {
            expected: Some(Measure { query: Some("should".to_owned()), cloudwatch: None }),
            title: Some("a \"{{ brace }}\"".to_owned()),
            query: Some("errors{a='b'}".to_owned()),
            annotations: [("summary".to_owned(), "two\nlines".to_owned())].into(),
            absent: Absent::Firing,
            ..rule(90, 0)
        },
        Rule { name: "Odd".to_owned(), above: None, when: Some("value > 1".to_owned()), ..rule(0, 0) },
        Rule { name: "Cloud".to_owned(), query: None, cloudwatch: Some(Metric::default()), ..rule(0, 0) },
    ];
    assert_eq!(
        rule_file("own", Duration::from_millis(1500), &rules),
        r#"groups:
  - name: own
    interval: 1s500ms
    rules:
      - alert: HighErrorRate
        expr: '((errors{a=''b''}) > 0.05 * (should)) or absent(count((errors{a=''b''}) >= -Inf))'
        for: 1m30s
        annotations:
          summary: "two\nlines"
          title: 'a "{{ "{{" }} brace }}"'
          errorRate: '{{ $value }}'
      # Odd is not here: its condition is an expression that PromQL does not know
      # Cloud is not here: its metric is one of CloudWatch
"#
    );
}

/// What a naive reader of Prometheus' documentation would say of a history: whether it fires at its
/// end. `None` is a look that failed or was missed.
fn fires(history: &[Option<bool>], hold: u64, keep: u64) -> char {
    let looks: Vec<(u64, bool)> = history
        .iter()
        .enumerate()
        .filter_map(|(tick, look)| look.map(|beyond| (tick as u64 * TICK, beyond)))
        .collect();
    let mut rest = looks.as_slice();
    loop {
        // Beyond from here on.
        let Some(start) = rest.iter().position(|(_, beyond)| *beyond) else { return 'i' };
        rest = &rest[start..];
        let length = rest.iter().position(|(_, beyond)| !beyond).unwrap_or(rest.len());
        let begun = rest[0].0;
        if !rest[..length].iter().any(|(time, _)| time - begun >= hold) {
            if length == rest.len() {
                return 'p';
            }
            rest = &rest[length..];
            continue;
        }
        // It fires, until it has not been beyond for as long as it is kept.
        let end = (length..rest.len()).find(|&place| {
            let since = rest[..=place].iter().rposition(|(_, beyond)| *beyond).unwrap() + 1;
            !rest[place].1 && (keep == 0 || rest[place].0 - rest[since].0 >= keep)
        });
        match end {
            Some(place) => rest = &rest[place..],
            None => return if rest.last().unwrap().1 { 'F' } else { 'k' },
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn states_equal_a_naive_model(
        looks in prop::collection::vec(prop::sample::select(vec!['x', 'x', 'x', '.', '-', '!', ' ']), 1..60),
        hold in 0_u64..6,
        keep in 0_u64..6,
    ) {
        let (hold, keep) = (hold * TICK, keep * TICK);
        let rule = rule(hold, keep);
        let mut watch = Watch::default();
        let mut history = Vec::new();
        for (tick, letter) in looks.iter().enumerate() {
            look(&mut watch, &rule, *letter, at(tick));
            history.push(match letter { 'x' => Some(true), '.' | '-' => Some(false), _ => None });
            prop_assert_eq!(state(&watch), fires(&history, hold, keep), "{:?}", &looks[..=tick]);
        }
    }

    /// Whatever is lost on the way, what is told is in the end what happened: each firing that the
    /// desk knows of has its end, and no message differs from its repeats.
    #[test]
    fn every_firing_is_told_and_ended(
        looks in prop::collection::vec((prop::sample::select(vec!['x', '.', '!']), any::<bool>()), 1..60),
    ) {
        let rule = rule(TICK, TICK);
        let mut watch = Watch::default();
        let mut desk: BTreeMap<String, Value> = BTreeMap::new();
        let mut firings = Vec::new();
        let ending = (0..3).map(|_| ('.', true));
        for (tick, (letter, arrives)) in looks.into_iter().chain(ending).enumerate() {
            let turns = look(&mut watch, &rule, letter, at(tick));
            firings.extend(turns.iter().filter(|(_, turn)| *turn == Turn::Firing).map(|_| at(tick)));
            for message in watch.due(&rule, REPEAT, at(tick)) {
                // It may arrive without the detector learning it.
                let known = desk.entry(message.id.clone()).or_insert_with(|| message.body.clone());
                prop_assert_eq!(&known["startsAt"], &message.body["startsAt"]);
                if arrives {
                    watch.told(&message, at(tick));
                }
            }
        }
        prop_assert!(watch.is_settled());
        let ended: Vec<_> = desk.values().filter(|body| body["status"] == "resolved").collect();
        let starts: Vec<Timestamp> = ended.iter().map(|body| body["startsAt"].as_str().unwrap().parse().unwrap()).collect();
        prop_assert_eq!(starts, firings);
    }
}

#[test]
fn a_reading_of_nothing_is_a_reading() {
    let rule = rule(0, 0);
    assert_eq!(rule.read(Vec::new(), &[]).unwrap(), Reading::default());
}
