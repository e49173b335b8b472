//! What is wrong with a file: a stable code, a place, a sentence, and what to do about it.

use std::{fmt, ops::Range, sync::Arc};

use miette::{GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};
use serde::{Serialize, Serializer};

/// How bad a finding is. Errors keep a runbook from being run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// One finding. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub code: Code,
    pub severity: Severity,
    pub file: String,
    pub line: usize,
    pub column: usize,
    /// A lowercase sentence fragment.
    pub message: String,
    pub hint: Option<String>,
    /// The same place in bytes.
    #[serde(skip)]
    pub span: Range<usize>,
    #[serde(skip)]
    pub end: Position,
}

/// A line and a column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

macro_rules! codes {
    ($($name:ident $number:literal $words:literal $severity:ident $explanation:literal;)*) => {
        /// What kind of finding it is. Numbers are never given to anything else.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($name,)* }

        impl Code {
            /// Every code, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// `RB103`.
            pub const fn number(self) -> &'static str {
                match self { $(Self::$name => $number,)* }
            }
            /// `unknown-key`.
            pub const fn words(self) -> &'static str {
                match self { $(Self::$name => $words,)* }
            }
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
            /// One line for the documentation.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)* }
            }
        }
    };
}

codes! {
    YamlSyntax "RB101" "yaml-syntax" Error "the file is not YAML";
    DuplicateKey "RB102" "duplicate-key" Error "a key stands twice in the same place";
    UnknownKey "RB103" "unknown-key" Error "a key that the language does not have";
    MissingKey "RB104" "missing-key" Error "a key that must be there is not";
    WrongType "RB105" "wrong-type" Error "a value of another type than the key takes";
    UnknownWord "RB106" "unknown-word" Error "a word that is not among those the key takes";
    BadDuration "RB107" "bad-duration" Error "a length of time that is not written like `30s`, `5m` or `1h30m`";
    OutOfRange "RB108" "out-of-range" Error "a number, text or list that is too small or too large";
    PatternMismatch "RB109" "pattern-mismatch" Error "a text that is not written as its pattern asks";
    TooLarge "RB110" "too-large" Error "a file that is too large, too deep, or grows too much through aliases";
    UnsupportedYaml "RB111" "unsupported-yaml" Error "merge keys, tags, keys that are not texts, several documents in one file";
    EmptyValue "RB112" "empty-value" Error "a key with nothing after it";

    StepKind "RB201" "step-kind" Error "a step that names no kind, or several";
    MisplacedKey "RB202" "misplaced-key" Error "a key that does not belong to this kind of step";
    DuplicateId "RB203" "duplicate-id" Error "an id that two steps share";
    NameMismatch "RB204" "name-mismatch" Error "a runbook whose name differs from its file's";
    DuplicateName "RB205" "duplicate-name" Error "two files with a runbook of the same name";
    BadOption "RB206" "bad-option" Error "a ladder without options, or an option that is no action";
    MissingSteadyState "RB207" "missing-steady-state" Error "a step that waits for a steady state which is not declared";
    UnboundedLoop "RB208" "unbounded-loop" Error "a `for_each` over an expression without `max_parallel`";
    LoopTooLarge "RB209" "loop-too-large" Error "a `for_each` over more than 100 items";
    NoEffect "RB210" "no-effect" Warning "a key that changes nothing where it stands";

    ExpressionSyntax "RB301" "expression-syntax" Error "an expression or a template that cannot be read";
    UnknownName "RB302" "unknown-name" Error "a name that does not exist where the expression stands";
    UnknownOutput "RB303" "unknown-output" Error "an output that the action does not have";
    NotUpstream "RB304" "not-upstream" Error "a reference to a step that need not have settled by then";
    NoVerdict "RB305" "no-verdict" Error "`passed` of a step that neither passes nor fails";
    UndeclaredSecret "RB306" "undeclared-secret" Error "a secret that is not listed under `secrets`";
    UndefinedSecret "RB307" "undefined-secret" Error "a secret that no environment defines";
    SecretMisused "RB308" "secret-misused" Error "a secret outside `with`, or one that a filter or operator would change";
    ConstantCondition "RB309" "constant-condition" Warning "a condition that is always true, or never";
    MayNotHaveRun "RB310" "may-not-have-run" Warning "an output of a step that may have been skipped by then";

    UnknownNeed "RB401" "unknown-need" Error "`needs` names a step that does not exist";
    CyclicNeeds "RB402" "cyclic-needs" Error "steps that need each other in a circle";
    UnreachableStep "RB403" "unreachable-step" Error "a step that can never run";
    RecursiveRunbook "RB404" "recursive-runbook" Error "a runbook that runs itself, directly or through others";
    UnknownRunbook "RB405" "unknown-runbook" Error "`run` names a runbook that does not exist";

    UnknownAction "RB501" "unknown-action" Error "an action that no provider has";
    MissingField "RB502" "missing-field" Error "`with` lacks a field that the action or the runbook needs";
    UnknownField "RB503" "unknown-field" Error "`with` has a field that the action or the runbook does not know";
    BadField "RB504" "bad-field" Error "`with` has a value that the action or the runbook does not take";
    CheckWrites "RB505" "check-writes" Error "a `check` that uses an action which changes something";
    EffectLowered "RB506" "effect-lowered" Error "`effect` says less than the action does";
    MissingApproval "RB507" "missing-approval" Error "a destructive action that nobody is asked about";
    WeakApproval "RB508" "weak-approval" Error "an approval that asks for less than the policy";
    DestructiveFinally "RB509" "destructive-finally" Error "a destructive step under `finally`";
    CannotUndo "RB510" "cannot-undo" Warning "an action that cannot be undone, where a failure is to undo it";
    UndoMisused "RB511" "undo-misused" Error "`undo` on a step that changes nothing, or with an action that only reads";

    BadPattern "RB601" "bad-pattern" Error "a pattern that is no regular expression";
    BadDefault "RB602" "bad-default" Error "a default that the input itself would refuse";
    BadConstraint "RB603" "bad-constraint" Error "limits of an input that do not fit its type or each other";
    UnmappedInput "RB604" "unmapped-input" Error "a trigger that gives no value to an input which needs one";
    UnknownInput "RB605" "unknown-input" Error "a trigger that names an input which does not exist";

    UnknownGroup "RB701" "unknown-group" Error "a group that is not defined or has nobody in it";
    TooFewApprovers "RB702" "too-few-approvers" Error "an approval by more people than there are";
    EscalatesToNobody "RB703" "escalates-to-nobody" Error "an escalation that names nobody to go to";
    UnknownRelated "RB704" "unknown-related" Warning "`related` names a runbook that does not exist";
}

