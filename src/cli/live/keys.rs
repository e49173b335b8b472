//! Keys one by one, and only while a question is open: a terminal that is left in the middle of a
//! run is as it was. What was typed before the question appeared answers nothing.

use std::{io, time::Duration};

use crossterm::{
    event::{self, Event, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    terminal,
};
use futures::StreamExt as _;

/// The longest line that is taken.
const LONGEST: usize = 2000;

/// What was done with a key.
#[derive(Debug, PartialEq, Eq)]
pub enum Typed {
    /// The line changed.
    Text,
    Line(String),
    Interrupt,
    /// The person is done with typing: the question stays open for others.
    End,
    Nothing,
}

/// The terminal in its raw mode. Dropping it restores it.
#[derive(Debug)]
pub struct Keys {
    events: EventStream,
    line: String,
}

impl Keys {
    pub fn open() -> io::Result<Self> {
        terminal::enable_raw_mode()?;
        let keys = Self { events: EventStream::new(), line: String::new() };
        while event::poll(Duration::ZERO)? {
            event::read()?;
        }
        Ok(keys)
    }

    /// What is typed so far.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The next key and what it did. A terminal that is gone ends the typing.
    pub async fn next(&mut self) -> Typed {
        match self.events.next().await {
            Some(Ok(Event::Key(key))) if key.kind != KeyEventKind::Release => press(&mut self.line, key),
            Some(Ok(_)) => Typed::Text,
            Some(Err(_)) | None => Typed::End,
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        // There is nobody to tell, and nothing else to do.
        let _ = terminal::disable_raw_mode();
    }
}

fn press(line: &mut String, key: KeyEvent) -> Typed {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c') if control => Typed::Interrupt,
        KeyCode::Char('d') if control && line.is_empty() => Typed::End,
        KeyCode::Char('u') if control => {
            line.clear();
            Typed::Text
        }
        KeyCode::Char('w') if control => {
            let kept = line.trim_end().rfind(char::is_whitespace).map_or(0, |at| at + 1);
            line.truncate(kept);
            Typed::Text
        }
        KeyCode::Char(_) if control => Typed::Nothing,
        KeyCode::Char(typed) if line.len() < LONGEST && !typed.is_control() => {
            line.push(typed);
            Typed::Text
        }
        KeyCode::Backspace => {
            line.pop();
            Typed::Text
        }
        KeyCode::Enter => Typed::Line(std::mem::take(line)),
        _ => Typed::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_make_a_line() {
        let mut line = String::new();
        let plain = |code| KeyEvent::new(code, KeyModifiers::NONE);
        let control = |character| KeyEvent::new(KeyCode::Char(character), KeyModifiers::CONTROL);
        for character in "yes plese".chars() {
            assert_eq!(press(&mut line, plain(KeyCode::Char(character))), Typed::Text);
        }
        assert_eq!(press(&mut line, control('w')), Typed::Text);
        assert_eq!(line, "yes ");
        assert_eq!(press(&mut line, plain(KeyCode::Backspace)), Typed::Text);
        assert_eq!(press(&mut line, control('d')), Typed::Nothing);
        assert_eq!(press(&mut line, plain(KeyCode::Up)), Typed::Nothing);
        assert_eq!(press(&mut line, plain(KeyCode::Enter)), Typed::Line("yes".to_owned()));
        assert_eq!(press(&mut line, control('d')), Typed::End);
        assert_eq!(press(&mut line, control('c')), Typed::Interrupt);
        line.push_str(&"x".repeat(LONGEST));
        assert_eq!(press(&mut line, plain(KeyCode::Char('x'))), Typed::Nothing);
    }
}
