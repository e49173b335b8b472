//! The tokens of an expression, read before minijinja sees it. This pass finds the names that an
//! expression refers to, bounds how complicated it may be (minijinja's compiler recurses once per
//! operator), and marks the operands that must turn out to be numbers.

use std::ops::Range;

use super::{
    ExpressionError, environment,
    token::{Kind, Token, error_at, pair_brackets, tokens},
};
use crate::suggest;

/// The longest expression, in bytes.
pub const MAX_SOURCE: usize = 1024;
/// How many operators one expression may hold: with these, the deepest tree that can be written
/// compiles in a small part of the smallest stack we run on.
const MAX_OPERATORS: usize = 128;

/// What was found in one expression.
#[derive(Debug, Default)]
pub struct Scan {
    pub references: Vec<Reference>,
    /// Text to put in at a byte offset, in ascending order.
    insertions: Vec<(usize, &'static str)>,
    /// Where `and` and `or` stand outside all brackets, with no `if` beside them.
    pub joints: Vec<(Range<usize>, Joint)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joint {
    And,
    Or,
}

/// A name that an expression refers to, such as `steps.history.passed`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub path: Vec<String>,
    /// Where each part of the path stands.
    pub spans: Vec<Range<usize>>,
    /// Whether something is done with the value at once: a filter, a test, a subscript that is
    /// worked out.
    pub applied: bool,
    /// Whether the expression itself says what holds where there is no such value: a default, or
    /// a test whether it is defined.
    pub guarded: bool,
    /// Whether the next token is a minus without a space before it: `steps.roll-back`.
    pub dashed: bool,
}

impl Reference {
    pub fn span(&self) -> Range<usize> {
        let start = self.spans.first().map_or(0, |span| span.start);
        start..self.spans.last().map_or(start, |span| span.end)
    }
}

impl Scan {
    /// The expression as minijinja gets it: operands of `*` and of the four orderings go through
    /// a filter that insists on numbers (minijinja would order null before every number, and
    /// repeat a text a hundred million times), and functions have names that no output can take.
    pub fn guarded(&self, source: &str) -> String {
        let mut out = String::with_capacity(source.len() + 16 * self.insertions.len());
        let mut from = 0;
        for (at, text) in &self.insertions {
            out.push_str(source.get(from..*at).unwrap_or_default());
            out.push_str(text);
            from = *at;
        }
        out.push_str(source.get(from..).unwrap_or_default());
        out
    }

    /// The offset in the source of an offset in the guarded text.
    pub fn unguarded(&self, offset: usize) -> usize {
        let mut shift = 0;
        for (at, text) in &self.insertions {
            if at + shift >= offset {
                break;
            }
            shift += text.len().min(offset - at - shift);
        }
        offset - shift
    }
}

/// The filter that insists on a number.
const NUMBER_GUARD: &str = "|_number";
/// What stands before the names of functions.
const FUNCTION_PREFIX: &str = "_";

/// Reads an expression.
pub fn scan(source: &str) -> Result<Scan, ExpressionError> {
    if source.len() > MAX_SOURCE {
        return Err(ExpressionError::new(source, format!("it is longer than {MAX_SOURCE} bytes"))
            .hint("work the parts out in steps of their own, or use a shorter expression"));
    }
    let tokens = tokens(source)?;
    if tokens.is_empty() {
        return Err(ExpressionError::new(source, "it is empty"));
    }
    let closes = pair_brackets(source, &tokens)?;
    bound(source, &tokens)?;
    Reader { source, tokens: &tokens, closes: &closes, found: Scan::default() }.read()
}

fn bound(source: &str, tokens: &[Token<'_>]) -> Result<(), ExpressionError> {
    let is_operator = |token: &&Token<'_>| match token.kind {
        Kind::Punctuation => !matches!(token.text, ")" | "]" | "}" | "," | ":"),
        _ => token.is_operator_word(),
    };
    match tokens.iter().filter(is_operator).nth(MAX_OPERATORS) {
        Some(token) => {
            let message = format!("it has more than {MAX_OPERATORS} operators");
            Err(error_at(source, token.span(), message).hint("work the parts out in steps of their own"))
        }
        None => Ok(()),
    }
}

/// One walk over the tokens.
struct Reader<'a> {
    source: &'a str,
    tokens: &'a [Token<'a>],
    closes: &'a [usize],
    found: Scan,
}

