//! Access reviews in protobuf, which kubectl sends for `auth can-i`: read into the JSON that all
//! else is. No other body is taken in this encoding.

use serde_json::{Map, Value, json};

pub(crate) const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// What Kubernetes puts before every message.
const MAGIC: &[u8] = b"k8s\0";
/// The message itself, in the envelope that names its type.
const RAW: u64 = 2;
const SPEC: u64 = 2;
/// Fields of `ResourceAttributes`, numbered from one.
const RESOURCE_ATTRIBUTES: [&str; 7] =
    ["namespace", "verb", "group", "version", "resource", "subresource", "name"];

/// Reads a `SelfSubjectAccessReview` or a `SelfSubjectRulesReview`; none if it is malformed.
pub(crate) fn review(kind: &str, body: &[u8]) -> Option<Value> {
    let object = field(body.strip_prefix(MAGIC)?, RAW)??;
    let spec = field(object, SPEC)?.unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().map(Value::String);
    if kind == "SelfSubjectRulesReview" {
        return Some(json!({ "spec": { "namespace": text(field(spec, 1)?.unwrap_or_default())? } }));
    }
    let Some(asked) = field(spec, 1)? else {
        return Some(json!({ "spec": { "nonResourceAttributes": {} } }));
    };
    let mut attributes = Map::new();
    for (number, name) in (1..).zip(RESOURCE_ATTRIBUTES) {
        attributes.insert(name.to_owned(), text(field(asked, number)?.unwrap_or_default())?);
    }
    Some(json!({ "spec": { "resourceAttributes": attributes } }))
}

/// The bytes of a field with a length; `Some(None)` where it is absent, `None` where the message is
/// malformed.
fn field(mut message: &[u8], wanted: u64) -> Option<Option<&[u8]>> {
    let mut found = None;
    while !message.is_empty() {
        let (tag, rest) = varint(message)?;
        message = rest;
        match tag & 7 {
            0 => message = varint(message)?.1,
            1 => message = message.get(8..)?,
            2 => {
                let (length, rest) = varint(message)?;
                let length = usize::try_from(length).ok()?;
                let value = rest.get(..length)?;
                message = &rest[length..];
                if tag >> 3 == wanted {
                    found = Some(value);
                }
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(found)
}

fn varint(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value = 0_u64;
    for (index, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(u32::try_from(index).ok()? * 7)?;
        if byte & 0x80 == 0 {
            return Some((value, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_length(number: u8, content: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(content.len()).unwrap()], content].concat()
    }

    fn envelope(spec: &[u8]) -> Vec<u8> {
        let object = with_length(2, spec);
        [MAGIC, &with_length(1, b"\x0a\x02v1"), &with_length(2, &object)].concat()
    }

    #[test]
    fn reviews_are_read() {
        let attributes =
            [with_length(1, b"production"), with_length(2, b"patch"), with_length(5, b"deployments")]
                .concat();
        let read = review("SelfSubjectAccessReview", &envelope(&with_length(1, &attributes))).unwrap();
        assert_eq!(read["spec"]["resourceAttributes"]["verb"], "patch");
        assert_eq!(read["spec"]["resourceAttributes"]["resource"], "deployments");
        assert_eq!(read["spec"]["resourceAttributes"]["subresource"], "");
        let rules = review("SelfSubjectRulesReview", &envelope(&with_length(1, b"production"))).unwrap();
        assert_eq!(rules["spec"]["namespace"], "production");
    }

    #[test]
    fn what_is_malformed_is_none() {
        let whole = envelope(&with_length(1, &with_length(2, b"patch")));
        for cut in 0..whole.len() {
            assert_eq!(review("SelfSubjectAccessReview", &whole[..cut]), None, "cut at {cut}");
        }
        assert_eq!(
            review("SelfSubjectAccessReview", b"k8s\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            None
        );
    }
}
