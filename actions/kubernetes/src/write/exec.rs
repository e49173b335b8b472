//! `kubernetes.exec`: a command in a container, without a terminal.

use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::{api::core::v1::Pod as ApiPod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{Api, Client, api::AttachParams};
use runbook_contract::{Action, Cx, Obstacle, PlanCx, text};
use runbook_core::{
    Value,
    change::{Change, Landed, Observed, Planned, Progress, Request, Target, Undo, Validation},
    duration::Duration,
    fault::Fault,
    spec::{ActionSpec, Effect, Grade, UndoSupport},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    time::Instant,
};

use crate::{
    client::{Call, Cluster, Session, kept, parse},
    fault, guard,
    place::Place,
    pod, read,
    read::logs::default_container,
    rights, schema, selector,
    view::Pod,
};

/// Which container, and what to run: exactly one of `pod` and `selector`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The namespace.
    namespace: String,
    /// The name of the pod.
    pod: Option<String>,
    /// A label selector; the first of its ready pods by name is taken.
    selector: Option<String>,
    /// The container; the pod's default or first one where it is left out.
    container: Option<String>,
    /// The program and its arguments. No shell reads them.
    #[schemars(length(min = 1, max = 100))]
    command: Vec<String>,
    /// How long it may run, within the time of the step.
    timeout: Option<Duration>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
struct Output {
    /// The pod that it ran in.
    pod: String,
    /// The container that it ran in.
    container: Option<String>,
    /// What it ended with.
    exit_code: Option<i64>,
    /// What it wrote, at most 64 KiB.
    stdout: String,
    /// What it complained of, at most 64 KiB.
    stderr: String,
    /// It wrote more than is given here.
    truncated: bool,
}

const LARGEST_OUTPUT: usize = 64 * 1024;
const MOST_ARGUMENTS: usize = 100;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seen {
    server: String,
    namespace: String,
    pod: String,
    uid: String,
    container: Option<String>,
    read_only: bool,
}

#[derive(Debug)]
pub(crate) struct Exec {
    cluster: Arc<Cluster>,
    spec: ActionSpec,
}

impl Exec {
    pub(crate) fn action(cluster: &Arc<Cluster>) -> Arc<dyn Action> {
        let undo = UndoSupport::None("what a command has done cannot be taken back".to_owned());
        let spec = ActionSpec {
            effect: Effect::Destructive,
            grade: Grade::Unknown,
            permissions: vec![
                schema::rbac("", "pods", &["get", "list"]),
                schema::rbac("", "pods/exec", &["create", "get"]),
            ],
            example: json!({"namespace": "production", "selector": "app=redis", "command": ["redis-cli", "info", "memory"]}),
            ..schema::write::<Input, Output>(
                "exec",
                "Runs a command in a container, without a shell or a terminal",
                undo,
            )
        };
        Arc::new(Self { cluster: cluster.clone(), spec })
    }

    fn input(&self, input: &Value) -> Result<Input, Fault> {
        let input: Input = schema::input(&self.spec, input)?;
        if input.command.first().is_none_or(String::is_empty) || input.command.len() > MOST_ARGUMENTS {
            return Err(Fault::permanent(format!(
                "`command` is a program and at most {MOST_ARGUMENTS} arguments"
            ))
            .hint("write it like `command: [redis-cli, info]`"));
        }
        Ok(input)
    }
}

async fn choose(session: &Session<'_>, input: &Input) -> Result<Pod, Fault> {
    let place = Place::core("pods").within(&input.namespace);
    match (&input.pod, &input.selector) {
        (Some(name), None) => parse(session.get(place.named(name)).await?),
        (None, Some(labels)) => {
            selector::read(labels)?;
            let listed = session.list(&place, Some(labels), None).await?;
            let mut pods: Vec<Pod> = listed.items.into_iter().map(parse).collect::<Result<_, _>>()?;
            pods.retain(|pod| pod::is_ready(pod) && !pod::is_terminating(pod));
            pods.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
            pods.into_iter().next().ok_or_else(|| {
                Fault::not_found(format!(
                    "no ready pod in namespace `{}` matches `{labels}`",
                    input.namespace
                ))
                .hint("look at kubernetes.pods")
            })
        }
        _ => Err(Fault::permanent("`with` needs either `pod` or `selector`").hint("give one of the two")),
    }
}

fn url(seen: &Seen, command: &[String]) -> Result<String, Fault> {
    let place = Place::core("pods").within(&seen.namespace).named(&seen.pod).sub("exec");
    let mut call = Call::get(place).query("stdout", "true").query("stderr", "true");
    if let Some(container) = &seen.container {
        call = call.query("container", container.clone());
    }
    let call = command.iter().fold(call, |call, word| call.query("command", word.clone()));
    Ok(format!("{}{}", seen.server, call.target()?))
}

#[async_trait]
impl Action for Exec {
    fn spec(&self) -> &ActionSpec {
        &self.spec
    }

    async fn observe(&self, cx: &Cx, input: &Value) -> Result<Observed, Fault> {
        let input = self.input(input)?;
        let session = self.cluster.session(cx).await?;
        let pod = choose(&session, &input).await?;
        let container = input.container.clone().or_else(|| default_container(&pod));
        if let Some(missing) =
            container.as_ref().filter(|it| !pod.spec.containers.iter().any(|known| known.name == **it))
        {
            let known: Vec<_> = pod.spec.containers.iter().map(|container| container.name.as_str()).collect();
            return Err(Fault::not_found(format!(
                "pod `{}` has no container `{missing}`",
                pod.metadata.name
            ))
            .hint(format!("it has: {}", known.join(", "))));
        }
        let mut warnings = Vec::new();
        if !pod::is_ready(&pod) {
            warnings.push(format!(
                "pod `{}` is not ready: {}",
                pod.metadata.name,
                pod::reason(&pod).unwrap_or_default()
            ));
        }
        let seen = Seen {
            server: session.link.server.clone(),
            namespace: input.namespace,
            pod: pod.metadata.name.clone(),
            uid: pod.metadata.uid.clone(),
            container,
            read_only: guard::is_read_only(&input.command, &self.cluster.config.read_only_exec),
        };
        let output = Output {
            pod: seen.pod.clone(),
            container: seen.container.clone(),
            exit_code: None,
            stdout: String::new(),
            stderr: String::new(),
            truncated: false,
        };
        Ok(Observed {
            target: Some(target(&seen)),
            outputs: read::outputs(&output)?,
            state: read::outputs(&seen)?,
            warnings,
        })
    }

    /// What a command writes nobody can know before it ran.
    fn overlay(&self, seen: Observed, _: &[Change]) -> (Observed, bool) {
        (seen, false)
    }

    fn plan(&self, _: &PlanCx, input: &Value, seen: &Observed) -> Result<Planned, Fault> {
        let parsed = self.input(input)?;
        let state: Seen = kept(&seen.state)?;
        let request = Request {
            method: "GET".to_owned(),
            url: url(&state, &parsed.command)?,
            body: Value::Null,
            content_type: None,
        };
        Ok(Planned::Change(Box::new(Change {
            action: self.spec.name.clone(),
            input: input.clone(),
            target: target(&state),
            summary: format!("run `{}` in pod {}", parsed.command.join(" "), state.pod),
            effect: if state.read_only { Effect::Read } else { Effect::Destructive },
            before: json!({"ran": null}),
            after: json!({"ran": parsed.command, "container": state.container}),
            request,
            precondition: Value::Null,
            image: read::outputs(&state)?,
            undo: Undo::None("what a command has done cannot be taken back".to_owned()),
            warnings: seen.warnings.clone(),
        })))
    }

    async fn validate(&self, _: &Cx, _: &Change) -> Result<Validation, Fault> {
        Ok(Validation::of(Grade::Unknown, Vec::new()))
    }

    async fn apply(&self, cx: &Cx, change: &Change) -> Result<Value, Fault> {
        let input = self.input(&change.input)?;
        let seen: Seen = kept(&change.image)?;
        let session = self.cluster.session(cx).await?;
        if session.link.server != seen.server {
            return Err(Fault::permanent(format!("the change was planned for {}", seen.server))
                .hint("this environment is another cluster; plan it here"));
        }
        let place = Place::core("pods").within(&seen.namespace).named(&seen.pod);
        let pod: Pod = parse(session.get(place).await?)?;
        if pod.metadata.uid != seen.uid {
            return Err(Fault::conflict(format!("pod `{}` was replaced by another of that name", seen.pod)));
        }
        let own = input.timeout.map(|timeout| Instant::now() + timeout.as_std());
        let deadline = own.map_or(session.deadline, |own| own.min(session.deadline));
        let ran = tokio::time::timeout_at(deadline, run(&session.link.client, &seen, &input.command)).await;
        let output = ran.map_err(|_| {
            Fault::unknown(format!("`{}` did not end in time in pod {}", input.command.join(" "), seen.pod))
                .hint("it may still be running there")
        })??;
        match output.exit_code {
            Some(0) => read::outputs(&output),
            code => {
                let said = output
                    .stderr
                    .lines()
                    .rev()
                    .find(|line| !line.trim().is_empty())
                    .unwrap_or("it said nothing");
                let said: String = said.chars().take(200).collect();
                let code = code.map_or("without a code".to_owned(), |code| format!("with {code}"));
                Err(Fault::permanent(format!(
                    "`{}` ended {code} in pod {}: {said}",
                    input.command.join(" "),
                    seen.pod
                )))
            }
        }
    }

    async fn verify(&self, _: &Cx, _: &Change) -> Result<Progress, Fault> {
        Ok(Progress::Done(Value::Null))
    }

    /// Nothing shows whether a command ran; one that only reads may run again.
    fn landed(&self, change: &Change, _: &Observed) -> Landed {
        if change.effect == Effect::Read { Landed::No } else { Landed::CannotTell }
    }

    async fn preflight(&self, cx: &Cx, input: &Value) -> Result<Vec<Obstacle>, Fault> {
        let input = self.input(input)?;
        let session = self.cluster.session(cx).await?;
        Ok(rights::missing(&session, &self.spec.permissions, Some(&input.namespace), None).await)
    }
}

fn target(seen: &Seen) -> Target {
    Target::new(format!("kubernetes:{}/pod/{}", seen.namespace, seen.pod), Some(seen.uid.clone()))
}

async fn run(client: &Client, seen: &Seen, command: &[String]) -> Result<Output, Fault> {
    let pods: Api<ApiPod> = Api::namespaced(client.clone(), &seen.namespace);
    let mut wanted = AttachParams::default().stdin(false).stdout(true).stderr(true).tty(false);
    if let Some(container) = &seen.container {
        wanted = wanted.container(container.clone());
    }
    let mut process = pods
        .exec(&seen.pod, command.to_vec(), &wanted)
        .await
        .map_err(|error| fault::exec(&error, &seen.server))?;
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let status = process.take_status();
    let ((stdout, more_out), (stderr, more_err), status) =
        tokio::join!(bounded(stdout), bounded(stderr), async {
            match status {
                Some(status) => status.await,
                None => None,
            }
        });
    let lost =
        || Fault::unknown(format!("the connection to pod {} was lost before the command ended", seen.pod));
    let exit_code = exit_code(&status.ok_or_else(lost)?)?;
    // It had to live until all was read; now nobody needs the connection.
    drop(process);
    Ok(Output {
        pod: seen.pod.clone(),
        container: seen.container.clone(),
        exit_code,
        stdout,
        stderr,
        truncated: more_out || more_err,
    })
}

/// Reads all, keeps the beginning: a command that is not read from would never end.
async fn bounded(stream: Option<impl AsyncRead + Unpin>) -> (String, bool) {
    let Some(mut stream) = stream else { return (String::new(), false) };
    let mut kept = Vec::new();
    let mut more = false;
    let mut chunk = [0_u8; 8 * 1024];
    while let Ok(read) = stream.read(&mut chunk).await {
        if read == 0 {
            break;
        }
        let room = LARGEST_OUTPUT - kept.len();
        more |= read > room;
        kept.extend_from_slice(&chunk[..read.min(room)]);
    }
    (text::clean(&String::from_utf8_lossy(&kept)), more)
}

/// `Success`, or a failure whose cause holds the exit code.
fn exit_code(status: &Status) -> Result<Option<i64>, Fault> {
    if status.status.as_deref() == Some("Success") {
        return Ok(Some(0));
    }
    let causes = status.details.as_ref().and_then(|details| details.causes.as_ref()).into_iter().flatten();
    let mut codes = causes.filter(|cause| cause.reason.as_deref() == Some("ExitCode"));
    if let Some(cause) = codes.next() {
        return Ok(cause.message.as_deref().and_then(|code| code.parse().ok()));
    }
    let said = status.message.as_deref().unwrap_or("no reason given");
    Err(Fault::permanent(format!(
        "the command could not be run: {}",
        said.chars().take(300).collect::<String>()
    ))
    .hint("is the program in the image, and on its PATH?"))
}