impl<'a> Reader<'a> {
    fn read(mut self) -> Result<Scan, ExpressionError> {
        let mut skip_until = 0;
        let mut test_name = None;
        for (index, token) in self.tokens.iter().enumerate() {
            if index < skip_until {
                continue;
            }
            match token.kind {
                Kind::Name if test_name == Some(index) => self.known(token, "test", environment::TESTS)?,
                Kind::Name if token.is("is") => {
                    let negated = self.token(index + 1).is_some_and(|t| t.is("not"));
                    test_name = Some(index + 1 + usize::from(negated));
                }
                Kind::Name if token.is_keyword() => {}
                Kind::Name if self.before(index).is_some_and(|t| t.is("|")) => {
                    self.known(token, "filter", environment::FILTERS)?;
                    self.refuse_dot_after_filter(index)?;
                }
                Kind::Name if self.before(index).is_some_and(|t| t.is(".")) => {}
                Kind::Name if self.token(index + 1).is_some_and(|t| t.is("=")) => {}
                Kind::Name if self.token(index + 1).is_some_and(|t| t.is("(")) => {
                    self.known(token, "function", environment::FUNCTIONS)?;
                    self.found.insertions.push((token.at, FUNCTION_PREFIX));
                }
                Kind::Name => skip_until = self.reference(index)?,
                Kind::Punctuation => self.punctuation(index, token)?,
                Kind::Number | Kind::Text => {}
            }
        }
        self.joints();
        self.found.insertions.sort_by_key(|(at, _)| *at);
        self.found.insertions.dedup();
        Ok(self.found)
    }

    fn token(&self, index: usize) -> Option<&'a Token<'a>> {
        self.tokens.get(index)
    }
    fn before(&self, index: usize) -> Option<&'a Token<'a>> {
        index.checked_sub(1).and_then(|index| self.tokens.get(index))
    }

    fn known(&self, token: &Token<'_>, what: &str, names: &[&str]) -> Result<(), ExpressionError> {
        if names.contains(&token.text) {
            return Ok(());
        }
        let error = error_at(self.source, token.span(), format!("there is no {what} `{}`", token.text));
        Err(match suggest::closest(token.text, names.iter().copied()) {
            Some(name) => error.hint(format!("did you mean `{name}`?")),
            None => error.hint(format!("known are {}", suggest::list(names.iter().copied()))),
        })
    }

    /// minijinja reads `list|first.name` as a filter called `first.name`.
    fn refuse_dot_after_filter(&self, index: usize) -> Result<(), ExpressionError> {
        match self.token(index + 1).filter(|token| token.is(".")) {
            Some(token) => Err(error_at(self.source, token.span(), "a filter's name ends before the dot")
                .hint("put what is filtered in brackets: `(list|first).name`")),
            None => Ok(()),
        }
    }

    /// Takes the path that starts at `index` and gives the index after it.
    fn reference(&mut self, index: usize) -> Result<usize, ExpressionError> {
        let first = &self.tokens[index];
        let (mut path, mut spans) = (vec![first.text.to_owned()], vec![first.span()]);
        let mut next = index + 1;
        while let Some(token) = self.token(next) {
            let Some(part) = self.token(next + 1) else { break };
            if token.is(".") && part.kind == Kind::Name {
                path.push(part.text.to_owned());
                spans.push(part.span());
                next += 2;
            } else if token.is("[") && self.closes[next] == next + 2 && part.is_plain_text() {
                path.push(part.text[1..part.text.len() - 1].to_owned());
                spans.push(part.span());
                next += 3;
            } else {
                break;
            }
        }
        let following = self.token(next);
        if let Some(token) = following.filter(|t| t.is("(")) {
            let method = path.pop().unwrap_or_default();
            return Err(error_at(self.source, token.span(), "values have no methods")
                .hint(format!("filters are written with a bar: `{}|{method}`", path.join("."))));
        }
        let last_end = self.tokens[next - 1].end();
        self.found.references.push(Reference {
            path,
            spans,
            applied: following.is_some_and(|t| matches!(t.text, "|" | "[" | ".") || t.is("is")),
            guarded: self.is_guard(next),
            dashed: following.is_some_and(|t| t.is("-") && t.at == last_end),
        });
        Ok(next)
    }

