//! Record sets of a zone, kept as they were sent, and batches of changes to them: all or none.

use std::cmp::Reverse;

use super::declared::Record;
use super::xml::Element;

/// An element `ResourceRecordSet`.
pub(crate) type RecordSet = Element;

const MAX_RECORDS: usize = 1_000;
const MAX_CHANGES: usize = 100;

pub(crate) fn declared(record: &Record) -> RecordSet {
    let values = record.values.iter();
    let values = values.map(|value| Element::new("ResourceRecord", [Element::leaf("Value", value)]));
    Element::new(
        "ResourceRecordSet",
        [
            Element::leaf("Name", absolute(&record.name)),
            Element::leaf("Type", &record.kind),
            Element::leaf("TTL", record.ttl),
            Element::new("ResourceRecords", values),
        ],
    )
}

/// Small letters, and a dot at the end.
pub(crate) fn absolute(name: &str) -> String {
    let name = name.trim().trim_end_matches('.').to_ascii_lowercase();
    format!("{name}.")
}

/// The order in which a zone is listed: by the labels of the name from the right, then by type.
pub(crate) type Order = (Vec<String>, String, String);

pub(crate) fn order(set: &RecordSet) -> Order {
    order_of(set.text_of("Name"), set.text_of("Type"), set.text_of("SetIdentifier"))
}

pub(crate) fn order_of(name: &str, kind: &str, identifier: &str) -> Order {
    let name = absolute(name);
    let labels = name.trim_end_matches('.').rsplit('.').map(str::to_owned).collect();
    (labels, kind.to_owned(), identifier.to_owned())
}

pub(crate) fn is_of(set: &RecordSet, name: &str) -> bool {
    set.text_of("Name") == absolute(name)
}

/// Whether one of its values is this one; names are compared as names.
pub(crate) fn holds(set: &RecordSet, value: &str) -> bool {
    let values = set.child("ResourceRecords").map(|all| all.children.as_slice()).unwrap_or_default();
    values.iter().any(|one| absolute(one.text_of("Value")) == absolute(value))
}

/// Applies a batch to the records of a zone; the messages say why not.
pub(crate) fn apply(zone: &str, sets: &mut Vec<RecordSet>, batch: &Element) -> Result<(), Vec<String>> {
    let changes = batch.child("Changes").map(|all| all.children.as_slice()).unwrap_or_default();
    if changes.is_empty() || changes.len() > MAX_CHANGES {
        return Err(vec![format!("a batch has between 1 and {MAX_CHANGES} changes")]);
    }
    let mut next = sets.clone();
    let mut refused = Vec::new();
    for change in changes {
        if let Err(why) = change_one(zone, &mut next, change) {
            refused.push(why);
        }
    }
    for set in &next {
        let alone = next.iter().filter(|other| other.text_of("Name") == set.text_of("Name")).count() == 1;
        if set.text_of("Type") == "CNAME" && !alone && set.text_of("SetIdentifier").is_empty() {
            let name = set.text_of("Name");
            refused
                .push(format!("RRSet of type CNAME with DNS name {name} conflicts with others of that name"));
        }
    }
    if next.len() > MAX_RECORDS {
        refused.push(format!("a simulated zone has at most {MAX_RECORDS} record sets"));
    }
    if !refused.is_empty() {
        return Err(refused);
    }
    next.sort_by_cached_key(order);
    *sets = next;
    Ok(())
}

fn change_one(zone: &str, sets: &mut Vec<RecordSet>, change: &Element) -> Result<(), String> {
    let mut set = change.child("ResourceRecordSet").cloned().ok_or("a change names no record set")?;
    if let Some(name) = set.children.iter_mut().find(|child| child.name == "Name") {
        name.text = absolute(&name.text);
    }
    let (name, kind) = (set.text_of("Name").to_owned(), set.text_of("Type").to_owned());
    let zone = absolute(zone);
    if name != zone && !name.ends_with(&format!(".{zone}")) {
        return Err(format!("RRSet with DNS name {name} is not permitted in zone {zone}"));
    }
    if kind.is_empty() || (set.child("ResourceRecords").is_none() && set.child("AliasTarget").is_none()) {
        return Err(format!("RRSet with DNS name {name} has no type or no value"));
    }
    let key = order(&set);
    let there = sets.iter().position(|other| order(other) == key);
    match (change.text_of("Action"), there) {
        ("CREATE", Some(_)) => Err(format!(
            "Tried to create resource record set [name='{name}', type='{kind}'] but it already exists"
        )),
        ("CREATE" | "UPSERT", None) => {
            sets.push(set);
            Ok(())
        }
        ("UPSERT", Some(index)) => {
            sets[index] = set;
            Ok(())
        }
        ("DELETE", Some(_)) if name == zone && matches!(kind.as_str(), "NS" | "SOA") => {
            Err(format!("A HostedZone must contain at least one {kind} record for the zone itself"))
        }
        ("DELETE", Some(index)) if normal(&sets[index]) == normal(&set) => {
            sets.remove(index);
            Ok(())
        }
        ("DELETE", Some(_)) => Err(format!(
            "Tried to delete resource record set [name='{name}', type='{kind}'] but the values provided do not match the current values"
        )),
        ("DELETE", None) => Err(format!(
            "Tried to delete resource record set [name='{name}', type='{kind}'] but it was not found"
        )),
        (other, _) => Err(format!("`{other}` is no action")),
    }
}

/// Two record sets that say the same are the same, in whatever order they say it.
fn normal(set: &RecordSet) -> RecordSet {
    let mut set = set.clone();
    sort(&mut set);
    set
}

fn sort(element: &mut Element) {
    element.children.iter_mut().for_each(sort);
    element.children.sort_by_cached_key(|child| Reverse(child.document()));
}
