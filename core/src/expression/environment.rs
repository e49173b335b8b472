//! What expressions can call: minijinja's filters and tests, each bounded in what it may produce,
//! and the functions for lengths of time, sizes and moments.

use std::{borrow::Cow, sync::LazyLock};

use minijinja::{
    Environment, Error, ErrorKind, State, UndefinedBehavior, filters, tests,
    value::{Kwargs, Rest, Value, ValueKind, ValueOrKwargs},
};

use super::{names, quantity};
use crate::duration::Duration;

/// The longest text that an expression, or any part of it, may come to, in bytes.
pub const MAX_TEXT: usize = 256 * 1024;
/// How many instructions one expression may run.
const FUEL: u64 = 10_000;
/// How many items `range`, `batch` and `slice` may make.
const MAX_ITEMS: usize = 1000;

/// Every filter, for "did you mean".
pub const FILTERS: &[&str] = &[
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// Every test that can be written after `is`.
pub const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// Every function.
pub const FUNCTIONS: &[&str] = &["duration", "range", "size", "timestamp"];

/// A hint that travels inside minijinja's error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Hint(pub &'static str);

/// The one environment: everything in it is immutable, so all threads share it.
pub fn environment() -> &'static Environment<'static> {
    static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(build);
    &ENVIRONMENT
}

fn build() -> Environment<'static> {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_fuel(Some(FUEL));
    env.set_recursion_limit(32);
    env.set_debug(false);
    add_text_filters(&mut env);
    add_list_filters(&mut env);
    add_value_filters(&mut env);
    add_tests(&mut env);
    env.add_function("_duration", duration);
    env.add_function("_range", range);
    env.add_function("_size", size);
    env.add_function("_timestamp", timestamp);
    env.add_filter("_number", number);
    env
}

fn add_text_filters(env: &mut Environment<'static>) {
    env.add_filter("capitalize", filters::capitalize);
    env.add_filter("format", format);
    env.add_filter("indent", indent);
    env.add_filter("join", join);
    env.add_filter("lines", filters::lines);
    env.add_filter("lower", filters::lower);
    env.add_filter("replace", replace);
    env.add_filter("split", filters::split);
    env.add_filter("string", string);
    env.add_filter("title", filters::title);
    env.add_filter("tojson", to_json);
    env.add_filter("trim", filters::trim);
    env.add_filter("upper", filters::upper);
    env.add_filter("urlencode", url_encode);
}

fn add_list_filters(env: &mut Environment<'static>) {
    env.add_filter("batch", batch);
    env.add_filter("chain", filters::chain);
    env.add_filter("count", filters::length);
    env.add_filter("dictsort", filters::dictsort);
    env.add_filter("first", filters::first);
    env.add_filter("groupby", filters::groupby);
    env.add_filter("items", filters::items);
    env.add_filter("last", filters::last);
    env.add_filter("length", filters::length);
    env.add_filter("list", filters::list);
    env.add_filter("map", filters::map);
    env.add_filter("max", filters::max);
    env.add_filter("min", filters::min);
    env.add_filter("reject", filters::reject);
    env.add_filter("rejectattr", filters::rejectattr);
    env.add_filter("reverse", filters::reverse);
    env.add_filter("select", filters::select);
    env.add_filter("selectattr", filters::selectattr);
    env.add_filter("slice", slice);
    env.add_filter("sort", filters::sort);
    env.add_filter("sum", filters::sum);
    env.add_filter("unique", filters::unique);
    env.add_filter("zip", filters::zip);
}

fn add_value_filters(env: &mut Environment<'static>) {
    env.add_filter("abs", filters::abs);
    env.add_filter("attr", filters::attr);
    env.add_filter("bool", filters::bool);
    env.add_filter("d", filters::default);
    env.add_filter("default", filters::default);
    env.add_filter("float", filters::float);
    env.add_filter("int", filters::int);
    env.add_filter("round", filters::round);
}

