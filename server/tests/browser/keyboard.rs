//! Deciding with nothing but a keyboard.

use runbook_browser::{Browser, Screen, Tab};
use serde_json::Value;

use crate::stage::Stage;

/// Where the focus is: what it is called, whether it can be seen that it is there, whether anything lies
/// over it, and how far down the page it stands.
const FOCUS: &str = "(() => {
    const one = document.activeElement;
    if (!one || one === document.body) return null;
    const shape = one.querySelector('rect') || one;
    const style = getComputedStyle(one), drawn = getComputedStyle(shape);
    const box = shape.getBoundingClientRect();
    const over = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20));
    return {
        name: one.id || one.textContent.trim().slice(0, 60) || one.getAttribute('aria-label') || one.className,
        seen: one.matches(':focus-visible') && (shape === one
            ? style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2 : parseFloat(drawn.strokeWidth) >= 3),
        free: one.contains(over) || (over && over.contains(one)),
        inside: !!one.closest('main'), y: Math.round(box.y + scrollY),
    };
})()";

/// Walks through a page from its first stop to its last.
fn walk(browser: &mut Browser, tab: &Tab) -> Vec<Value> {
    let mut stops = Vec::new();
    for _ in 0..200 {
        browser.key(tab, "Tab");
        let stop = browser.evaluate(tab, FOCUS);
        // After the last one comes the first one again, with or without a step outside of the page.
        if stop.is_null() || stops.first() == Some(&stop) {
            break;
        }
        stops.push(stop);
    }
    stops
}

fn name(stop: &Value) -> &str {
    stop["name"].as_str().unwrap_or_default()
}

#[test]
fn every_stop_can_be_seen_and_they_go_down_the_page() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::filled();
    let tab = browser.tab();
    stage.sign_in(&mut browser, &tab, "ada");
    for screen in [Screen::PHONE, Screen::DESK.dark()] {
        browser.show_on(&tab, screen);
        for place in ["approval", "destructive", "run", "incident", "choice", "by hand"] {
            browser.go(&tab, &stage.place(place));
            let stops = walk(&mut browser, &tab);
            assert_eq!(name(&stops[0]), "Skip to content", "{place}");
            for stop in &stops {
                assert_eq!((&stop["seen"], &stop["free"]), (&true.into(), &true.into()), "{place}: {stop}");
            }
            if screen.phone {
                let down: Vec<i64> = stops
                    .iter()
                    .filter(|stop| stop["inside"] == true)
                    .map(|stop| stop["y"].as_i64().unwrap())
                    .collect();
                // Beside each other counts as below: boxes of a row, buttons of a line.
                assert!(down.windows(2).all(|pair| pair[1] >= pair[0] - 60), "{place}: {stops:?}");
            }
        }
    }
}

#[test]
fn something_destructive_is_approved_by_keyboard_alone() {
    let Some(mut browser) = Browser::start() else { return };
    let stage = Stage::filled();
    let tab = browser.tab();
    stage.sign_in(&mut browser, &tab, "ada");
    browser.go(&tab, &stage.place("destructive"));
    let to = |browser: &mut Browser, wanted: &str| {
        for _ in 0..200 {
            browser.key(&tab, "Tab");
            if browser.evaluate(&tab, FOCUS)["name"].as_str().is_some_and(|name| name.contains(wanted)) {
                return;
            }
        }
        panic!("no stop is called {wanted}");
    };
    let pressed = |browser: &mut Browser| {
        browser.evaluate(&tab, "window.before = true");
        browser.key(&tab, "Enter");
        browser.until(&tab, "the answer", "!window.before && document.readyState === 'complete'");
    };
    let label = browser.evaluate(&tab, "document.querySelector('label[for=confirm]').textContent");
    assert_eq!(label, "This is destructive. Type checkout to confirm");
    to(&mut browser, "confirm");
    browser.write(&tab, "chekout");
    to(&mut browser, "Approve: change checkout in production");
    pressed(&mut browser);
    browser.reads(&tab, "The name that was typed is not checkout");
    to(&mut browser, "confirm");
    browser.evaluate(&tab, "document.activeElement.select()");
    browser.write(&tab, "checkout");
    to(&mut browser, "comment");
    browser.write(&tab, "the flood");
    to(&mut browser, "Approve: change checkout in production");
    pressed(&mut browser);
    browser.reads(&tab, "approved by ada: the flood");
}
