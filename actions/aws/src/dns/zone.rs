//! A hosted zone, found by its id or its name.

use aws_sdk_route53::types::HostedZone;
use futures::FutureExt as _;
use runbook_core::{
    change::Target,
    fault::{Fault, FaultKind},
};
use serde::{Deserialize, Serialize};

use super::{
    record::{self, Record},
    wire,
};
use crate::{
    client::Session,
    guard::{GET_HOSTED_ZONE, LIST_HOSTED_ZONES_BY_NAME, LIST_RESOURCE_RECORD_SETS},
};

/// Zones of one name are few; an account with more of them has to name the id.
const MOST_OF_ONE_NAME: i32 = 100;
const PAGE: i32 = 300;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Zone {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) private: bool,
}

/// A list of records, and whether there were more than are read.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pub(crate) records: Vec<Record>,
    pub(crate) truncated: bool,
}

impl Zone {
    pub(crate) async fn look(
        session: &Session<'_>,
        given: &str,
        private: Option<bool>,
    ) -> Result<Self, Fault> {
        let bare = given.trim().trim_start_matches("/hostedzone/");
        if bare.is_empty() || bare.len() > 255 {
            return Err(Fault::permanent("`zone` is the id or the name of a hosted zone"));
        }
        if is_id(bare) {
            Self::by_id(session, bare).await
        } else {
            Self::by_name(session, bare, private).await
        }
    }

    async fn by_id(session: &Session<'_>, id: &str) -> Result<Self, Fault> {
        let route53 = &session.link().route53;
        let found = session.ask(GET_HOSTED_ZONE, || route53.get_hosted_zone().id(id).send().boxed()).await;
        let missing = || {
            Fault::not_found(format!(
                "there is no hosted zone `{id}` in account {}",
                session.identity.account
            ))
        };
        let found =
            found.map_err(|fault| if fault.kind == FaultKind::NotFound { missing() } else { fault })?;
        found.hosted_zone.as_ref().map(Self::of).ok_or_else(missing)
    }

    async fn by_name(session: &Session<'_>, given: &str, private: Option<bool>) -> Result<Self, Fault> {
        let name = record::name(given);
        let route53 = &session.link().route53;
        let listed = session
            .ask(LIST_HOSTED_ZONES_BY_NAME, || {
                route53.list_hosted_zones_by_name().dns_name(&name).max_items(MOST_OF_ONE_NAME).send().boxed()
            })
            .await?;
        let zones: Vec<Self> = listed
            .hosted_zones
            .iter()
            .map(Self::of)
            .filter(|zone| zone.name == name && private.is_none_or(|private| zone.private == private))
            .collect();
        match zones.as_slice() {
            [zone] => Ok(zone.clone()),
            [] => Err(Fault::not_found(format!(
                "there is no hosted zone `{name}` in account {}",
                session.identity.account
            ))),
            several => {
                let ids: Vec<String> = several
                    .iter()
                    .take(10)
                    .map(|zone| format!("{} ({})", zone.id, if zone.private { "private" } else { "public" }))
                    .collect();
                Err(Fault::permanent(format!("there are several hosted zones `{name}`: {}", ids.join(", ")))
                    .hint("give the id as `zone`, or say `private: true` or `private: false`"))
            }
        }
    }

    fn of(found: &HostedZone) -> Self {
        Self {
            id: found.id.trim_start_matches("/hostedzone/").to_owned(),
            name: record::name(&found.name),
            private: found.config().is_some_and(|config| config.private_zone),
        }
    }

    /// `aws:123456789012/global/hosted-zone/Z123/example.com`: what people type is the name.
    pub(crate) fn target(&self, session: &Session<'_>) -> Target {
        let name = format!("{}/{}", self.id, self.name);
        session.identity.global_target("hosted-zone", &name, Some(self.id.clone()))
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        name == self.name || name.strip_suffix(&self.name).is_some_and(|before| before.ends_with('.'))
    }

    /// The records of the zone, or those of one name, up to a bound.
    pub(crate) async fn records(
        &self,
        session: &Session<'_>,
        only: Option<&str>,
        most: usize,
    ) -> Result<Listing, Fault> {
        let route53 = &session.link().route53;
        let mut listing = Listing::default();
        let mut next = only.map(|name| (name.to_owned(), None, None));
        loop {
            let page = session
                .ask(LIST_RESOURCE_RECORD_SETS, || {
                    let mut asked =
                        route53.list_resource_record_sets().hosted_zone_id(&self.id).max_items(PAGE);
                    if let Some((name, of_type, identifier)) = next.clone() {
                        asked = asked
                            .start_record_name(name)
                            .set_start_record_type(of_type)
                            .set_start_record_identifier(identifier);
                    }
                    asked.send().boxed()
                })
                .await?;
            for set in &page.resource_record_sets {
                let record = wire::read(set);
                if only.is_some_and(|name| record.name != name) {
                    return Ok(listing);
                }
                if listing.records.len() >= most {
                    listing.truncated = true;
                    return Ok(listing);
                }
                listing.records.push(record);
            }
            match page.next_record_name {
                Some(name) if page.is_truncated => {
                    next = Some((name, page.next_record_type, page.next_record_identifier));
                }
                _ => return Ok(listing),
            }
        }
    }
}

/// Ids are capital letters and digits; names are written in small letters.
fn is_id(given: &str) -> bool {
    given.len() >= 3
        && given.len() <= 32
        && given.chars().all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_names() {
        for (given, id) in [
            ("Z1D633PJN98FT9", true),
            ("OKDMGRGLRXFQ1VXNMUABOG", true),
            ("example.com", false),
            ("internal", false),
        ] {
            assert_eq!(is_id(given), id, "{given}");
        }
    }

    #[test]
    fn a_zone_holds_its_own_names_only() {
        let zone = Zone { id: "Z1".to_owned(), name: "example.com".to_owned(), private: false };
        for (name, holds) in [
            ("example.com", true),
            ("api.example.com", true),
            ("*.example.com", true),
            ("badexample.com", false),
            ("example.com.evil.test", false),
            ("com", false),
        ] {
            assert_eq!(zone.holds(name), holds, "{name}");
        }
    }
}
