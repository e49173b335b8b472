//! Route 53: zones, their records, and changes that all servers know of after a while.

use http::Method;

use super::declared::Zone;
use super::estate::{Change, IN_SYNC};
use super::records::{self, RecordSet};
use super::xml::Element;
use super::{Refusal, moment, xml_answer};
use crate::environment::Environment;
use crate::exchange::{Answer, Query, Request};
use crate::kubernetes::views::View;
use crate::names;

pub(crate) const INVALID_BATCH: &str = "InvalidChangeBatch";
const PAGE: usize = 300;

/// Answers what comes after the version.
pub(crate) fn respond(
    environment: &Environment,
    request: &Request,
    path: &[&str],
) -> Result<Answer, Refusal> {
    let query = &request.query;
    match (&request.method, path) {
        (&Method::GET, ["hostedzonesbyname"]) => looked(environment, |view| Ok(by_name(view, query))),
        (&Method::GET, ["hostedzone", id]) => looked(environment, |view| {
            let zone = zone(view, id)?;
            let servers = [Element::leaf("NameServer", "ns-1.simulated.")];
            let delegation = Element::new("DelegationSet", [Element::new("NameServers", servers)]);
            Ok(Element::new("GetHostedZoneResponse", [hosted_zone(view, zone), delegation]))
        }),
        (&Method::GET, ["hostedzone", id, "rrset"]) => looked(environment, |view| list(view, id, query)),
        (&Method::GET, ["change", id]) => looked(environment, |view| {
            let change = view.state.aws.changes.iter().find(|change| change.id == *id);
            let change =
                change.ok_or_else(|| Refusal::new(404, "NoSuchChange", "there is no such change"))?;
            Ok(Element::new("GetChangeResponse", [info(view, change)]))
        }),
        (&Method::POST, ["hostedzone", id, "rrset"]) => {
            environment.count_write();
            change(environment, id, &request.body)
        }
        _ => Err(Refusal::unknown(&request.path)),
    }
}

fn looked(
    environment: &Environment,
    look: impl FnOnce(&View<'_>) -> Result<Element, Refusal>,
) -> Result<Answer, Refusal> {
    environment.look(look)?.map(|body| xml_answer(200, &body))
}

fn zone<'a>(view: &View<'a>, id: &str) -> Result<&'a Zone, Refusal> {
    let found = view.model.scenario.aws.zones.iter().find(|zone| zone.id == id);
    found.ok_or_else(|| {
        let id: String = id.chars().take(40).collect();
        Refusal::new(404, "NoSuchHostedZone", format!("No hosted zone found with ID: {id}"))
    })
}

fn hosted_zone(view: &View<'_>, zone: &Zone) -> Element {
    let count = view.state.aws.zones.get(&zone.id).map_or(0, Vec::len);
    Element::new(
        "HostedZone",
        [
            Element::leaf("Id", format!("/hostedzone/{}", zone.id)),
            Element::leaf("Name", records::absolute(&zone.name)),
            Element::leaf("CallerReference", "simulated"),
            Element::new("Config", [Element::leaf("PrivateZone", false)]),
            Element::leaf("ResourceRecordSetCount", count),
        ],
    )
}

/// All zones from a name on.
fn by_name(view: &View<'_>, query: &Query) -> Element {
    let from = records::order_of(query.get("dnsname").unwrap_or_default(), "", "");
    let mut zones: Vec<&Zone> = view.model.scenario.aws.zones.iter().collect();
    zones.sort_by_cached_key(|zone| records::order_of(&zone.name, "", &zone.id));
    let found = zones.into_iter().filter(|zone| records::order_of(&zone.name, "", "") >= from);
    Element::new(
        "ListHostedZonesByNameResponse",
        [
            Element::new("HostedZones", found.map(|zone| hosted_zone(view, zone))),
            Element::leaf("IsTruncated", false),
            Element::leaf("MaxItems", 100),
        ],
    )
}

fn list(view: &View<'_>, id: &str, query: &Query) -> Result<Element, Refusal> {
    zone(view, id)?;
    let text = |name: &str| query.get(name).unwrap_or_default();
    let sets = view.state.aws.zones.get(id).map(Vec::as_slice).unwrap_or_default();
    let first = match query.get("name") {
        Some(name) => {
            let from = records::order_of(name, text("type"), text("identifier"));
            sets.partition_point(|set| records::order(set) < from)
        }
        None => 0,
    };
    let most = query.number::<usize>("maxitems").unwrap_or(PAGE).clamp(1, PAGE);
    let rest = sets.get(first..).unwrap_or_default();
    let (page, more) = rest.split_at(most.min(rest.len()));
    let mut fields = vec![
        Element::new("ResourceRecordSets", page.iter().cloned()),
        Element::leaf("IsTruncated", !more.is_empty()),
        Element::leaf("MaxItems", most),
    ];
    fields.extend(more.first().into_iter().flat_map(next));
    Ok(Element::new("ListResourceRecordSetsResponse", fields))
}

/// Where the next page begins.
fn next(set: &RecordSet) -> Vec<Element> {
    let mut fields = vec![
        Element::leaf("NextRecordName", set.text_of("Name")),
        Element::leaf("NextRecordType", set.text_of("Type")),
    ];
    let identifier = set.child("SetIdentifier").map(|identifier| &identifier.text);
    fields.extend(identifier.map(|identifier| Element::leaf("NextRecordIdentifier", identifier)));
    fields
}

fn info(view: &View<'_>, change: &Change) -> Element {
    let status = if view.now < change.began + IN_SYNC { "PENDING" } else { "INSYNC" };
    Element::new(
        "ChangeInfo",
        [
            Element::leaf("Id", format!("/change/{}", change.id)),
            Element::leaf("Status", status),
            Element::leaf("SubmittedAt", moment(view, change.began)),
            Element::leaf("Comment", &change.comment),
        ],
    )
}

fn change(environment: &Environment, id: &str, body: &[u8]) -> Result<Answer, Refusal> {
    let body = std::str::from_utf8(body).ok().and_then(Element::parse);
    let batch = body.as_ref().and_then(|body| body.child("ChangeBatch"));
    let batch = batch.ok_or_else(|| Refusal::new(400, "InvalidInput", "the body has no ChangeBatch"))?;
    let declared = environment.look(|view| zone(view, id).map(|zone| zone.name.clone()))??;
    environment.change(
        false,
        |state, now| {
            let stamp = state.stamp();
            let sets = state.aws.zones.entry(id.to_owned()).or_default();
            records::apply(&declared, sets, batch).map_err(|messages| Refusal {
                status: 400,
                code: INVALID_BATCH,
                messages,
            })?;
            let made = Change {
                id: format!("C{}", names::suffix(&format!("{}/{stamp}", state.born), 19).to_uppercase()),
                comment: batch.text_of("Comment").chars().take(256).collect(),
                began: now,
                names: names_of(batch),
            };
            state.aws.note(made.clone());
            Ok(made)
        },
        |view, made| xml_answer(200, &Element::new("ChangeResourceRecordSetsResponse", [info(view, &made)])),
    )
}

fn names_of(batch: &Element) -> Vec<String> {
    let changes = batch.child("Changes").map(|all| all.children.as_slice()).unwrap_or_default();
    let sets = changes.iter().filter_map(|change| change.child("ResourceRecordSet"));
    sets.map(|set| records::absolute(set.text_of("Name"))).collect()
}