fn add_tests(env: &mut Environment<'static>) {
    env.add_test("boolean", tests::is_boolean);
    env.add_test("defined", tests::is_defined);
    env.add_test("divisibleby", tests::is_divisibleby);
    env.add_test("endingwith", tests::is_endingwith);
    for name in ["eq", "equalto", "=="] {
        env.add_test(name, tests::is_eq);
    }
    env.add_test("even", tests::is_even);
    env.add_test("false", tests::is_false);
    env.add_test("float", tests::is_float);
    env.add_test("in", tests::is_in);
    env.add_test("integer", tests::is_integer);
    env.add_test("iterable", tests::is_iterable);
    env.add_test("lower", tests::is_lower);
    env.add_test("mapping", tests::is_mapping);
    for name in ["ne", "!="] {
        env.add_test(name, tests::is_ne);
    }
    env.add_test("none", tests::is_none);
    env.add_test("number", tests::is_number);
    env.add_test("odd", tests::is_odd);
    env.add_test("sequence", tests::is_sequence);
    env.add_test("startingwith", tests::is_startingwith);
    env.add_test("string", tests::is_string);
    env.add_test("true", tests::is_true);
    env.add_test("undefined", tests::is_undefined);
    env.add_test("upper", tests::is_upper);
    // The orderings are ours, for the same reason as those of the operators.
    for name in ["lt", "<"] {
        env.add_test(name, |a: Value, b: Value| Ok::<_, Error>(number(a)? < number(b)?));
    }
    for name in ["le", "<="] {
        env.add_test(name, |a: Value, b: Value| Ok::<_, Error>(number(a)? <= number(b)?));
    }
    for name in ["gt", ">"] {
        env.add_test(name, |a: Value, b: Value| Ok::<_, Error>(number(a)? > number(b)?));
    }
    for name in ["ge", ">="] {
        env.add_test(name, |a: Value, b: Value| Ok::<_, Error>(number(a)? >= number(b)?));
    }
}

fn refuse(message: impl Into<Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

fn within(length: Option<usize>) -> Result<(), Error> {
    match length {
        Some(length) if length <= MAX_TEXT => Ok(()),
        _ => Err(refuse("the text would be longer than 256 KiB")),
    }
}

/// What stands beside `*`, `<`, `>`, `<=` and `>=` must be a number.
fn number(value: Value) -> Result<Value, Error> {
    let (what, hint) = match value.kind() {
        ValueKind::Number => return Ok(value),
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        ValueKind::None => {
            ("null", "say what holds without a value: `x is not none and x < 1`, or `x|default(0, true)`")
        }
        ValueKind::String => (
            "a text",
            "make it a number: `|float`, duration(\"1h\"), size(\"2Gi\") or timestamp(\"2026-01-31T12:00:00Z\")",
        ),
        ValueKind::Bool => ("true or false", "use it as it is, with `and`, `or` and `not`"),
        ValueKind::Seq | ValueKind::Iterable => ("a list", "compare its `|length`, or pick an item"),
        ValueKind::Map => ("an object", "compare one of its fields"),
        _ => ("no number", "compare numbers"),
    };
    Err(refuse(format!("this needs a number, not {what}")).with_source(Hint(hint)))
}

fn duration(text: Cow<'_, str>) -> Result<Value, Error> {
    let length: Duration = text.parse().map_err(|error| refuse(format!("{error}")))?;
    Ok(whole(length.as_secs_f64()))
}

fn size(text: Cow<'_, str>) -> Result<Value, Error> {
    match quantity::parse(&text) {
        Some(bytes) => Ok(whole(bytes)),
        None => Err(refuse(format!("`{}` is not a size", text.chars().take(40).collect::<String>()))
            .with_source(Hint("write it like `512Mi`, `2Gi`, `1.5GB` or `500m`"))),
    }
}

/// Seconds since 1970 in UTC. Numbers pass, so that it does no harm to write it twice.
fn timestamp(moment: Value) -> Result<Value, Error> {
    if moment.kind() == ValueKind::Number {
        return Ok(moment);
    }
    let text = moment.as_str().unwrap_or_default();
    let parsed: jiff::Timestamp = text.parse().map_err(|_| {
        refuse(format!("`{}` is not a moment in time", text.chars().take(40).collect::<String>()))
            .with_source(Hint("write it like `2026-01-31T12:00:00Z`"))
    })?;
    Ok(whole(parsed.as_duration().as_secs_f64()))
}

/// A whole number where it is one, so that it prints without a fraction.
fn whole(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        // In range by the line above.
        Value::from(number as i64)
    } else {
        Value::from(number)
    }
}

fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (from, to) = second.map_or((0, first), |to| (first, to));
    let step = step.unwrap_or(1);
    if step == 0 {
        return Err(refuse("a range cannot step by 0"));
    }
    let mut numbers = Vec::new();
    let mut next = Some(from);
    while let Some(n) = next.filter(|n| if step > 0 { *n < to } else { *n > to }) {
        if numbers.len() == MAX_ITEMS {
            return Err(refuse(format!("a range of more than {MAX_ITEMS} numbers")));
        }
        numbers.push(Value::from(n));
        next = n.checked_add(step);
    }
    Ok(Value::from(numbers))
}

fn format(state: &mut State<'_, '_>, template: &Value, args: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let text = template.as_str().unwrap_or_default();
    // A width is at most three digits, and never taken from an argument.
    let mut digits = 0;
    for byte in text.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > 3 || byte == b'*' {
            return Err(refuse("widths have at most three digits and stand in the format itself"));
        }
    }
    let made = filters::format(state, template, args)?;
    within(made.as_str().map(str::len))?;
    Ok(made)
}

fn indent(text: Cow<'_, str>, width: usize, first: Option<bool>) -> Result<String, Error> {
    let lines = text.lines().count().max(1);
    within(width.checked_mul(lines).and_then(|extra| extra.checked_add(text.len())))?;
    let margin = " ".repeat(width);
    let mut out = String::with_capacity(text.len() + width * lines);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let is_indented = (index > 0 || first.unwrap_or(false)) && !line.trim_end().is_empty();
        out.push_str(if is_indented { &margin } else { "" });
        out.push_str(line);
    }
    Ok(out)
}

fn join(list: &Value, with: Option<Cow<'_, str>>, attribute: Option<Cow<'_, str>>) -> Result<String, Error> {
    let (mut out, with) = (String::new(), with.unwrap_or_default());
    for (index, item) in list.try_iter()?.checked().enumerate() {
        let mut item = item?;
        if let Some(attribute) = &attribute {
            item = item.get_attr(attribute)?;
        }
        if index > 0 {
            out.push_str(&with);
        }
        out.push_str(&names::text(&item)?);
        within(Some(out.len()))?;
    }
    Ok(out)
}

fn replace(text: Cow<'_, str>, from: Cow<'_, str>, to: Cow<'_, str>) -> Result<String, Error> {
    let found = text.matches(from.as_ref()).count();
    within(found.checked_mul(to.len()).and_then(|added| added.checked_add(text.len())))?;
    Ok(text.replace(from.as_ref(), &to))
}

fn string(value: &Value) -> Result<String, Error> {
    names::text(value)
}

fn to_json(value: &Value, indent: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let json = names::to_json(value)?;
    let pretty = match indent {
        Some(indent) => indent,
        None => options.get::<Option<bool>>("indent")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let text = if pretty { serde_json::to_string_pretty(&json) } else { serde_json::to_string(&json) };
    let text = text.map_err(|error| refuse(error.to_string()))?;
    within(Some(text.len()))?;
    Ok(text)
}

fn url_encode(text: Cow<'_, str>) -> Result<String, Error> {
    const KEPT: percent_encoding::AsciiSet =
        percent_encoding::NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    within(text.len().checked_mul(3))?;
    Ok(percent_encoding::utf8_percent_encode(&text, &KEPT).to_string())
}

fn batch(state: &State<'_, '_>, list: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    few(count)?;
    filters::batch(state, list, count, fill)
}

fn slice(state: &State<'_, '_>, list: Value, count: usize, fill: Option<Value>) -> Result<Value, Error> {
    few(count)?;
    filters::slice(state, list, count, fill)
}

fn few(count: usize) -> Result<(), Error> {
    if count <= MAX_ITEMS { Ok(()) } else { Err(refuse(format!("more than {MAX_ITEMS} items"))) }
}
