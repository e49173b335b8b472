//! Where the API serves things, as typed paths: nothing from outside is pasted into a URL.

use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use runbook_core::fault::Fault;
use serde::{Deserialize, Serialize};

/// What may not stand bare in a path segment or a query value.
const RESERVED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'&')
    .add(b'+')
    .add(b'/')
    .add(b'<')
    .add(b'=')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// A text as it may stand in a path segment or a query value.
pub(crate) fn encoded(text: &str) -> impl fmt::Display + '_ {
    utf8_percent_encode(text, RESERVED)
}

/// A collection, one object of it, or one face of that object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) group: String,
    pub(crate) version: String,
    /// The plural name: `deployments`.
    pub(crate) resource: String,
    pub(crate) namespace: Option<String>,
    pub(crate) name: Option<String>,
    #[serde(skip)]
    pub(crate) subresource: Option<&'static str>,
}

impl Place {
    pub(crate) fn of(group: &str, version: &str, resource: &str) -> Self {
        Self {
            group: group.to_owned(),
            version: version.to_owned(),
            resource: resource.to_owned(),
            namespace: None,
            name: None,
            subresource: None,
        }
    }
    pub(crate) fn core(resource: &str) -> Self {
        Self::of("", "v1", resource)
    }
    pub(crate) fn apps(resource: &str) -> Self {
        Self::of("apps", "v1", resource)
    }
    #[must_use]
    pub(crate) fn within(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }
    #[must_use]
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }
    #[must_use]
    pub(crate) fn sub(mut self, subresource: &'static str) -> Self {
        self.subresource = Some(subresource);
        self
    }
    /// The collection that holds this object.
    #[must_use]
    pub(crate) fn collection(&self) -> Self {
        Self { name: None, subresource: None, ..self.clone() }
    }

    /// The path on the server; refuses names that no object can have.
    pub(crate) fn path(&self) -> Result<String, Fault> {
        let mut path = match self.group.as_str() {
            "" => format!("/api/{}", encoded(&self.version)),
            group => format!("/apis/{}/{}", encoded(group), encoded(&self.version)),
        };
        let mut push = |segment: &str| {
            path.push('/');
            path.push_str(&encoded(segment).to_string());
        };
        if let Some(namespace) = &self.namespace {
            push("namespaces");
            push(a_name(namespace)?);
        }
        push(&self.resource);
        if let Some(name) = &self.name {
            push(a_name(name)?);
        }
        if let Some(subresource) = self.subresource {
            push(subresource);
        }
        Ok(path)
    }

    /// `deployments.apps`, `pods/log`: as roles and error messages name it.
    pub(crate) fn resource_name(&self) -> String {
        let mut name = self.resource.clone();
        if let Some(subresource) = self.subresource {
            name = format!("{name}/{subresource}");
        }
        if self.group.is_empty() { name } else { format!("{name}.{}", self.group) }
    }
}

impl fmt::Display for Place {
    /// `deployments.apps "api" in namespace "shop"`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource_name())?;
        if let Some(name) = &self.name {
            write!(f, " `{name}`")?;
        }
        if let Some(namespace) = &self.namespace {
            write!(f, " in namespace `{namespace}`")?;
        }
        Ok(())
    }
}

/// The rule of the API for a name in a path.
fn a_name(name: &str) -> Result<&str, Fault> {
    let wrong =
        name.is_empty() || name.len() > 253 || name == "." || name == ".." || name.contains(['/', '%']);
    if wrong {
        let shown: String = name.chars().take(80).collect();
        return Err(Fault::permanent(format!("`{shown}` cannot be the name of an object"))
            .hint("names are up to 253 letters, digits, `-` and `.`"));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_those_of_the_api() {
        let deployment = Place::apps("deployments").within("shop").named("api");
        for (place, path, name) in [
            (Place::core("nodes"), "/api/v1/nodes", "nodes"),
            (Place::core("pods").within("shop"), "/api/v1/namespaces/shop/pods", "pods"),
            (deployment.clone(), "/apis/apps/v1/namespaces/shop/deployments/api", "deployments.apps"),
            (
                deployment.clone().sub("scale"),
                "/apis/apps/v1/namespaces/shop/deployments/api/scale",
                "deployments/scale.apps",
            ),
            (
                deployment.sub("scale").collection(),
                "/apis/apps/v1/namespaces/shop/deployments",
                "deployments.apps",
            ),
        ] {
            assert_eq!(place.path().unwrap(), path);
            assert_eq!(place.resource_name(), name);
        }
    }

    #[test]
    fn a_name_cannot_leave_its_segment() {
        for name in ["", ".", "..", "api/scale", "api%2fscale"] {
            let place = Place::core("pods").within("shop").named(name);
            assert!(place.path().is_err(), "{name:?} was taken");
            assert!(Place::core("pods").within(name).path().is_err(), "{name:?} was taken");
        }
        let odd = Place::core("pods").within("shop").named("a?b#c d");
        assert_eq!(odd.path().unwrap(), "/api/v1/namespaces/shop/pods/a%3Fb%23c%20d");
    }
}
