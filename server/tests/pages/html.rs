//! Whether a page is well made: balanced tags, ids that are there once, labels, headings in order, and
//! nothing inline that the content policy forbids.

use std::collections::{BTreeMap, BTreeSet};

const VOID: [&str; 6] = ["meta", "link", "input", "img", "br", "hr"];

struct Tag {
    name: String,
    attributes: BTreeMap<String, String>,
}

/// What is wrong with a page; nothing where all is well.
pub fn faults(html: &str) -> Vec<String> {
    let mut faults = Vec::new();
    let (mut open, mut tags): (Vec<String>, Vec<Tag>) = (Vec::new(), Vec::new());
    let mut rest = html.strip_prefix("<!DOCTYPE html>").unwrap_or_else(|| {
        faults.push("no doctype".to_owned());
        html
    });
    while let Some(start) = rest.find('<') {
        let Some(end) = end_of_tag(&rest[start..]) else {
            faults.push(format!("a tag without an end: {:.40}", &rest[start..]));
            break;
        };
        let inner = &rest[start + 1..start + end];
        rest = &rest[start + end + 1..];
        match inner.strip_prefix('/') {
            Some(name) if open.last().is_some_and(|last| last == name) => drop(open.pop()),
            Some(name) => faults.push(format!("</{name}> closes {:?}", open.last())),
            None => {
                let tag = parsed(inner);
                if !VOID.contains(&tag.name.as_str()) {
                    open.push(tag.name.clone());
                }
                tags.push(tag);
            }
        }
    }
    if !open.is_empty() {
        faults.push(format!("left open: {open:?}"));
    }
    faults.extend(references(&tags));
    faults.extend(policy(&tags));
    faults.extend(headings(&tags));
    faults
}

/// Where a tag ends; a `>` within quotes does not end it.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(place, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(place)
    })
}

fn parsed(inner: &str) -> Tag {
    let (name, mut rest) = inner.split_once(' ').unwrap_or((inner, ""));
    let mut attributes = BTreeMap::new();
    while !rest.trim().is_empty() {
        rest = rest.trim_start();
        let end = rest.find(['=', ' ']).unwrap_or(rest.len());
        let key = rest[..end].to_owned();
        rest = &rest[end..];
        let value = match rest.strip_prefix("=\"").and_then(|rest| rest.split_once('"')) {
            Some((value, after)) => {
                rest = after;
                value.to_owned()
            }
            None => String::new(),
        };
        attributes.insert(key, value);
    }
    Tag { name: name.to_owned(), attributes }
}

fn references(tags: &[Tag]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut ids = BTreeSet::new();
    for id in tags.iter().filter_map(|tag| tag.attributes.get("id")) {
        if !ids.insert(id.as_str()) {
            faults.push(format!("the id {id} is there twice"));
        }
    }
    let labelled: BTreeSet<&str> =
        tags.iter().filter_map(|tag| tag.attributes.get("for")).map(String::as_str).collect();
    for tag in tags {
        for key in ["for", "aria-labelledby", "aria-describedby"] {
            if let Some(id) = tag.attributes.get(key)
                && !ids.contains(id.as_str())
            {
                faults.push(format!("{key}={id} leads nowhere"));
            }
        }
        let kind = tag.attributes.get("type").map_or("text", String::as_str);
        let is_field = matches!(tag.name.as_str(), "select" | "textarea")
            || (tag.name == "input" && !matches!(kind, "hidden" | "radio"));
        if is_field && tag.attributes.get("id").is_none_or(|id| !labelled.contains(id.as_str())) {
            faults.push(format!("the field {:?} has no label", tag.attributes));
        }
        if tag.name == "img" && !tag.attributes.contains_key("alt") {
            faults.push("a picture without a text".to_owned());
        }
    }
    faults
}

fn policy(tags: &[Tag]) -> Vec<String> {
    let mut faults = Vec::new();
    for tag in tags {
        for (key, value) in &tag.attributes {
            if key == "style" || key.starts_with("on") {
                faults.push(format!("{key} on {} stands inline", tag.name));
            }
            if matches!(key.as_str(), "href" | "action" | "src" | "formaction")
                && value.starts_with("javascript")
            {
                faults.push(format!("{key}={value} is a script"));
            }
        }
        if tag.name == "style" || (tag.name == "script" && !tag.attributes.contains_key("src")) {
            faults.push(format!("{} stands inline", tag.name));
        }
    }
    faults
}

fn headings(tags: &[Tag]) -> Vec<String> {
    let levels: Vec<usize> = tags
        .iter()
        .filter_map(|tag| match tag.name.as_str() {
            "h1" => Some(1),
            "h2" => Some(2),
            "h3" => Some(3),
            _ => None,
        })
        .collect();
    let mut faults = Vec::new();
    if levels.iter().filter(|level| **level == 1).count() != 1 || levels.first() != Some(&1) {
        faults.push(format!("there is not one first heading: {levels:?}"));
    }
    if levels.windows(2).any(|pair| pair[1] > pair[0] + 1) {
        faults.push(format!("a level of headings is left out: {levels:?}"));
    }
    faults
}

#[test]
fn a_poor_page_is_found_out() {
    for (html, fault) in [
        ("<!DOCTYPE html><h1>a</h1><p>", "left open"),
        ("<!DOCTYPE html><h1>a</h1><b></i></b>", "closes"),
        ("<!DOCTYPE html><h1>a</h1><h3>b</h3>", "left out"),
        ("<!DOCTYPE html><h1>a</h1><input name=\"x\">", "no label"),
        ("<!DOCTYPE html><h1>a</h1><p style=\"x\"></p>", "inline"),
        ("<!DOCTYPE html><h1>a</h1><script>x</script>", "inline"),
        ("<!DOCTYPE html><h1 id=\"a\">a</h1><p id=\"a\"></p>", "twice"),
    ] {
        assert!(faults(html).iter().any(|found| found.contains(fault)), "{html}: {:?}", faults(html));
    }
    assert_eq!(faults("<!DOCTYPE html><h1 title=\"a > b\">a</h1>"), Vec::<String>::new());
}
