//! "Did you mean …?"

/// The candidate that a mistyped word most likely stands for, if any is near enough.
pub fn closest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Long texts are no typing errors, and comparing them is quadratic.
    if word.len() > 64 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= 64)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

/// The words as a list for people: the first of them, where there are many.
pub fn list<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 12;
    let mut words: Vec<&str> = words.into_iter().collect();
    let more = words.len().saturating_sub(SHOWN);
    words.truncate(SHOWN);
    let listed: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    match more {
        0 => listed.join(", "),
        more => format!("{} and {more} more", listed.join(", ")),
    }
}

/// How many letters must be changed, added, dropped or swapped with their neighbour; a difference
/// in case or between `-` and `_` counts for nothing.
fn distance(one: &str, other: &str) -> usize {
    let fold = |text: &str| -> Vec<char> {
        text.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
    };
    let (one, other) = (fold(one), fold(other));
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let change = last[j] + usize::from(a != b);
            let mut least = change.min(last[j + 1] + 1).min(row[j] + 1);
            let swapped = i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b;
            if swapped {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        let known = ["rollout_undo", "rollout_restart", "scale", "max_parallel"];
        for (word, expected) in [
            ("rollout_udno", Some("rollout_undo")),
            ("rollout-undo", Some("rollout_undo")),
            ("Scale", Some("scale")),
            ("scael", Some("scale")),
            ("max_paralel", Some("max_parallel")),
            ("delete", None),
            ("", None),
        ] {
            assert_eq!(closest(word, known), expected, "{word}");
        }
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(list(["a", "b"]), "`a`, `b`");
        let many: Vec<String> = (0..20).map(|n| n.to_string()).collect();
        assert!(list(many.iter().map(String::as_str)).ends_with("and 8 more"));
    }
}
