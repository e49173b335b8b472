//! Watches: the difference between two looks, told as events.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::kubernetes::Target;
use crate::kubernetes::reading::Filter;
use crate::kubernetes::table;
use crate::kubernetes::views::View;
use crate::state::text;

/// Real seconds after which a watch ends in any case; clients begin another.
pub(crate) const LONGEST: u64 = 300;

#[derive(Debug)]
pub(crate) struct Watch {
    target: Target,
    filter: Filter,
    known: BTreeMap<String, Value>,
    /// Real seconds that it lasts.
    pub seconds: u64,
    /// Events carry tables, with this much of the object.
    table: Option<String>,
}

impl Watch {
    pub fn new(
        target: Target,
        filter: Filter,
        known: Vec<Value>,
        seconds: u64,
        table: Option<String>,
    ) -> Self {
        let known = known.into_iter().map(|object| (identity(&object), object)).collect();
        Self { target, filter, known, seconds: seconds.clamp(1, LONGEST), table }
    }

    /// What has changed since the last look, one JSON document a line.
    pub fn changes(&mut self, view: &View<'_>) -> String {
        let present: BTreeMap<String, Value> = self
            .filter
            .select(view, &self.target)
            .into_iter()
            .map(|object| (identity(&object), object))
            .collect();
        let mut lines = String::new();
        for (id, object) in &present {
            match self.known.get(id) {
                None => lines += &self.event(view, "ADDED", object),
                Some(known) if known != object => lines += &self.event(view, "MODIFIED", object),
                Some(_) => {}
            }
        }
        for (id, object) in &self.known {
            if !present.contains_key(id) {
                let mut last = object.clone();
                last["metadata"]["resourceVersion"] = json!(view.version().to_string());
                lines += &self.event(view, "DELETED", &last);
            }
        }
        self.known = present;
        lines
    }

    fn event(&self, view: &View<'_>, kind: &str, object: &Value) -> String {
        let object = match &self.table {
            Some(include) => table::of(view, self.target.resource, std::slice::from_ref(object), include),
            None => object.clone(),
        };
        format!("{}\n", json!({ "type": kind, "object": object }))
    }
}

fn identity(object: &Value) -> String {
    let metadata = |field: &str| text(object, &format!("/metadata/{field}"));
    format!("{}/{}/{}", metadata("namespace"), metadata("name"), metadata("uid"))
}
