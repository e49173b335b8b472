//! What hands do: press, type, tap.

use serde_json::{Value, json};

use crate::{Browser, Tab};

impl Browser {
    /// Presses the first button or link of that name, and waits until another page has loaded.
    pub fn press(&mut self, tab: &Tab, name: &str) {
        let found = format!(
            "[...document.querySelectorAll('button, a')].find(it => (it.innerText || '').trim().toLowerCase() === {})",
            json!(name.to_lowercase()),
        );
        self.until(tab, name, &format!("!!{found}"));
        self.evaluate(tab, "window.before = true");
        self.tap(tab, &found);
        self.next_page(tab);
    }

    /// Does something that leads to another page, and waits until that has loaded.
    pub fn act(&mut self, tab: &Tab, script: &str) {
        self.evaluate(tab, "window.before = true");
        self.evaluate(tab, script);
        self.next_page(tab);
    }

    /// Touches what a script finds, in its middle, as it lies on the screen.
    pub fn tap(&mut self, tab: &Tab, found: &str) {
        let place = self.evaluate(
            tab,
            &format!(
                "(() => {{ const it = {found}; it.scrollIntoView({{ block: 'center', behavior: 'instant' }});
                   const box = it.getBoundingClientRect();
                   return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
            ),
        );
        for kind in ["mousePressed", "mouseReleased"] {
            let params =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.ask(Some(tab), "Input.dispatchMouseEvent", params);
        }
    }

    /// Fills a field.
    pub fn fill(&mut self, tab: &Tab, selector: &str, text: &str) {
        let found = format!("document.querySelector({})", json!(selector));
        self.until(tab, selector, &format!("!!{found}"));
        self.evaluate(tab, &format!("{found}.focus(); {found}.select && {found}.select()"));
        self.write(tab, text);
    }

    /// Writes into the field that has the focus.
    pub fn write(&mut self, tab: &Tab, text: &str) {
        self.ask(Some(tab), "Input.insertText", json!({ "text": text }));
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`, a letter.
    pub fn key(&mut self, tab: &Tab, key: &str) {
        let (code, number, text): (String, u32, Option<&str>) = match key {
            "Tab" => ("Tab".to_owned(), 9, None),
            "Enter" => ("Enter".to_owned(), 13, Some("\r")),
            "Escape" => ("Escape".to_owned(), 27, None),
            letter => {
                let first = letter.chars().next().unwrap_or(' ');
                let upper = first.to_ascii_uppercase();
                (format!("Key{upper}"), u32::from(upper), Some(letter))
            }
        };
        let press = |kind: &str| -> Value {
            let mut press =
                json!({ "type": kind, "key": key, "code": code, "windowsVirtualKeyCode": number });
            if let (Some(text), "keyDown") = (text, kind) {
                press["text"] = Value::from(text);
            }
            press
        };
        for kind in ["keyDown", "keyUp"] {
            self.ask(Some(tab), "Input.dispatchKeyEvent", press(kind));
        }
    }
}
