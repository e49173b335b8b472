//! The documents that the API answers with, for its description. They are made of JSON where they are made,
//! so what they hold is written down here; a test holds what is answered against it.

use std::{collections::BTreeMap, sync::LazyLock};

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{RefOr, Schema},
};

/// By name. A document that is not there says nothing, which a test finds.
static ALL: LazyLock<BTreeMap<String, RefOr<Schema>>> =
    LazyLock::new(|| serde_json::from_str(include_str!("documents.json")).unwrap_or_default());

/// All of them, for those that refer to each other.
pub fn all() -> impl Iterator<Item = (String, RefOr<Schema>)> {
    ALL.iter().map(|(name, schema)| (name.clone(), schema.clone()))
}

macro_rules! documents {
    ($($name:ident),*) => {$(
        /// As documents.json has it.
        #[derive(Debug)]
        pub enum $name {}

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ALL.get(stringify!($name)).cloned().unwrap_or_default()
            }
        }

        impl ToSchema for $name {}
    )*};
}

documents!(
    Me,
    TokenMade,
    TokenRecord,
    TokenPage,
    AuditPage,
    RunbookBrief,
    Runbook,
    Reloaded,
    Run,
    RunPage,
    RunStanding,
    TimelinePage,
    QuestionPage,
    Alert,
    AlertPage,
    Incident,
    IncidentPage
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_document_is_described() {
        let read = serde_json::from_str::<BTreeMap<String, RefOr<Schema>>>(include_str!("documents.json"));
        assert_eq!(read.map(|all| all.len()).map_err(|error| error.to_string()), Ok(ALL.len()));
        for name in [Me::name(), Run::name(), IncidentPage::name()] {
            assert!(ALL.contains_key(name.as_ref()), "{name}");
        }
    }
}
