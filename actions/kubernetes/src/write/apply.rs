//! `kubernetes.apply`: an object as a file or the runbook describes it, by server-side apply.

use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use runbook_core::{
    Value,
    fault::Fault,
    spec::{ActionSpec, Effect, Permission, UndoSupport},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::json;

use super::{
    deliver::text,
    object::{Outcome, Shape, Wish, addressed},
};
use crate::{
    Config,
    client::{APPLY_PATCH, Session},
    discover, schema,
};

/// What to apply: exactly one of `file` and `manifest`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace, where the object does not name its own.
    namespace: Option<String>,
    /// A YAML or JSON file with one object, in the folder of the playbooks.
    file: Option<PathBuf>,
    /// The object itself.
    #[schemars(schema_with = "any_object")]
    #[serde(default)]
    manifest: Value,
    /// Take fields over that someone else has set.
    #[serde(default)]
    force: bool,
}

fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object"})
}

const LARGEST_FILE: u64 = 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Apply;

#[async_trait]
impl Shape for Apply {
    type Input = Input;

    const CREATES: bool = true;
    const EFFECT: Effect = Effect::Write;

    fn spec() -> ActionSpec {
        let undo =
            UndoSupport::Auto("to the fields as they were before, or by deleting what was made".to_owned());
        ActionSpec {
            permissions: vec![Permission::Other(
                "get, create and patch on the kind that is applied".to_owned(),
            )],
            example: json!({"namespace": "production", "file": "rate-limit-strict.yaml"}),
            ..schema::write::<Input, Outcome>(
                "apply",
                "Makes an object as a file or the runbook describes it",
                undo,
            )
        }
    }

    async fn wish(session: &Session<'_>, config: &Config, input: Input) -> Result<Wish, Fault> {
        let (mut manifest, source) = match (&input.file, input.manifest) {
            (Some(file), Value::Null) => (load(config, file).await?, file.display().to_string()),
            (None, manifest @ Value::Object(_)) => (manifest, "the manifest".to_owned()),
            (None, Value::Null) | (Some(_), _) => {
                return Err(
                    Fault::permanent("`with` needs either `file` or `manifest`").hint("give one of the two")
                );
            }
            (None, _) => return Err(Fault::permanent("`manifest` is not an object")),
        };
        let field = |pointer: &str, name: &str| {
            text(&manifest, pointer).filter(|value| !value.is_empty()).ok_or_else(|| {
                Fault::permanent(format!("{source} has no `{name}`"))
                    .hint("an object has apiVersion, kind and metadata.name")
            })
        };
        let (api_version, kind, name) = (
            field("/apiVersion", "apiVersion")?,
            field("/kind", "kind")?,
            field("/metadata/name", "metadata.name")?,
        );
        let own = text(&manifest, "/metadata/namespace");
        if let (Some(own), Some(given)) = (&own, &input.namespace)
            && own != given
        {
            return Err(Fault::permanent(format!(
                "{source} is for namespace `{own}`, the step for `{given}`"
            ))
            .hint("leave one of the two out"));
        }
        let resource = discover::resource(session, &kind, Some(&api_version)).await?;
        let namespace = own.or(input.namespace).filter(|_| resource.namespaced);
        let (place, target) = addressed(&resource, namespace.as_deref(), &name)?;
        prepare(&mut manifest, namespace.as_deref());
        Ok(Wish {
            target,
            kind: resource.kind,
            place,
            content_type: APPLY_PATCH.to_owned(),
            body: manifest,
            force: input.force,
        })
    }
}

/// The server wants no books of its own in what is applied, and the namespace named.
fn prepare(manifest: &mut Value, namespace: Option<&str>) {
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) {
            for name in
                ["managedFields", "resourceVersion", "uid", "generation", "creationTimestamp", "selfLink"]
            {
                metadata.remove(name);
            }
            if let Some(namespace) = namespace {
                metadata.insert("namespace".to_owned(), json!(namespace));
            }
        }
    }
}

