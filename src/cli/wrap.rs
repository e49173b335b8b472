//! Text for a terminal that is narrower than its lines: broken between words, and what goes on below
//! stands under where its text began.

use unicode_width::UnicodeWidthChar as _;

/// Narrower than this, breaking between words leaves too little on a line.
const NARROWEST: usize = 40;

/// Breaks the lines of a text that are wider than a terminal.
pub fn wrap(text: &str, columns: usize) -> String {
    if columns < NARROWEST {
        return text.to_owned();
    }
    let lines: Vec<String> = text.split('\n').map(|line| one(line, columns)).collect();
    lines.join("\n")
}

fn one(line: &str, columns: usize) -> String {
    if width(line) <= columns {
        return line.to_owned();
    }
    let indent = beginning(line).min(columns / 2);
    let (mut done, mut rest, mut room) = (String::new(), line, columns);
    while width(rest) > room {
        // What cannot be broken is left to the terminal.
        let Some(at) = last_space(rest, room, done.is_empty().then_some(indent)) else { break };
        done.push_str(rest[..at].trim_end());
        done.push('\n');
        done.push_str(&" ".repeat(indent));
        rest = rest[at..].trim_start();
        room = columns - indent;
    }
    done + rest
}

/// Where the text of a line begins: behind a label that two spaces part from it, else a little further
/// in than the line.
fn beginning(line: &str) -> usize {
    let plain: Vec<char> = seen(line).map(|(_, character)| character).collect();
    let start = plain.iter().take_while(|character| **character == ' ').count();
    let gap = (start..plain.len().saturating_sub(1)).find(|at| plain[*at] == ' ' && plain[*at + 1] == ' ');
    gap.map_or(start + 2, |gap| {
        let spaces = plain[gap..].iter().take_while(|character| **character == ' ').count();
        gap + spaces
    })
}

/// The byte of the last space at which a line may be broken so that what is before it fits.
fn last_space(line: &str, room: usize, after: Option<usize>) -> Option<usize> {
    let (mut used, mut found) = (0, None);
    for (at, character) in seen(line) {
        if character == ' ' && used > after.unwrap_or(0) {
            found = Some(at);
        }
        used += character.width().unwrap_or(0);
        if used > room {
            break;
        }
    }
    found
}

fn width(line: &str) -> usize {
    seen(line).map(|(_, character)| character.width().unwrap_or(0)).sum()
}

/// The characters that are seen, with where they are: the codes of colours are not.
fn seen(line: &str) -> impl Iterator<Item = (usize, char)> {
    let mut in_code = false;
    line.char_indices().filter(move |(_, character)| {
        let hidden = in_code || *character == '\u{1b}';
        in_code = hidden && *character != 'm';
        !hidden
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_under_where_their_text_began() {
        let words = "one two three four five six seven eight nine";
        for (line, expected) in [
            ("short", "short".to_owned()),
            (words, "one two three four five six seven eight\n  nine".to_owned()),
            (
                &format!("  label   {words}"),
                "  label   one two three four five six\n          seven eight nine".to_owned(),
            ),
            (
                &format!("  \u{1b}[2mlabel \u{1b}[0m  \u{1b}[1m{words}\u{1b}[0m"),
                "  \u{1b}[2mlabel \u{1b}[0m  \u{1b}[1mone two three four five six\n          seven eight nine\u{1b}[0m"
                    .to_owned(),
            ),
            (&"x".repeat(60), "x".repeat(60)),
            (&format!("  label   {}", "x".repeat(60)), format!("  label   {}", "x".repeat(60))),
            (&format!("{words}\n{words}"), [one(words, 40), one(words, 40)].join("\n")),
        ] {
            assert_eq!(wrap(line, 40), expected, "{line}");
        }
        assert_eq!(wrap(words, 39), words, "too narrow to be worth it");
    }
}
