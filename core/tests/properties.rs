//! The parser and the checker on anything at all: they come to an end, and say where.
#![expect(clippy::disallowed_methods, reason = "a test measures how long the core takes")]

mod support;

use std::{
    sync::LazyLock,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use runbook_core::{
    check::{self, Catalog, File},
    finding::{self, Code, Document},
    graph, parse,
};

static CATALOG: LazyLock<Catalog> = LazyLock::new(support::catalog);

const GOOD: [(&str, &str); 3] = [
    ("high-latency.yaml", include_str!("good/high-latency.yaml")),
    ("service-health-check.yaml", include_str!("good/service-health-check.yaml")),
    ("tell-everyone.yaml", include_str!("good/tell-everyone.yaml")),
];

/// Far more than any file of these sizes takes, on any machine.
const TOO_LONG: Duration = Duration::from_secs(20);

/// Checks a text and everything that is done with the findings.
fn survive(path: &str, text: &str) {
    let started = Instant::now();
    let file = File { path: path.to_owned(), text: text.to_owned() };
    let findings = check::check(std::slice::from_ref(&file), &CATALOG);
    let document = Document::new(&file.path, &file.text);
    for finding in &findings {
        assert!(text.get(finding.span.clone()).is_some(), "{finding:?}");
        assert!(!finding.message.is_empty());
    }
    let shown = finding::render(findings.get(..5).unwrap_or(&findings), &[&document], true);
    assert_eq!(shown.is_empty(), findings.is_empty());
    let parsed = parse::parse(path, text);
    if let Some(draft) = &parsed.draft {
        let runbook = &draft.runbook;
        for drawing in
            [graph::text(runbook), graph::mermaid(runbook), graph::dot(runbook), graph::svg(runbook)]
        {
            assert!(!drawing.is_empty());
        }
    }
    assert!(started.elapsed() < TOO_LONG, "took {:?}", started.elapsed());
}

/// A change to the lines of a good runbook.
#[derive(Debug, Clone)]
enum Mutation {
    Truncate(prop::sample::Index),
    Drop(prop::sample::Index),
    Double(prop::sample::Index),
    Swap(prop::sample::Index, prop::sample::Index),
    Indent(prop::sample::Index, usize),
    Insert(prop::sample::Index, String),
    Replace(prop::sample::Index, &'static str, &'static str),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let index = any::<prop::sample::Index>;
    let words = prop::sample::select(vec![
        (":", ""),
        ("[", "{"),
        ("}", ""),
        ("steps", "inputs"),
        ("\"", "'"),
        ("${{", "${{ ${{"),
        ("- ", ""),
        ("check:", "action:"),
        ("id:", "needs:"),
        ("with:", "&a with:"),
        ("expect:", "expect: *a #"),
        ("inputs.", "steps."),
        ("==", "="),
        ("true", "null"),
        ("wait:", "options:"),
        ("api", "\u{0}"),
    ]);
    prop_oneof![
        index().prop_map(Mutation::Truncate),
        index().prop_map(Mutation::Drop),
        index().prop_map(Mutation::Double),
        (index(), index()).prop_map(|(a, b)| Mutation::Swap(a, b)),
        (index(), 1..6_usize).prop_map(|(at, by)| Mutation::Indent(at, by)),
        (index(), ".{0,40}").prop_map(|(at, text)| Mutation::Insert(at, text)),
        (index(), words).prop_map(|(at, (from, to))| Mutation::Replace(at, from, to)),
    ]
}

fn mutate(text: &str, mutations: &[Mutation]) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for mutation in mutations {
        if lines.is_empty() {
            break;
        }
        let count = lines.len();
        match mutation {
            Mutation::Truncate(at) => lines.truncate(at.index(count)),
            Mutation::Drop(at) => drop(lines.remove(at.index(count))),
            Mutation::Double(at) => lines.insert(at.index(count), lines[at.index(count)].clone()),
            Mutation::Swap(a, b) => lines.swap(a.index(count), b.index(count)),
            Mutation::Indent(at, by) => lines[at.index(count)].insert_str(0, &" ".repeat(*by)),
            Mutation::Insert(at, text) => lines.insert(at.index(count), text.clone()),
            Mutation::Replace(at, from, to) => {
                let line = &mut lines[at.index(count)];
                *line = line.replace(from, to);
            }
        }
    }
    lines.join("\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_text(text in "(.|\n){0,600}") {
        survive("any.yaml", &text);
    }

    #[test]
    fn anything_like_yaml(text in r#"([a-z]{1,4}(: |:\n {0,4}|: \[|: \{|, |\]|\}|\n|\n {0,6}- |"|'|&a |\*a|\$\{\{ | \}\}|\||>|#|!!str |\? |<<: )){0,60}"#) {
        survive("like.yaml", &text);
    }

    #[test]
    fn good_runbooks_gone_bad(
        which in 0..GOOD.len(),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        let (path, text) = GOOD[which];
        survive(path, &mutate(text, &mutations));
    }
}

#[test]
fn sizes_at_the_bounds_do_no_harm() {
    let head = "apiVersion: runbook/v1\nname: big\nsteps:\n";
    let step = |n: usize| {
        format!(
            "  - id: s{n}\n    needs: [{}]\n    wait: 1s\n",
            if n > 0 { format!("s{}", n - 1) } else { String::new() }
        )
    };
    let many_steps = head.to_owned() + &(0..200).map(step).collect::<String>();
    let all_need_all: String = (0..200)
        .map(|n| {
            let needs: Vec<String> = (0..200).map(|m| format!("s{m}")).collect();
            format!("  - {{ id: s{n}, needs: [{}], wait: 1s }}\n", needs.join(","))
        })
        .collect();
    let all_need_all = head.to_owned() + &all_need_all;
    let long_line = format!("{head}  - {{ id: a, wait: \"{}\" }}\n", "x".repeat(200_000));
    let many_expressions = format!(
        "{head}  - id: a\n    action: slack.post\n    with: {{ channel: \"{}\" }}\n",
        "${{ inputs.a }}".repeat(4000)
    );
    let flow = "{a: ".repeat(63);
    let quotes = "\"".repeat(100_000);
    let dashes = "- ".repeat(50_000);
    let colons = "a: ".repeat(50_000);
    let keys: String = (0..19_000).map(|n| format!("k{n}: 1\n")).collect();
    let anchors: String = (0..5_000).map(|n| format!("a{n}: &a{n} [*a{}]\n", n.max(1) - 1)).collect();
    for text in
        [many_steps, all_need_all, long_line, many_expressions, flow, quotes, dashes, colons, keys, anchors]
    {
        survive("big.yaml", &text);
    }
}

#[test]
fn an_alias_bomb_is_refused_before_it_grows() {
    let mut bomb = String::from("labels: {}\na: &a [x,x,x,x,x,x,x,x,x,x]\n");
    for (name, before) in [('b', 'a'), ('c', 'b'), ('d', 'c'), ('e', 'd'), ('f', 'e'), ('g', 'f'), ('h', 'g')]
    {
        let aliases = vec![format!("*{before}"); 10].join(",");
        bomb.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    let parsed = parse::parse("bomb.yaml", &bomb);
    assert_eq!(parsed.findings.last().unwrap().code, Code::TooLarge);
}