async fn load(config: &Config, file: &Path) -> Result<Value, Fault> {
    let Some(folder) = &config.files else {
        return Err(Fault::permanent("this environment names no folder for files")
            .hint("give `manifest` instead, or set `files`"));
    };
    let shown = file.display();
    let stays = file.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays {
        return Err(Fault::denied(format!("`{shown}` leads out of the folder of the playbooks"))
            .hint("name a file inside that folder, without `..`"));
    }
    let path = inside(folder, file).await?;
    let failed = |error: std::io::Error| {
        Fault::permanent(format!("file {} could not be read: {}", path.display(), error.kind()))
    };
    let size = tokio::fs::metadata(&path).await.map_err(failed)?.len();
    if size > LARGEST_FILE {
        return Err(Fault::permanent(format!("file {} is larger than {LARGEST_FILE} bytes", path.display())));
    }
    let bytes = tokio::fs::read_to_string(&path).await.map_err(failed)?;
    one_object(&bytes)
        .map_err(|fault| Fault { message: format!("file `{shown}`: {}", fault.message), ..fault })
}

/// The real path of a file, also where a link on the way leads elsewhere.
async fn inside(folder: &Path, file: &Path) -> Result<PathBuf, Fault> {
    let named = folder.join(file);
    let failed = |path: &Path, error: &std::io::Error| {
        Fault::permanent(format!("{} could not be read: {}", path.display(), error.kind()))
            .hint(format!("files are looked for in {}", folder.display()))
    };
    let root = tokio::fs::canonicalize(folder).await.map_err(|error| failed(folder, &error))?;
    let real = tokio::fs::canonicalize(&named).await.map_err(|error| failed(&named, &error))?;
    if real.starts_with(&root) {
        return Ok(real);
    }
    Err(Fault::denied(format!("`{}` is a link out of the folder of the playbooks", file.display())))
}

fn one_object(text: &str) -> Result<Value, Fault> {
    let options = serde_yaml::options! { strict_booleans: true };
    let documents = serde_yaml::from_multiple_with_options::<Value>(text, options).map_err(|error| {
        let at = error
            .location()
            .map(|at| format!(" (line {}, column {})", at.line(), at.column()))
            .unwrap_or_default();
        Fault::permanent(format!("not YAML{at}"))
    })?;
    let mut objects = documents.into_iter().filter(|document| !document.is_null());
    match (objects.next(), objects.next()) {
        (Some(object @ Value::Object(_)), None) => Ok(object),
        (Some(_), Some(_)) => Err(Fault::permanent("several objects in one file")
            .hint("split it: one object for each step, so that each is approved and taken back by itself")),
        _ => Err(Fault::permanent("no object in it")),
    }
}

#[cfg(test)]
mod tests {
    use runbook_core::fault::FaultKind;

    use super::*;

    #[tokio::test]
    async fn only_files_of_the_folder_are_read() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("playbooks");
        std::fs::create_dir_all(folder.join("k8s")).unwrap();
        std::fs::write(folder.join("k8s/a.yaml"), "kind: A\non: yes\n").unwrap();
        std::fs::write(folder.join("two.yaml"), "kind: A\n---\nkind: B\n").unwrap();
        std::fs::write(root.path().join("outside.yaml"), "kind: A\n").unwrap();
        std::os::unix::fs::symlink("../outside.yaml", folder.join("link.yaml")).unwrap();
        let config = Config { files: Some(folder), ..Config::default() };
        assert_eq!(load(&config, Path::new("k8s/a.yaml")).await.unwrap(), json!({"kind": "A", "on": "yes"}));
        for (file, kind) in [
            ("../outside.yaml", FaultKind::Denied),
            ("/etc/passwd", FaultKind::Denied),
            ("link.yaml", FaultKind::Denied),
            ("nothing.yaml", FaultKind::Permanent),
            ("two.yaml", FaultKind::Permanent),
        ] {
            assert_eq!(load(&config, Path::new(file)).await.unwrap_err().kind, kind, "{file}");
        }
    }
}
