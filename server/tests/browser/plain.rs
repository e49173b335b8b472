//! A phone without scripts: everything that can be done is done there once.

use runbook_browser::{Browser, Screen, Tab};

use crate::stage::Stage;

/// Somebody with such a phone.
struct Person<'s> {
    stage: &'s Stage,
    browser: Browser,
    tab: Tab,
}

impl Person<'_> {
    fn go(&mut self, path: &str) -> &mut Self {
        self.browser.go(&self.tab, &self.stage.url(path));
        self
    }
    fn place(&mut self, name: &str) -> &mut Self {
        self.browser.go(&self.tab, &self.stage.place(name));
        self
    }
    fn fill(&mut self, selector: &str, text: &str) -> &mut Self {
        self.browser.fill(&self.tab, selector, text);
        self
    }
    fn press(&mut self, name: &str) -> &mut Self {
        self.browser.press(&self.tab, name);
        self
    }
    /// Opens what is folded.
    fn unfold(&mut self, name: &str) -> &mut Self {
        let found = format!(
            "[...document.querySelectorAll('summary')].find((it) => it.innerText.trim() === '{name}')"
        );
        self.browser.tap(&self.tab, &found);
        self.browser.until(&self.tab, name, &format!("{found}.parentElement.open"));
        self
    }
    fn reads(&mut self, text: &str) -> &mut Self {
        self.browser.reads(&self.tab, text);
        self
    }
}

#[test]
fn everything_works_without_scripts() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::filled();
    stage.supervise();
    let tab = browser.tab();
    stage.sign_in(&mut browser, &tab, "max");
    browser.show_on(&tab, Screen::PHONE.without_scripts());
    let mut max = Person { stage: &stage, browser, tab };
    questions(&mut max);
    runs(&mut max);
    incidents(&mut max);
    access(&mut max);
    assert_eq!(max.browser.complaints(&max.tab), Vec::<String>::new());
}

fn questions(max: &mut Person<'_>) {
    max.go("/").reads("Load again for news").reads("Waits for you");
    max.place("approval")
        .fill("#comment", "go")
        .press("Approve: change api in production")
        .reads("approved by max: go");
    max.place("destructive")
        .unfold("Reject…")
        .fill("#why-not", "not tonight")
        .press("Reject")
        .reads("rejected by max: not tonight");
    max.place("by hand");
    max.fill("[name='input.ticket']", "T-42").press("Done").reads("max answered: done");
    max.place("choice").press("Take “More pods”").reads("more");
    max.place("doubt").press("It happened").reads("max answered: it happened");
    max.place("conflict").press("Stop here").reads("max answered: stop");
}

fn runs(max: &mut Person<'_>) {
    max.go("/runbooks/high-latency").press("Start: dry-run first…");
    max.fill("[name='input.pods']", "11")
        .fill("#reason", "trying")
        .press("Show what it would do")
        .reads("What “High API latency” would do");
    max.press("Run high-latency in production").reads("trying");
    max.place("long run").press("Cancel…").press("Cancel the run").reads("max cancelled the run");
    max.place("undo").press("Take the changes back").reads("Add pods");
    max.place("failed")
        .press("Start it again: dry-run first…")
        .press("Show what it would do")
        .reads("It would fail");
    max.go("/runs").reads("high-latency");
}

fn incidents(max: &mut Person<'_>) {
    max.go("/incidents")
        .press("Declare one")
        .fill("#title", "Mails are late")
        .press("Declare it")
        .reads("INC-6");
    max.press("I take it on").reads("taken on by max");
    max.fill("#note", "the queue is full").press("Add to the timeline").reads("max: the queue is full");
    max.unfold("Roles…").press("Give it to them").reads("max is incident commander");
    max.unfold("State…").press("Change it").reads("investigating");
    max.unfold("Link or merge…").fill("#other", "INC-2").press("Link them").reads("Linked");
    max.unfold("Resolve…")
        .fill("#resolve-reason", "the queue is empty")
        .press("Resolve INC-6 Mails are late")
        .reads("max resolved it");
    max.unfold("Open it again…").press("Open it again").reads("investigating");
    max.unfold("Link or merge…")
        .fill("#other", "INC-1")
        .press("Go on as the other")
        .reads("It goes on as INC-1");
}

fn access(max: &mut Person<'_>) {
    max.go("/access").fill("#name", "pipeline").press("Make the token").reads("This is the token");
    max.press("Revoke…").press("Revoke it").reads("revoked");
    max.unfold("max").press("Sign out").reads("Sign in");
}
