//! CBOR as CloudWatch speaks it, to and from JSON values. A timestamp is a number of seconds with a
//! tag; here it is read as the number, and written where a caller says so.

use minicbor::data::{IanaTag, Type};
use minicbor::encode::Error;
use minicbor::{Decoder, Encoder};
use serde_json::{Map, Value, json};

const MAX_DEPTH: usize = 16;
const MAX_ITEMS: usize = 10_000;

/// Reads one value; nothing where it is none, or too much.
pub(crate) fn read(bytes: &[u8]) -> Option<Value> {
    let mut left = MAX_ITEMS;
    value(&mut Decoder::new(bytes), MAX_DEPTH, &mut left)
}

fn value(input: &mut Decoder<'_>, depth: usize, left: &mut usize) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    *left = left.checked_sub(1)?;
    Some(match input.datatype().ok()? {
        Type::Bool => json!(input.bool().ok()?),
        Type::Null | Type::Undefined => {
            input.skip().ok()?;
            Value::Null
        }
        Type::F16 | Type::F32 | Type::F64 => json!(input.f64().ok()?),
        Type::U8 | Type::U16 | Type::U32 | Type::U64 | Type::I8 | Type::I16 | Type::I32 | Type::I64 => {
            json!(input.i64().ok()?)
        }
        Type::String => json!(input.str().ok()?),
        Type::StringIndef => {
            let parts: Result<Vec<&str>, _> = input.str_iter().ok()?.collect();
            json!(parts.ok()?.concat())
        }
        Type::Tag => {
            input.tag().ok()?;
            value(input, depth, left)?
        }
        Type::Array | Type::ArrayIndef => {
            let mut count = input.array().ok()?;
            let mut items = Vec::new();
            while more(input, &mut count)? {
                items.push(value(input, depth, left)?);
            }
            Value::Array(items)
        }
        Type::Map | Type::MapIndef => {
            let mut count = input.map().ok()?;
            let mut fields = Map::new();
            while more(input, &mut count)? {
                let Value::String(name) = value(input, depth, left)? else { return None };
                fields.insert(name, value(input, depth, left)?);
            }
            Value::Object(fields)
        }
        _ => return None,
    })
}

/// Whether a list of a known or unknown length goes on.
fn more(input: &mut Decoder<'_>, count: &mut Option<u64>) -> Option<bool> {
    match count {
        Some(0) => Some(false),
        Some(count) => {
            *count -= 1;
            Some(true)
        }
        None if input.datatype().ok()? == Type::Break => {
            input.skip().ok()?;
            Some(false)
        }
        None => Some(true),
    }
}

/// Writes a value; numbers in fields of this name are timestamps.
pub(crate) fn write(value: &Value, timestamp: &str) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    match put(&mut encoder, value, timestamp) {
        Ok(()) => encoder.into_writer(),
        // Writing to memory cannot fail.
        Err(_) => Vec::new(),
    }
}

fn put(
    out: &mut Encoder<Vec<u8>>,
    value: &Value,
    timestamp: &str,
) -> Result<(), Error<std::convert::Infallible>> {
    match value {
        Value::Null => out.null()?,
        Value::Bool(is) => out.bool(*is)?,
        Value::Number(number) => match number.as_i64() {
            Some(whole) => out.i64(whole)?,
            None => out.f64(number.as_f64().unwrap_or_default())?,
        },
        Value::String(text) => out.str(text)?,
        Value::Array(items) => {
            out.array(items.len() as u64)?;
            return items.iter().try_for_each(|item| put(out, item, timestamp));
        }
        Value::Object(fields) => {
            out.map(fields.len() as u64)?;
            return fields.iter().try_for_each(|(name, value)| {
                out.str(name)?;
                if name == timestamp {
                    out.tag(IanaTag::Timestamp)?;
                }
                put(out, value, timestamp)
            });
        }
    };
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let told = json!({ "Label": "x", "Datapoints": [{ "Timestamp": 1.5, "Sum": 3.25, "Whole": -7, "No": null, "Yes": true }] });
        assert_eq!(read(&write(&told, "Timestamp")), Some(told));
    }

    #[test]
    fn lists_of_unknown_length_are_read() {
        let bytes = [0xbf, 0x61, b'a', 0x9f, 0x01, 0x02, 0xff, 0x61, b't', 0xc1, 0x03, 0xff];
        assert_eq!(read(&bytes), Some(json!({ "a": [1, 2], "t": 3 })));
    }

    #[test]
    fn what_is_none_or_too_much_is_nothing() {
        let deep = vec![0x81; MAX_DEPTH + 1];
        for wrong in [
            &[][..],
            &[0xff],
            &[0xbf],
            &[0xa1, 0x01, 0x01],
            &[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &deep,
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }
}