/// Every code with its explanation, for the documentation.
pub fn codes() -> impl Iterator<Item = (Code, &'static str)> {
    Code::ALL.iter().map(|code| (*code, code.explanation()))
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.words())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.number())
    }
}

impl Finding {
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
    #[must_use]
    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

/// Puts findings in the order of their places and drops repetitions.
pub fn sort(findings: &mut Vec<Finding>) {
    findings.sort_by(|a, b| {
        let place = |finding: &Finding| (finding.span.start, finding.code, finding.span.end);
        a.file.cmp(&b.file).then_with(|| place(a).cmp(&place(b))).then_with(|| a.message.cmp(&b.message))
    });
    findings.dedup();
}

/// A file with the offsets of its lines, so that places can be told.
#[derive(Debug, Clone)]
pub struct Document {
    pub file: String,
    pub text: Arc<str>,
    line_starts: Vec<usize>,
}

impl Document {
    pub fn new(file: &str, text: &str) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { file: file.to_owned(), text: text.into(), line_starts }
    }

    pub fn position(&self, offset: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= offset).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..offset.min(self.text.len())).unwrap_or_default();
        Position { line, column: before.chars().count() + 1 }
    }

    /// A finding at a place. The place is cut to its first line: a caret under a whole step would
    /// say nothing.
    pub fn finding(&self, code: Code, span: Range<usize>, message: impl Into<String>) -> Finding {
        let start = self.floor(span.start);
        let shown = self.text.get(start..self.floor(span.end).max(start)).unwrap_or_default();
        let first_line = shown.lines().next().unwrap_or_default().trim_end();
        let span = start..start + first_line.len();
        let at = self.position(span.start);
        Finding {
            code,
            severity: code.severity(),
            file: self.file.clone(),
            line: at.line,
            column: at.column,
            message: message.into(),
            hint: None,
            end: self.position(span.end),
            span,
        }
    }

    fn floor(&self, offset: usize) -> usize {
        let offset = offset.min(self.text.len());
        (0..=offset).rev().find(|at| self.text.is_char_boundary(*at)).unwrap_or_default()
    }
}

/// The most findings that are shown at once; whoever has more of them mends the first ones first.
const MAX_SHOWN: usize = 200;

