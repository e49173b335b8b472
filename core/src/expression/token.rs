//! The tokens of an expression: minijinja's, in a subset on which both agree.

use std::ops::Range;

use super::ExpressionError;

/// How deep brackets may nest.
const MAX_NESTING: usize = 16;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Name,
    Number,
    Text,
    Punctuation,
}

/// One token and where it stands, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Token<'a> {
    pub kind: Kind,
    pub text: &'a str,
    pub at: usize,
}

impl Token<'_> {
    pub fn end(&self) -> usize {
        self.at + self.text.len()
    }
    pub fn span(&self) -> Range<usize> {
        self.at..self.end()
    }
    pub fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
    pub fn is_keyword(&self) -> bool {
        self.kind == Kind::Name && (self.is_operator_word() || CONSTANTS.contains(&self.text))
    }
    pub fn is_operator_word(&self) -> bool {
        self.kind == Kind::Name && OPERATOR_WORDS.contains(&self.text)
    }
    /// Whether a value ends with this token.
    pub fn ends_operand(&self) -> bool {
        match self.kind {
            Kind::Text | Kind::Number => true,
            Kind::Name => !self.is_operator_word(),
            Kind::Punctuation => matches!(self.text, ")" | "]" | "}"),
        }
    }
    /// A text without escapes, which names a field as well as `.name` does.
    pub fn is_plain_text(&self) -> bool {
        self.kind == Kind::Text && self.text.len() > 2 && !self.text.contains('\\')
    }
}

const OPERATOR_WORDS: [&str; 7] = ["and", "or", "not", "in", "is", "if", "else"];
const CONSTANTS: [&str; 6] = ["true", "false", "none", "True", "False", "None"];
/// Where the expression that starts `text` ends: the offset of the `}}` that belongs to it.
pub fn end_of_template_expression(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'}' if depth == 0 && bytes.get(at + 1) == Some(&b'}') => return Some(at),
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => depth = depth.saturating_sub(1),
            b'"' | b'\'' => at = end_of_text(bytes, at)?.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    None
}

/// The offset after the closing quote of the text that opens at `at`.
fn end_of_text(bytes: &[u8], at: usize) -> Option<usize> {
    let quote = *bytes.get(at)?;
    let mut next = at + 1;
    loop {
        match *bytes.get(next)? {
            b'\\' => next += 2,
            byte if byte == quote => return Some(next + 1),
            _ => next += 1,
        }
    }
}

/// Takes an expression apart.
pub fn tokens(source: &str) -> Result<Vec<Token<'_>>, ExpressionError> {
    let bytes = source.as_bytes();
    let mut tokens: Vec<Token<'_>> = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let (kind, end) = match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b'\x0C' => {
                at += 1;
                continue;
            }
            b'"' | b'\'' => {
                let end = end_of_text(bytes, at).filter(|end| *end <= source.len());
                (
                    Kind::Text,
                    end.ok_or_else(|| error_at(source, at..source.len(), "this text is not closed"))?,
                )
            }
            b'0'..=b'9' => (Kind::Number, end_of_number(source, at)?),
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => (Kind::Name, end_of_name(bytes, at)),
            _ => (Kind::Punctuation, end_of_punctuation(source, at)?),
        };
        let text = source.get(at..end).unwrap_or_default();
        tokens.push(Token { kind, text, at });
        at = end;
    }
    Ok(tokens)
}

fn end_of_name(bytes: &[u8], at: usize) -> usize {
    let length = bytes.iter().skip(at).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
    at + length
}

/// A subset of the numbers that minijinja reads, so that both always agree where one ends.
fn end_of_number(source: &str, start: usize) -> Result<usize, ExpressionError> {
    let bytes = source.as_bytes();
    let digits = |at: usize| at + bytes.iter().skip(at).take_while(|b| b.is_ascii_digit()).count();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut end = digits(start);
    // `items.0.name`: right after a dot a number is an index and has no fraction.
    let is_index = start > 0 && bytes.get(start - 1) == Some(&b'.');
    if !is_index {
        if bytes.get(end) == Some(&b'.') && is_digit(end + 1) {
            end = digits(end + 1);
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            if is_digit(end + 1 + sign) {
                end = digits(end + 1 + sign);
            }
        }
    }
    let runs_on = bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if runs_on {
        let rest = end_of_name(bytes, end);
        return Err(error_at(source, start..rest, "this is not a number")
            .hint("lengths of time are written duration(\"5m\"), sizes size(\"2Gi\")"));
    }
    Ok(end)
}

fn end_of_punctuation(source: &str, at: usize) -> Result<usize, ExpressionError> {
    let rest = source.get(at..).unwrap_or_default();
    if rest.starts_with("${{") {
        return Err(error_at(source, at..at + 3, "an expression stands inside an expression")
            .hint("`when`, `expect` and `until` are expressions already: leave `${{` and `}}` out"));
    }
    for (wrong, right) in [("&&", "and"), ("||", "or"), ("===", "=="), ("=~", "a test or filter")] {
        if rest.starts_with(wrong) {
            return Err(error_at(source, at..at + wrong.len(), format!("there is no operator `{wrong}`"))
                .hint(format!("write `{right}`")));
        }
    }
    if ["//", "**", "==", "!=", ">=", "<="].iter().any(|operator| rest.starts_with(operator)) {
        return Ok(at + 2);
    }
    match rest.chars().next() {
        Some(c) if "+-*/%.,:~|=><()[]{}".contains(c) => Ok(at + 1),
        Some('!') => {
            Err(error_at(source, at..at + 1, "there is no operator `!`").hint("write `not` in front"))
        }
        Some(c) => Err(error_at(source, at..at + c.len_utf8(), format!("`{c}` means nothing here"))),
        None => Ok(at),
    }
}

/// For every opening bracket, the index of the one that closes it (else 0).
pub fn pair_brackets(source: &str, tokens: &[Token<'_>]) -> Result<Vec<usize>, ExpressionError> {
    let mut closes = vec![0; tokens.len()];
    let mut open: Vec<(usize, &str)> = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Punctuation) {
        match token.text {
            "(" => open.push((index, ")")),
            "[" => open.push((index, "]")),
            "{" => open.push((index, "}")),
            ")" | "]" | "}" => match open.pop() {
                Some((opened, expected)) if expected == token.text => closes[opened] = index,
                _ => {
                    let message = format!("this `{}` closes nothing", token.text);
                    return Err(error_at(source, token.span(), message));
                }
            },
            _ => {}
        }
        if open.len() > MAX_NESTING {
            return Err(error_at(source, token.span(), format!("brackets nest deeper than {MAX_NESTING}")));
        }
    }
    match open.pop() {
        Some((index, expected)) => {
            let token = &tokens[index];
            Err(error_at(source, token.span(), format!("this `{}` is not closed", token.text))
                .hint(format!("a `{expected}` is missing")))
        }
        None => Ok(closes),
    }
}

pub fn error_at(source: &str, span: Range<usize>, message: impl Into<String>) -> ExpressionError {
    ExpressionError::new(source, message).at(span)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_template_expression_is_not_inside_a_text_or_a_bracket() {
        for (text, end) in [
            (" a }} b", Some(3)),
            ("'}}' }}", Some(5)),
            ("{'a': {'b': 1}} }}", Some(16)),
            ("\"\\\"}}\"}}", Some(6)),
            ("a }", None),
            ("'a }}", None),
        ] {
            assert_eq!(end_of_template_expression(text), end, "{text}");
        }
    }
}
