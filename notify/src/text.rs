//! Texts cut to what receivers take. Slack and PagerDuty count characters without saying which;
//! UTF-16 units are never fewer than what any of them counts, so that is what is counted here.

/// How long a text is.
pub(crate) fn length(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text of `most` units at most, with `…` for the rest.
pub(crate) fn fit(text: &str, most: usize) -> String {
    fit_as(text, most, |letter, out| out.push(letter))
}

/// The same on one line.
pub(crate) fn fit_line(text: &str, most: usize) -> String {
    fit(&text.split_whitespace().collect::<Vec<_>>().join(" "), most)
}

/// The same, each character written in its own way; none is written in part.
pub(crate) fn fit_as(text: &str, most: usize, write: impl Fn(char, &mut String)) -> String {
    let mut out = String::new();
    let mut used = 0;
    // How much of what is written can stand with the mark behind it.
    let mut kept = 0;
    for letter in text.chars() {
        let before = out.len();
        write(letter, &mut out);
        used += length(&out[before..]);
        if used > most {
            out.truncate(kept);
            if most > 0 {
                out.push('…');
            }
            return out;
        }
        if used < most {
            kept = out.len();
        }
    }
    out
}

/// The first lines of a text that fit, and how many do not.
pub(crate) fn fit_lines(text: &str, most: usize, width: impl Fn(&str) -> usize) -> (Vec<&str>, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let mut used = 0;
    let mut fitting = 0;
    for line in &lines {
        used += width(line) + 1;
        if used > most {
            break;
        }
        fitting += 1;
    }
    let more = lines.len() - fitting;
    (lines.into_iter().take(fitting).collect(), more)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        for (text, most, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("😀😀", 4, "😀😀"),
            ("😀😀", 3, "😀…"),
            ("😀", 1, "…"),
            ("a", 0, ""),
            ("", 0, ""),
        ] {
            assert_eq!(fit(text, most), expected);
        }
        assert_eq!(fit_line(" a\n b\tc ", 4), "a b…");
        assert_eq!(fit_lines("a\nbb\nccc", 5, length), (vec!["a", "bb"], 1));
    }

    proptest! {
        #[test]
        fn nothing_is_longer_than_allowed(text in "\\PC*", most in 0_usize..64) {
            prop_assert!(length(&fit(&text, most)) <= most);
            let escaped = fit_as(&text, most, |letter, out| {
                if letter == '&' { out.push_str("&amp;") } else { out.push(letter) }
            });
            prop_assert!(length(&escaped) <= most);
        }
    }
}