/// Findings for people: each with the lines around its place and a caret under it.
pub fn render(findings: &[Finding], documents: &[&Document], colour: bool) -> String {
    let theme = if colour { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
    let handler = GraphicalReportHandler::new_themed(theme)
        .with_width(100)
        .with_links(false)
        .with_context_lines(1)
        .without_syntax_highlighting();
    let texts: Vec<Arc<str>> = documents.iter().map(|document| harmless(&document.text).into()).collect();
    let mut out = String::new();
    for finding in findings.iter().take(MAX_SHOWN) {
        let document = documents.iter().position(|document| document.file == finding.file);
        let source = document.map(|index| NamedSource::new(harmless(&finding.file), texts[index].clone()));
        let shown = Shown { finding, source };
        if handler.render_report(&mut out, &shown).is_err() {
            // Writing to a string does not fail; a place outside the text is the only other cause.
            out.push_str(&format!("{}:{}: {shown}\n", harmless(&finding.file), finding.line));
        }
        out.push('\n');
    }
    if let Some(more) = findings.len().checked_sub(MAX_SHOWN).filter(|more| *more > 0) {
        out.push_str(&format!("… and {more} more findings\n"));
    }
    out
}

/// A text that cannot steer a terminal. It keeps its length, so that places stay where they are.
fn harmless(text: &str) -> String {
    let replace = |c: char| match c {
        '\n' | '\t' => c,
        c if c.is_control() && c.len_utf8() == 1 => '?',
        c if c.is_control() => '¿',
        c => c,
    };
    text.chars().map(replace).collect()
}

/// A finding as miette wants it.
#[derive(Debug)]
struct Shown<'a> {
    finding: &'a Finding,
    source: Option<NamedSource<Arc<str>>>,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&harmless(&self.finding.message))
    }
}

impl std::error::Error for Shown<'_> {}

impl miette::Diagnostic for Shown<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.finding.code))
    }
    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.finding.hint.as_ref().map(|hint| Box::new(harmless(hint)) as Box<dyn fmt::Display>)
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as &dyn SourceCode)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let length = self.finding.span.len();
        let label = LabeledSpan::new(None, self.finding.span.start, length);
        Some(Box::new(std::iter::once(label)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_explained() {
        let numbers: BTreeSet<_> = Code::ALL.iter().map(|code| code.number()).collect();
        let words: BTreeSet<_> = Code::ALL.iter().map(|code| code.words()).collect();
        assert_eq!((numbers.len(), words.len()), (Code::ALL.len(), Code::ALL.len()));
        assert!(codes().all(|(_, explanation)| explanation.len() > 10));
    }

    #[test]
    fn places_count_characters_and_stay_on_one_line() {
        let document = Document::new("a.yaml", "é: ü\nsteps:\n  - x\n");
        assert_eq!(document.position(0), Position { line: 1, column: 1 });
        assert_eq!(document.position(4), Position { line: 1, column: 4 });
        assert_eq!(document.position(7), Position { line: 2, column: 1 });
        let finding = document.finding(Code::UnknownKey, 7..20, "no");
        assert_eq!((finding.line, finding.end), (2, Position { line: 2, column: 7 }));
        // Neither a place past the end nor one inside a character does harm.
        assert_eq!(document.finding(Code::UnknownKey, 400..500, "no").span, 20..20);
        assert_eq!(document.finding(Code::UnknownKey, 1..2, "no").span.start, 0);
    }

    #[test]
    fn json_has_the_published_fields() {
        let finding = Document::new("a.yaml", "x: 1").finding(Code::UnknownKey, 0..1, "no").hint("drop it");
        assert_eq!(
            serde_json::to_value(&finding).unwrap(),
            serde_json::json!({
                "code": "RB103", "severity": "error", "file": "a.yaml", "line": 1, "column": 1,
                "message": "no", "hint": "drop it"
            })
        );
    }

    #[test]
    fn a_file_cannot_steer_the_terminal() {
        let document = Document::new("a.yaml", "x: \u{1b}[31m\u{9b}0m\u{7}\n");
        let finding = document.finding(Code::UnknownKey, 0..1, "no `\u{1b}[2J`").hint("\u{7}");
        let text = render(&[finding], &[&document], false);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert_eq!(harmless("a\u{9b}b").len(), "a\u{9b}b".len());
    }

    #[test]
    fn people_see_a_caret_under_the_place() {
        let document = Document::new("a.yaml", "name: x\nstpes: []\n");
        let finding = document.finding(Code::UnknownKey, 8..13, "there is no key `stpes`");
        let text = render(&[finding.hint("did you mean `steps`?")], &[&document], false);
        for part in ["RB103 unknown-key", "a.yaml:2:1", "stpes: []", "did you mean `steps`?"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