    fn is_guard(&self, index: usize) -> bool {
        let word = |index| self.token(index).map_or("", |token| token.text);
        match word(index) {
            "|" => matches!(word(index + 1), "default" | "d"),
            "is" if word(index + 1) == "not" => matches!(word(index + 2), "defined" | "undefined"),
            "is" => matches!(word(index + 1), "defined" | "undefined"),
            _ => false,
        }
    }

    fn punctuation(&mut self, index: usize, token: &Token<'_>) -> Result<(), ExpressionError> {
        match token.text {
            "*" | "<" | ">" | "<=" | ">=" => self.guard(index, token),
            "=" if !self.before(index).is_some_and(|t| t.kind == Kind::Name)
                || !self.before(index - 1).is_some_and(|t| t.is("(") || t.is(",")) =>
            {
                Err(error_at(self.source, token.span(), "`=` compares nothing").hint("write `==`"))
            }
            "**" if !self.before(index).is_some_and(Token::ends_operand) => {
                Err(error_at(self.source, token.span(), "arguments cannot be spread out here"))
            }
            "[" => self.refuse_steps(index),
            _ => Ok(()),
        }
    }

    /// minijinja works the length of a slice that steps backwards out wrongly.
    fn refuse_steps(&self, open: usize) -> Result<(), ExpressionError> {
        let close = self.closes[open];
        let (mut index, mut colons) = (open + 1, 0);
        while index < close {
            let token = &self.tokens[index];
            colons += usize::from(token.is(":"));
            if colons > 1 {
                return Err(error_at(self.source, token.span(), "a slice has no step here")
                    .hint("write `[from:to]`; `|reverse` turns a list round"));
            }
            index = self.after_group(index) + 1;
        }
        Ok(())
    }

    /// The index of the last token of the group that opens at `index`, else `index` itself.
    fn after_group(&self, index: usize) -> usize {
        self.closes.get(index).copied().filter(|close| *close > 0).unwrap_or(index)
    }

    fn guard(&mut self, index: usize, token: &Token<'_>) -> Result<(), ExpressionError> {
        let left = self.before(index).filter(|t| t.ends_operand());
        let right = self.end_of_operand(index + 1);
        let (Some(left), Some(right)) = (left, right) else {
            let message = format!("`{}` needs a value on both sides", token.text);
            return Err(error_at(self.source, token.span(), message));
        };
        self.found.insertions.push((left.end(), NUMBER_GUARD));
        self.found.insertions.push((right, NUMBER_GUARD));
        Ok(())
    }

    /// The offset after the operand that starts at `index`: a value with all that is applied to it.
    fn end_of_operand(&self, mut index: usize) -> Option<usize> {
        while self.token(index)?.is("-") {
            index += 1;
        }
        let first = self.token(index)?;
        let opens = matches!(first.text, "(" | "[" | "{") && first.kind == Kind::Punctuation;
        if !opens && !first.ends_operand() {
            return None;
        }
        index = self.after_group(index);
        while let Some(next) = self.token(index + 1) {
            index = match (next.kind, next.text) {
                (Kind::Text, _) if self.tokens[index].kind == Kind::Text => index + 1,
                (Kind::Punctuation, "." | "|") => index + 2,
                (Kind::Punctuation, "(" | "[") => self.after_group(index + 1),
                _ => break,
            };
        }
        self.token(index).map(Token::end)
    }

