//! Exec: a handful of harmless commands, and what they print in a simulated container.

use serde_json::{Value, json};

use crate::kubernetes::failure::Failure;
use crate::kubernetes::views::View;
use crate::kubernetes::views::pods::{Phase, phase};
use crate::state::{Pod, text};

/// Channels of the remote command protocol.
pub(crate) const STDOUT: u8 = 1;
pub(crate) const STDERR: u8 = 2;
pub(crate) const ERROR: u8 = 3;

/// What a command printed, and how it ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
}

impl Output {
    fn printed(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    fn failed(code: i32, stderr: impl Into<String>) -> Self {
        Self { stderr: stderr.into(), code, ..Self::default() }
    }

    /// What goes over the error channel at the end.
    pub fn status(&self) -> Value {
        if self.code == 0 {
            return json!({ "metadata": {}, "status": "Success" });
        }
        json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {}", self.code),
            "details": { "causes": [{ "reason": "ExitCode", "message": self.code.to_string() }] },
        })
    }
}

/// Runs a command in a pod.
pub(crate) fn run(view: &View<'_>, namespace: &str, name: &str, argv: &[&str]) -> Result<Output, Failure> {
    let resource = crate::kubernetes::resources::by_kind("Pod").ok_or_else(Failure::no_such_path)?;
    let pod = view.pods().find(|pod| pod.namespace == namespace && pod.name == name);
    let pod = pod.ok_or_else(|| Failure::not_found(resource, name))?;
    if argv.is_empty() {
        return Err(Failure::bad_request("you must specify at least 1 command for the container"));
    }
    if !matches!(phase(view, pod), Phase::Running { .. }) {
        return Err(Failure::internal(format!(
            "unable to upgrade connection: container not found (\"{}\")",
            pod.deployment
        )));
    }
    Ok(output(view, pod, argv))
}

fn output(view: &View<'_>, pod: &Pod, argv: &[&str]) -> Output {
    match argv {
        ["true"] => Output::default(),
        ["false"] => Output::failed(1, ""),
        ["echo", words @ ..] => Output::printed(format!("{}\n", words.join(" "))),
        ["hostname"] | ["cat", "/etc/hostname"] => Output::printed(format!("{}\n", pod.name)),
        ["env" | "printenv"] => Output::printed(environment(view, pod)),
        ["printenv", name] => {
            let all = environment(view, pod);
            let found = all.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
            found.map_or_else(|| Output::failed(1, ""), |value| Output::printed(format!("{value}\n")))
        }
        ["id"] => Output::printed("uid=1000(simulated) gid=1000(simulated)\n"),
        ["pwd"] => Output::printed("/app\n"),
        ["ls"] | ["ls", "/app"] => Output::printed("app\nconfig\n"),
        ["uname", ..] => Output::printed("Simulated\n"),
        ["date", ..] => Output::printed(format!("{}\n", view.stamp(view.now))),
        ["cat", path] => Output::failed(1, format!("cat: {path}: No such file or directory\n")),
        [program, ..] => Output::failed(
            127,
            format!(
                "{program}: the simulated container has no such program; it knows echo, env, hostname, id, ls, date\n"
            ),
        ),
        [] => Output::default(),
    }
}

fn environment(view: &View<'_>, pod: &Pod) -> String {
    let set = view.state.object("replicasets.apps", &pod.namespace, &pod.replica_set);
    let listed =
        set.and_then(|set| set.pointer("/spec/template/spec/containers/0/env")).and_then(Value::as_array);
    let own = listed.into_iter().flatten().map(|v| format!("{}={}\n", text(v, "/name"), text(v, "/value")));
    let first = [
        "PATH=/usr/bin:/bin\n".to_owned(),
        format!("HOSTNAME={}\n", pod.name),
        "SIMULATED=true\n".to_owned(),
    ];
    first.into_iter().chain(own).collect()
}
