//! What the cluster serves, asked at run time: groups and versions differ from one Kubernetes to
//! the next, and whole kinds come with what is installed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use futures::{StreamExt as _, stream};
use runbook_core::fault::{Fault, FaultKind};
use serde::Deserialize;

use crate::{
    client::{Call, Session, parse},
    place::Place,
};

/// What was found so far, kept for as long as the connection: API groups hardly ever change, and
/// a kind that is not found is looked for anew.
#[derive(Debug, Default)]
pub(crate) struct Discovered {
    groups: Mutex<Option<Arc<Vec<Group>>>>,
    resources: Mutex<BTreeMap<String, Arc<Vec<Resource>>>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Group {
    name: String,
    versions: Vec<GroupVersion>,
    preferred_version: GroupVersion,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct GroupVersion {
    version: String,
}

impl Discovered {
    fn forget(&self) {
        *self.groups.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.resources.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// One kind of object that the cluster serves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resource {
    #[serde(skip)]
    pub(crate) group: String,
    #[serde(skip)]
    pub(crate) version: String,
    pub(crate) name: String,
    pub(crate) singular_name: String,
    pub(crate) kind: String,
    pub(crate) namespaced: bool,
    pub(crate) short_names: Vec<String>,
}

impl Resource {
    pub(crate) fn place(&self) -> Place {
        Place::of(&self.group, &self.version, &self.name)
    }
    /// `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }
    fn answers_to(&self, word: &str) -> bool {
        let names = [&self.kind, &self.name, &self.singular_name];
        names.into_iter().chain(&self.short_names).any(|name| name.eq_ignore_ascii_case(word))
    }
}

/// The version of a group to speak: the first of `known` that the cluster serves, or none where it
/// serves none of them.
pub(crate) async fn version(
    session: &Session<'_>,
    group: &str,
    known: &[&'static str],
) -> Result<Option<&'static str>, Fault> {
    let groups = groups(session).await?;
    let Some(group) = groups.iter().find(|served| served.name == group) else { return Ok(None) };
    let served = |version: &&&str| group.versions.iter().any(|served| served.version == ***version);
    Ok(known.iter().find(served).copied())
}

/// The kind that a person named by its kind, its plural or a short name.
pub(crate) async fn resource(
    session: &Session<'_>,
    word: &str,
    api_version: Option<&str>,
) -> Result<Resource, Fault> {
    match search(session, word, api_version).await {
        // It may have been installed since the cluster was looked at.
        Err(fault) if fault.kind == FaultKind::NotFound => {
            session.cluster.discovered.forget();
            search(session, word, api_version).await
        }
        outcome => outcome,
    }
}

/// How many groups are asked at once.
const AT_ONCE: usize = 8;

async fn search(session: &Session<'_>, word: &str, api_version: Option<&str>) -> Result<Resource, Fault> {
    let places = match api_version {
        Some(api_version) => vec![split(api_version)],
        None => preferred(session).await?,
    };
    let answers = stream::iter(places).map(|(group, version)| async move {
        let served = resources(session, &group, &version).await;
        (group, served)
    });
    // In the order of preference, so that the answer does not depend on who is quicker.
    let answers: Vec<_> = answers.buffered(AT_ONCE).collect().await;
    let mut found = Vec::new();
    let mut unavailable = Vec::new();
    for (group, served) in answers {
        match served {
            Ok(served) => found.extend(served.iter().find(|resource| resource.answers_to(word)).cloned()),
            // One broken extension must not hide all other kinds.
            Err(fault) if api_version.is_none() && fault.kind != FaultKind::Forbidden => {
                unavailable.push(group)
            }
            Err(fault) => return Err(fault),
        }
    }
    choose(word, found, &unavailable)
}

/// Groups that also serve kinds of others, superseded by those.
const SUPERSEDED: [&str; 2] = ["extensions", "events.k8s.io"];
/// Groups of Kubernetes itself, which come before those that are installed.
const OWN: [&str; 7] =
    ["", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io"];

fn choose(word: &str, mut found: Vec<Resource>, unavailable: &[String]) -> Result<Resource, Fault> {
    if found.len() > 1 {
        found.retain(|resource| !SUPERSEDED.contains(&resource.group.as_str()));
    }
    if let Some(own) = found.iter().position(|resource| OWN.contains(&resource.group.as_str())) {
        return Ok(found.swap_remove(own));
    }
    match found.len() {
        1 => Ok(found.swap_remove(0)),
        0 => {
            let fault = Fault::not_found(format!("the cluster serves no kind `{word}`"));
            Err(if unavailable.is_empty() {
                fault.hint("`kubectl api-resources` lists the kinds")
            } else {
                fault.hint(format!("these API groups did not answer: {}", unavailable.join(", ")))
            })
        }
        _ => {
            let places: Vec<_> = found.iter().map(Resource::api_version).collect();
            Err(Fault::permanent(format!("several API groups serve a kind `{word}`"))
                .hint(format!("set `api_version` to one of {}", places.join(", "))))
        }
    }
}

/// `apps/v1` -> group and version.
pub(crate) fn split(api_version: &str) -> (String, String) {
    match api_version.split_once('/') {
        Some((group, version)) => (group.to_owned(), version.to_owned()),
        None => (String::new(), api_version.to_owned()),
    }
}

async fn preferred(session: &Session<'_>) -> Result<Vec<(String, String)>, Fault> {
    let groups = groups(session).await?;
    let others = groups.iter().map(|group| (group.name.clone(), group.preferred_version.version.clone()));
    Ok(std::iter::once((String::new(), "v1".to_owned())).chain(others).collect())
}

async fn groups(session: &Session<'_>) -> Result<Arc<Vec<Group>>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Groups {
        groups: Vec<Group>,
    }
    let cache = &session.cluster.discovered.groups;
    if let Some(known) = cache.lock().unwrap_or_else(PoisonError::into_inner).clone() {
        return Ok(known);
    }
    let groups = match session.send(&Call::path("/apis")).await {
        Ok(answer) => Arc::new(parse::<Groups>(answer.value)?.groups),
        Err(fault) if fault.kind == FaultKind::NotFound => Arc::default(),
        Err(fault) => return Err(fault),
    };
    *cache.lock().unwrap_or_else(PoisonError::into_inner) = Some(groups.clone());
    Ok(groups)
}

async fn resources(session: &Session<'_>, group: &str, version: &str) -> Result<Arc<Vec<Resource>>, Fault> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Resources {
        resources: Vec<Resource>,
    }
    let path = Place::of(group, version, "").path()?.trim_end_matches('/').to_owned();
    let cache = &session.cluster.discovered.resources;
    if let Some(known) = cache.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned() {
        return Ok(known);
    }
    let answer = session.send(&Call::path(path.clone())).await.map_err(|fault| match fault.kind {
        FaultKind::NotFound => {
            Fault::not_found(format!("the cluster does not serve `{}`", path.trim_start_matches("/apis/")))
                .hint("`kubectl api-versions` lists what it serves")
        }
        _ => fault,
    })?;
    let mut served = parse::<Resources>(answer.value)?.resources;
    // `deployments/scale` and its like are faces of a kind, not kinds.
    served.retain(|resource| !resource.name.contains('/'));
    for resource in &mut served {
        (resource.group, resource.version) = (group.to_owned(), version.to_owned());
    }
    let served = Arc::new(served);
    cache.lock().unwrap_or_else(PoisonError::into_inner).insert(path, served.clone());
    Ok(served)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn served(group: &str, kind: &str) -> Resource {
        Resource { group: group.into(), version: "v1".into(), kind: kind.into(), ..Resource::default() }
    }

    #[test]
    fn one_of_several_groups_is_chosen() {
        for (groups, expected) in [
            (vec!["networking.k8s.io"], Ok("networking.k8s.io")),
            (vec!["extensions", "networking.k8s.io"], Ok("networking.k8s.io")),
            (vec!["extensions"], Ok("extensions")),
            (vec!["", "metrics.example.com"], Ok("")),
            (vec!["argoproj.io"], Ok("argoproj.io")),
            (vec!["one.example.com", "two.example.com"], Err(FaultKind::Permanent)),
            (vec![], Err(FaultKind::NotFound)),
        ] {
            let found = groups.iter().map(|group| served(group, "Ingress")).collect();
            let chosen =
                choose("ingress", found, &[]).map(|resource| resource.group).map_err(|fault| fault.kind);
            assert_eq!(chosen, expected.map(str::to_owned), "{groups:?}");
        }
    }

    #[test]
    fn a_kind_answers_to_all_its_names() {
        let deployment = Resource {
            name: "deployments".into(),
            kind: "Deployment".into(),
            singular_name: "deployment".into(),
            short_names: vec!["deploy".into()],
            ..Resource::default()
        };
        for word in ["deployment", "Deployment", "deployments", "deploy"] {
            assert!(deployment.answers_to(word), "{word}");
        }
        assert!(!deployment.answers_to("deployed"));
    }
}