    fn joints(&mut self) {
        let mut index = 0;
        while let Some(token) = self.token(index) {
            match (token.kind, token.text) {
                (Kind::Name, "if") => {
                    self.found.joints.clear();
                    return;
                }
                (Kind::Name, "and") => self.found.joints.push((token.span(), Joint::And)),
                (Kind::Name, "or") => self.found.joints.push((token.span(), Joint::Or)),
                _ => {}
            }
            index = self.after_group(index) + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(source: &str) -> Vec<String> {
        scan(source).unwrap().references.iter().map(|r| r.path.join(".")).collect()
    }

    #[test]
    fn finds_every_name_and_nothing_else() {
        for (source, expected) in [
            ("steps.history.passed", vec!["steps.history.passed"]),
            ("steps['roll-back'].chosen == 'a.b'", vec!["steps.roll-back.chosen"]),
            ("items|selectattr('x', 'gt', limit)|list|length > min", vec!["items", "limit", "min"]),
            ("a is defined and b is not none or c is divisibleby(d)", vec!["a", "b", "c", "d"]),
            ("x is eq y", vec!["x", "y"]),
            ("value|default(inputs.other, boolean=yes)", vec!["value", "inputs.other", "yes"]),
            ("{a: b, 'c': [d, e[f].g]}", vec!["a", "b", "d", "e", "f"]),
            ("last_change_age < duration('1h')", vec!["last_change_age"]),
            ("pods[0].name ~ pods[1:].length", vec!["pods", "pods"]),
            ("true and none == False or not x", vec!["x"]),
            ("(a if b else c)|first", vec!["a", "b", "c"]),
        ] {
            assert_eq!(paths(source), expected, "{source}");
        }
    }

    #[test]
    fn guards_stand_after_the_operands_they_belong_to() {
        for (source, expected) in [
            ("value < 0.5", "value|_number < 0.5|_number"),
            ("a.b|first(1)<-d[0].x and e", "a.b|first(1)|_number<-d[0].x|_number and e"),
            ("1 < x < 3", "1|_number < x|_number < 3|_number"),
            ("'x' * (n + 1)|int", "'x'|_number * (n + 1)|int|_number"),
            ("2 ** a * b", "2 ** a|_number * b|_number"),
            ("age > duration('1h')", "age|_number > _duration('1h')|_number"),
        ] {
            let guarded = scan(source).unwrap().guarded(source);
            assert_eq!(guarded, expected, "{source}");
        }
        let scan = scan("value < 0.5").unwrap();
        for (guarded, source) in [(0, 0), (5, 5), (9, 5), (14, 6), (16, 8)] {
            assert_eq!(scan.unguarded(guarded), source, "{guarded}");
        }
    }

    #[test]
    fn says_what_is_wrong_and_where() {
        for (source, at, message) in [
            ("a && b", 2..4, "there is no operator `&&`"),
            ("a = b", 2..3, "`=` compares nothing"),
            ("!a", 0..1, "there is no operator `!`"),
            ("${{ a }}", 0..3, "an expression stands inside an expression"),
            ("a|lenght", 2..8, "there is no filter `lenght`"),
            ("a is emtpy", 5..10, "there is no test `emtpy`"),
            ("now()", 0..3, "there is no function `now`"),
            ("name.upper()", 10..11, "values have no methods"),
            ("(a", 0..1, "this `(` is not closed"),
            ("a]", 1..2, "this `]` closes nothing"),
            ("'abc", 0..4, "this text is not closed"),
            ("5m > 3", 0..2, "this is not a number"),
            ("x[::2]", 3..4, "a slice has no step here"),
            ("* 3", 0..1, "`*` needs a value on both sides"),
            ("f\u{e9}", 1..3, "`\u{e9}` means nothing here"),
        ] {
            let error = scan(source).unwrap_err();
            assert_eq!((error.span.clone(), error.message.as_str()), (Some(at), message), "{source}");
        }
    }

    #[test]
    fn refuses_what_would_be_too_much_work() {
        for source in ["a".repeat(1025), format!("a{}", ".a".repeat(129)), "(".repeat(17) + &")".repeat(17)] {
            scan(&source).unwrap_err();
        }
    }
}
