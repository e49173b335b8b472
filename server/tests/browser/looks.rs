//! Every page, on a phone and on a desk, by day and by night, with scripts and without.

use std::{fs, path::PathBuf};

use runbook_browser::{Browser, Screen, Tab};
use serde_json::{Value, json};

use crate::stage::Stage;

/// What axe-core has rules about.
const ALL_RULES: [&str; 6] = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const COLOURS: [&str; 1] = ["color-contrast"];
const FAULTS: &str = include_str!("faults.js");

/// What can be opened as it is, as somebody who may do everything.
fn pages(stage: &Stage) -> Vec<(String, String)> {
    let own = [
        ("home", "/"),
        ("runs", "/runs"),
        ("failed runs", "/runs?status=failed"),
        ("no such runs", "/runs?status=superseded"),
        ("approvals", "/approvals"),
        ("runbooks", "/runbooks"),
        ("runbook", "/runbooks/high-latency"),
        ("start", "/runbooks/high-latency/start"),
        ("start with fields of all kinds", "/runbooks/by-hand/start"),
        ("readiness", "/runbooks/high-latency/readiness"),
        ("alerts", "/alerts"),
        ("incidents", "/incidents"),
        ("declare", "/incidents/declare"),
        ("access", "/access"),
        ("audit", "/audit"),
        ("not there", "/nothing/like/that"),
        ("no such run", "/runs/run_00000000000000000000000000"),
    ];
    let own = own.into_iter().map(|(name, path)| (name.to_owned(), stage.url(path)));
    let filled = stage.places.keys().map(|name| ((*name).to_owned(), stage.place(name)));
    own.chain(filled).collect()
}

/// What comes of a form: where it stands, and what is done there.
fn answers(stage: &Stage) -> Vec<(&'static str, String, &'static str)> {
    let send = |action: &'static str| action;
    vec![
        (
            "plan",
            stage.url("/runbooks/high-latency/start"),
            send("document.querySelector('main form button').click()"),
        ),
        (
            "plan that cannot be made",
            stage.url("/runbooks/high-latency/start"),
            send(
                "document.getElementById('reason').value = 'unreachable'; document.querySelector('main form button').click()",
            ),
        ),
        (
            "plan that fails",
            stage.url("/runbooks/denied/start"),
            send("document.querySelector('main form button').click()"),
        ),
        (
            "not confirmed",
            stage.place("destructive"),
            send(
                "document.getElementById('confirm').value = 'something else'; document.querySelector('button.large').click()",
            ),
        ),
        (
            "decided upon something old",
            stage.place("approval"),
            send(
                "document.querySelector('main [name=digest]').value = 'sha256:0'; document.querySelector('button.large').click()",
            ),
        ),
        (
            "refused resolution",
            stage.place("incident"),
            send("document.querySelector('form[action$=\"/resolve\"]').submit()"),
        ),
        (
            "not from here",
            stage.place("incident"),
            send(
                "document.querySelector('form[action$=\"/note\"] [name=csrf]').value = 'forged'; document.querySelector('form[action$=\"/note\"]').submit()",
            ),
        ),
        (
            "a new token",
            stage.url("/access"),
            send(
                "document.getElementById('name').value = 'pipeline'; document.querySelector('form[action=\"/access/tokens\"] button').click()",
            ),
        ),
        ("revoke", stage.url("/access"), send("document.querySelector('a[href$=\"/revoke\"]').click()")),
    ]
}

struct Look<'s> {
    stage: &'s Stage,
    browser: Browser,
    axe: Option<String>,
    pictures: Option<PathBuf>,
    faults: Vec<String>,
}

