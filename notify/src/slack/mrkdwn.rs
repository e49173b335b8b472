//! Slack's markup, in which nothing that comes from outside means anything.

use crate::text::{fit_as, fit_lines, length};

/// A text as Slack shows it: `&`, `<` and `>` are all that it gives a meaning beyond looks, so that
/// no alert can mention a channel or hide a link. At most `most` units, written out.
pub(crate) fn plain(text: &str, most: usize) -> String {
    fit_as(text, most, escape)
}

fn escape(letter: char, out: &mut String) {
    match letter {
        '&' => out.push_str("&amp;"),
        '<' => out.push_str("&lt;"),
        '>' => out.push_str("&gt;"),
        // In a block of code three of them would end it.
        '`' => out.push('ˋ'),
        _ => out.push(letter),
    }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    text.chars().for_each(|letter| escape(letter, &mut out));
    out
}

/// Lines as a block of code; a mark says how many more there are. At most `most` units.
pub(crate) fn code(text: &str, most: usize) -> String {
    const FENCES: usize = 8;
    const MARK: usize = 32;
    let room = most.saturating_sub(FENCES + MARK);
    let (lines, more) = fit_lines(text, room, |line| length(&escaped(line)));
    let mut body: Vec<String> = lines.into_iter().map(escaped).collect();
    match (body.is_empty(), more) {
        (_, 0) => {}
        // One line that is longer than all there is room for.
        (true, _) => body.push(plain(text.lines().next().unwrap_or_default(), room)),
        (false, 1) => body.push("… 1 more line".to_owned()),
        (false, more) => body.push(format!("… {more} more lines")),
    }
    format!("```\n{}\n```", body.join("\n"))
}

/// A link, where Slack takes one that long.
pub(crate) fn link(url: &str, label: &str) -> String {
    let mut target = String::with_capacity(url.len());
    for letter in url.chars() {
        match letter {
            '|' => target.push_str("%7C"),
            other => escape(other, &mut target),
        }
    }
    format!("<{target}|{}>", escaped(label))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nothing_from_outside_has_a_meaning() {
        assert_eq!(plain("<!channel> & `x`", 100), "&lt;!channel&gt; &amp; ˋxˋ");
        assert_eq!(plain("<<<", 8), "&lt;…");
        assert_eq!(code("- a\n```\n+ <b>", 100), "```\n- a\nˋˋˋ\n+ &lt;b&gt;\n```");
        assert_eq!(code("1\n2\n3\n4\n5", 45), "```\n1\n2\n… 3 more lines\n```");
        assert_eq!(link("https://x/?a=1&b=|", "a>b"), "<https://x/?a=1&amp;b=%7C|a&gt;b>");
    }

    proptest! {
        #[test]
        fn a_block_of_code_is_one_and_fits(text in "[a-c`<&\n😀]{0,400}", most in 48_usize..200) {
            let code = code(&text, most);
            prop_assert!(length(&code) <= most, "{} > {most}", length(&code));
            prop_assert_eq!(code.matches("```").count(), 2);
        }
    }
}
