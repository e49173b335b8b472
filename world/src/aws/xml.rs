//! The little XML that the services of AWS speak: elements and text; attributes say nothing here.

use serde::{Deserialize, Serialize};
use xmlparser::{ElementEnd, Token, Tokenizer};

/// Nothing that these services are sent nests deeper.
const MAX_DEPTH: usize = 32;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Element {
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Element>,
}

impl Element {
    pub fn new(name: &str, children: impl IntoIterator<Item = Self>) -> Self {
        Self { name: name.to_owned(), text: String::new(), children: children.into_iter().collect() }
    }

    pub fn leaf(name: &str, text: impl ToString) -> Self {
        Self { name: name.to_owned(), text: text.to_string(), children: Vec::new() }
    }

    pub fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    pub fn text_of(&self, name: &str) -> &str {
        self.child(name).map(|child| child.text.as_str()).unwrap_or_default()
    }

    /// As a document.
    pub fn document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        out.push('>');
        for letter in self.text.chars() {
            match letter {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                other => out.push(other),
            }
        }
        for child in &self.children {
            child.write(out);
        }
        out.push_str("</");
        out.push_str(&self.name);
        out.push('>');
    }

    /// Reads a document; nothing where it is none, or nests too deeply.
    pub fn parse(text: &str) -> Option<Self> {
        let mut open: Vec<Self> = Vec::new();
        for token in Tokenizer::from(text) {
            match token.ok()? {
                Token::ElementStart { local, .. } if open.len() < MAX_DEPTH => {
                    open.push(Self::leaf(local.as_str(), ""));
                }
                Token::ElementStart { .. } => return None,
                Token::ElementEnd { end: ElementEnd::Open, .. } => {}
                Token::ElementEnd { end, .. } => {
                    let mut done = open.pop()?;
                    if matches!(end, ElementEnd::Close(_, local) if local.as_str() != done.name) {
                        return None;
                    }
                    if !done.children.is_empty() {
                        // What stands between elements is layout.
                        done.text.clear();
                    }
                    match open.last_mut() {
                        Some(parent) => parent.children.push(done),
                        None => return Some(done),
                    }
                }
                Token::Text { text } => open.last_mut()?.text.push_str(&unescaped(text.as_str())?),
                Token::Cdata { text, .. } => open.last_mut()?.text.push_str(text.as_str()),
                _ => {}
            }
        }
        None
    }
}

fn unescaped(text: &str) -> Option<String> {
    let mut parts = text.split('&');
    let mut out = parts.next()?.to_owned();
    for part in parts {
        let (entity, rest) = part.split_once(';')?;
        out.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => {
                let number = entity.strip_prefix('#')?;
                let code = match number.strip_prefix('x') {
                    Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16).ok()?,
                    None => number.parse().ok()?,
                };
                char::from_u32(code)?
            }
        });
        out.push_str(rest);
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let written = Element::new(
            "Batch",
            [
                Element::leaf("Comment", "a < b && \"c\""),
                Element::new("Changes", [Element::leaf("Name", "x")]),
            ],
        );
        assert_eq!(Element::parse(&written.document()), Some(written));
    }

    #[test]
    fn layout_attributes_and_escapes_are_understood() {
        let text = "<?xml version=\"1.0\"?>\n<a xmlns=\"urn:x\">\n  <b>1 &lt; &#50; &#x33;</b>\n  <c/>\n</a>";
        let expected = Element::new("a", [Element::leaf("b", "1 < 2 3"), Element::leaf("c", "")]);
        assert_eq!(Element::parse(text), Some(expected));
    }

    #[test]
    fn what_is_no_document_is_nothing() {
        let deep = "<a>".repeat(MAX_DEPTH + 1) + &"</a>".repeat(MAX_DEPTH + 1);
        for wrong in ["", "x", "<a>", "<a></b>", "<a>&nope;</a>", "<a>&#xffffffff;</a>", "</a>", &deep] {
            assert_eq!(Element::parse(wrong), None, "{wrong}");
        }
    }
}