impl Look<'_> {
    /// Looks at the page that a tab shows.
    fn at(&mut self, tab: &Tab, name: &str, screen: Screen) {
        let light = if screen.dark { "dark" } else { "light" };
        let scripts = if screen.scripts { "" } else { ", without scripts" };
        let about = format!("{name}, {} px, {light}{scripts}", screen.width);
        let complaints = self.browser.complaints(tab);
        let found = self.browser.evaluate(tab, &format!("({FAULTS})({}, {})", screen.width, screen.phone));
        let found = found.as_array().unwrap_or_else(|| panic!("{about}: nothing to look at")).clone();
        let found = found.iter().map(|fault| fault.as_str().unwrap().to_owned());
        let checked = if screen.scripts { self.checked(tab, screen) } else { Vec::new() };
        let all = complaints.into_iter().chain(found).chain(checked);
        self.faults.extend(all.map(|fault| format!("{about}: {fault}")));
        if let Some(folder) = &self.pictures {
            let file = format!(
                "{}-{}-{light}{}.png",
                name.replace(' ', "-"),
                screen.width,
                scripts.replace([',', ' '], "-")
            );
            fs::write(folder.join(file), self.browser.picture(tab)).unwrap();
        }
    }

    /// What axe-core has against it.
    fn checked(&mut self, tab: &Tab, screen: Screen) -> Vec<String> {
        let Some(axe) = &self.axe else { return Vec::new() };
        self.browser.evaluate(tab, axe);
        // By day and by night only the colours differ: on each screen, all is checked once.
        let once = if screen.phone == screen.dark { ALL_RULES.as_slice() } else { COLOURS.as_slice() };
        let rules = json!({ "runOnly": once, "resultTypes": ["violations"] });
        let run = format!(
            "axe.run(document, {rules}).then((all) => all.violations.flatMap((one) =>
                 one.nodes.map((node) => `${{one.id}}: ${{node.html.slice(0, 120)}}: ${{node.failureSummary}}`)))"
        );
        let found = self.browser.evaluate(tab, &run);
        found.as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
    }

    fn all(&mut self, screen: Screen) {
        let tab = self.browser.tab_apart();
        self.stage.sign_in(&mut self.browser, &tab, "max");
        self.browser.complaints(&tab);
        self.browser.show_on(&tab, screen);
        for (name, url) in pages(self.stage) {
            self.browser.go(&tab, &url);
            self.at(&tab, &name, screen);
        }
        for (name, url, act) in answers(self.stage) {
            self.browser.go(&tab, &url);
            self.browser.act(&tab, act);
            self.at(&tab, name, screen);
        }
        let vic = self.browser.tab_apart();
        self.stage.sign_in(&mut self.browser, &vic, "vic");
        self.browser.complaints(&vic);
        self.browser.show_on(&vic, screen);
        let approval = self.stage.place("approval");
        let incident = self.stage.place("incident");
        for (name, url) in [
            ("forbidden", self.stage.url("/audit")),
            ("home of a viewer", self.stage.url("/")),
            ("approval of a viewer", approval),
            ("incident of a viewer", incident),
        ] {
            self.browser.go(&vic, &url);
            self.at(&vic, name, screen);
        }
        let nobody = self.browser.tab_apart();
        self.browser.show_on(&nobody, screen);
        for (name, path) in [("sign in", "/login"), ("worthless link", "/login/ticket?ticket=x")] {
            self.browser.go(&nobody, &self.stage.url(path));
            self.at(&nobody, name, screen);
        }
        for tab in [tab, vic, nobody] {
            self.browser.close(&tab);
        }
    }
}

fn axe() -> Option<String> {
    let Ok(path) = std::env::var("RUNBOOK_TEST_AXE") else {
        eprintln!("skipped: RUNBOOK_TEST_AXE is not set");
        return None;
    };
    Some(fs::read_to_string(path).unwrap())
}

fn looked_at(screens: &[Screen]) {
    let Some(browser) = Browser::start() else { return };
    let stage = Stage::filled();
    let pictures = std::env::var_os("RUNBOOK_TEST_PICTURES").map(PathBuf::from);
    if let Some(folder) = &pictures {
        fs::create_dir_all(folder).unwrap();
    }
    let mut look = Look { stage: &stage, browser, axe: axe(), pictures, faults: Vec::new() };
    for screen in screens {
        look.all(*screen);
    }
    assert!(look.faults.is_empty(), "{} faults:\n{}", look.faults.len(), look.faults.join("\n"));
}

#[test]
fn on_a_phone_nothing_is_wrong_with_any_page() {
    looked_at(&[Screen::PHONE.dark(), Screen::PHONE, Screen::PHONE.without_scripts()]);
}

#[test]
fn on_a_desk_nothing_is_wrong_with_any_page() {
    looked_at(&[Screen::DESK, Screen::DESK.dark(), Screen::DESK.without_scripts().dark()]);
}

#[test]
fn an_empty_server_looks_as_good() {
    let Some(browser) = Browser::start() else { return };
    let stage = Stage::empty();
    let pictures = std::env::var_os("RUNBOOK_TEST_PICTURES").map(PathBuf::from);
    let mut look = Look { stage: &stage, browser, axe: axe(), pictures, faults: Vec::new() };
    let tab = look.browser.tab_apart();
    stage.sign_in(&mut look.browser, &tab, "ada");
    look.browser.complaints(&tab);
    for screen in [Screen::PHONE, Screen::DESK] {
        look.browser.show_on(&tab, screen);
        for path in ["/", "/runs", "/approvals", "/alerts", "/incidents", "/access"] {
            look.browser.go(&tab, &stage.url(path));
            look.at(&tab, &format!("empty {path}").replace('/', "_"), screen);
        }
    }
    assert!(look.faults.is_empty(), "{}", look.faults.join("\n"));
}

#[test]
fn nothing_moves_for_whoever_wants_nothing_to_move() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::filled();
    let tab = browser.tab();
    stage.sign_in(&mut browser, &tab, "ada");
    browser.show_on(&tab, Screen::DESK.still());
    let moving = "[...document.querySelectorAll('*')].filter((one) => {
        const style = getComputedStyle(one);
        return style.transitionDuration.split(', ').some((time) => time !== '0s') || style.animationName !== 'none';
    }).length";
    for place in ["run", "approval", "incident"] {
        browser.go(&tab, &stage.place(place));
        assert_eq!(browser.evaluate(&tab, moving), Value::from(0), "{place}");
    }
}
