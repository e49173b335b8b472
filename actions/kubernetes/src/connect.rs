//! From a kubeconfig to a connection. Nothing of a credential ever enters a message.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use kube::{
    Client,
    client::{AuthError, ClientBuilder},
    config::{KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use runbook_contract::Access;
use runbook_core::fault::Fault;

use crate::{Config, guard::Guard, proxy};

/// A write that cannot even connect in this time was surely not sent, so it stays well below the
/// time a call is given.
const CONNECT: Duration = Duration::from_secs(5);

/// What a wrong proxy is answered with.
const PROXY: &str = "check `proxy-url` of the kubeconfig, or HTTPS_PROXY and NO_PROXY: http://, https:// and socks5:// can be used";

/// A client, and whom it speaks to.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) client: Client,
    /// `https://host:port`, without any credentials.
    pub(crate) server: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Reads the kubeconfig and builds the client; sends nothing, but may run a credential plugin.
pub(crate) async fn connect(config: &Config, access: &Arc<Access>) -> Result<Link, Fault> {
    let mut settings = settings(config).await?;
    // Whether a request may be sent again is the engine's to decide.
    settings.default_retry = false;
    settings.connect_timeout = Some(CONNECT);
    let server = config.called.clone().unwrap_or_else(|| server_of(&settings.cluster_url));
    let guard = Guard::new(access.clone(), config.read_only_exec.clone());
    // A credential plugin is a program that is run and waited for.
    let runtime = tokio::runtime::Handle::current();
    let built = tokio::task::spawn_blocking(move || {
        let _inside = runtime.enter();
        ClientBuilder::try_from(settings).map(|builder| builder.with_layer(&guard).build())
    });
    let client = built
        .await
        .map_err(|_| Fault::permanent("the connection to the cluster could not be set up"))?
        .map_err(|error| cannot_build(&error))?;
    Ok(Link { client, server })
}

/// Scheme, host and port of a URL: what may be shown of it.
fn server_of(url: &http::Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("https");
    let host = url.host().unwrap_or("localhost");
    let path = url.path().trim_end_matches('/');
    match url.port_u16() {
        Some(port) => format!("{scheme}://{host}:{port}{path}"),
        None => format!("{scheme}://{host}{path}"),
    }
}

async fn settings(config: &Config) -> Result<kube::Config, Fault> {
    let (kubeconfig, place) = match &config.inline {
        Some(text) => {
            let parsed = Kubeconfig::from_yaml(text);
            (
                parsed.map_err(|error| cannot_read(&error, "the given kubeconfig"))?,
                "the given kubeconfig".to_owned(),
            )
        }
        None => match find(config)? {
            Found::File(path) => {
                let read = Kubeconfig::read_from(&path);
                let place = path.display().to_string();
                (read.map_err(|error| cannot_read(&error, &place))?, place)
            }
            Found::Variable(files) => {
                let read = Kubeconfig::read();
                (read.map_err(|error| cannot_read(&error, &files))?, files)
            }
            Found::InCluster => return in_cluster(),
        },
    };
    check_context(&kubeconfig, config.context.as_deref(), &place)?;
    let options = KubeConfigOptions { context: config.context.clone(), ..KubeConfigOptions::default() };
    let is_proxied = proxy::is_named(&kubeconfig, config.context.as_deref());
    let mut settings = kube::Config::from_custom_kubeconfig(kubeconfig, &options)
        .await
        .map_err(|error| cannot_read(&error, &place))?;
    proxy::settle(&mut settings, is_proxied);
    // Nothing to trust: a machine without certificates reaches a simulated cluster too.
    if settings.cluster_url.scheme_str() == Some("http") {
        settings.root_cert = Some(Vec::new());
    }
    Ok(settings)
}

enum Found {
    File(PathBuf),
    /// `KUBECONFIG`, which may list several files to be merged.
    Variable(String),
    InCluster,
}

fn find(config: &Config) -> Result<Found, Fault> {
    if let Some(path) = &config.kubeconfig {
        return Ok(Found::File(expand(path)?));
    }
    if let Some(files) = std::env::var("KUBECONFIG").ok().filter(|files| !files.is_empty()) {
        return Ok(Found::Variable(files));
    }
    let usual = expand(Path::new("~/.kube/config"));
    match usual {
        Ok(path) if path.exists() => Ok(Found::File(path)),
        _ if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => Ok(Found::InCluster),
        Ok(path) => Ok(Found::File(path)),
        Err(fault) => Err(fault),
    }
}

/// `~` and `~/…` are the home folder; another user's home is not looked up.
fn expand(path: &Path) -> Result<PathBuf, Fault> {
    let Ok(rest) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
    match std::env::var_os("HOME").filter(|home| !home.is_empty()) {
        Some(home) => Ok(Path::new(&home).join(rest)),
        None => {
            Err(Fault::permanent(format!("`{}` names a home folder, but HOME is not set", path.display()))
                .hint("write the whole path of the kubeconfig"))
        }
    }
}

fn in_cluster() -> Result<kube::Config, Fault> {
    kube::Config::incluster().map_err(|error| {
        Fault::permanent(format!("the service account of this pod could not be used: {error}"))
            .hint("mount a service account token, or name a kubeconfig")
    })
}

fn check_context(kubeconfig: &Kubeconfig, wanted: Option<&str>, place: &str) -> Result<(), Fault> {
    let known: Vec<&str> = kubeconfig.contexts.iter().map(|context| context.name.as_str()).collect();
    let there = if known.is_empty() {
        "it holds no contexts".to_owned()
    } else {
        format!("it holds: {}", known.join(", "))
    };
    match wanted.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty()) {
        Some(name) if known.contains(&name) => Ok(()),
        Some(name) => Err(Fault::permanent(format!("there is no context `{name}` in {place}")).hint(there)),
        None => Err(Fault::permanent(format!("{place} names no current context"))
            .hint(format!("set `context` for this environment; {there}"))),
    }
}

/// What the system says of a file, in words for people.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        kind => kind.to_string(),
    }
}

/// The parser's own message quotes the file, and so perhaps a token: only the position is said.
fn cannot_read(error: &KubeconfigError, place: &str) -> Fault {
    match error {
        KubeconfigError::ReadConfig(source, path) => {
            Fault::permanent(format!("kubeconfig {} could not be read: {}", path.display(), why(source)))
                .hint(format!(
                    "set `kubeconfig` for this environment, or KUBECONFIG; {} was tried",
                    path.display()
                ))
        }
        KubeconfigError::Parse(source) => {
            let at = source.location().map(|at| format!(" (line {})", at.line())).unwrap_or_default();
            Fault::permanent(format!("{place} is not a kubeconfig{at}"))
                .hint("`kubectl config view` shows whether kubectl can read it")
        }
        KubeconfigError::LoadCertificateAuthority(_)
        | KubeconfigError::LoadClientCertificate(_)
        | KubeconfigError::LoadClientKey(_) => Fault::permanent(format!("{place}: {}", plain(error)))
            .hint("check the certificate and key files that the kubeconfig names"),
        // Its URL may hold a password.
        KubeconfigError::ParseProxyUrl(_) | KubeconfigError::ParseNoProxy(_) => {
            Fault::permanent("the proxy to the cluster is not one").hint(PROXY)
        }
        other => Fault::permanent(format!("{place}: {}", plain(other))),
    }
}

/// The message of an error that is known to hold no more than names and paths.
fn plain(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::Parse(_) => "not a kubeconfig".to_owned(),
        other => other.to_string(),
    }
}

fn cannot_build(error: &kube::Error) -> Fault {
    match error {
        kube::Error::Auth(error) => credentials(error),
        kube::Error::RustlsTls(error) => {
            Fault::permanent(format!("the certificates of the kubeconfig could not be used: {error}"))
        }
        kube::Error::ProxyProtocolUnsupported { .. } => {
            Fault::permanent("the proxy to the cluster is of a kind that is not spoken").hint(PROXY)
        }
        kube::Error::InferKubeconfig(error) => cannot_read(error, "the kubeconfig"),
        _ => Fault::permanent("the connection to the cluster could not be set up from the kubeconfig"),
    }
}

const LONGEST_PLUGIN_MESSAGE: usize = 200;

/// What a credential plugin or a token file came to. A plugin's standard output is a credential
/// and never shown; the last line of what it says to people is.
pub(crate) fn credentials(error: &AuthError) -> Fault {
    let hint = "log in again with the tool that the kubeconfig names, then retry";
    let message = match error {
        AuthError::AuthExecRun { cmd, out } => {
            let program = cmd.split_whitespace().next().unwrap_or("the program").trim_matches('"');
            let said = String::from_utf8_lossy(&out.stderr);
            let last: String = said
                .lines()
                .rev()
                .find(|line| !line.trim().is_empty())
                .unwrap_or_default()
                .chars()
                .take(LONGEST_PLUGIN_MESSAGE)
                .collect();
            format!("the credential program `{program}` failed ({}): {last}", out.status)
        }
        AuthError::AuthExecStart(source) => format!("the credential program could not be started: {source}"),
        AuthError::ReadTokenFile(source, path) => {
            format!("token file {} could not be read: {}", path.display(), why(source))
        }
        AuthError::MissingCommand => "the kubeconfig names a credential program without a command".to_owned(),
        _ => "the kubeconfig's credentials could not be used".to_owned(),
    };
    Fault::forbidden(message).hint(hint)
}

#[cfg(test)]
mod tests {
    use runbook_contract::Mode;
    use runbook_core::fault::FaultKind;

    use super::*;

    const GOOD: &str = "
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: 'http://user:hunter2@127.0.0.1:1'}}]
users: [{name: u, user: {token: hunter2}}]
contexts: [{name: prod, context: {cluster: c, user: u}}, {name: stage, context: {cluster: c, user: u}}]
current-context: prod
";

    async fn fault(config: Config) -> Fault {
        connect(&config, &Access::new(Mode::ReadOnly)).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_good_kubeconfig_connects_without_a_request() {
        let config = Config { inline: Some(GOOD.to_owned()), ..Config::default() };
        let access = Access::new(Mode::ReadOnly);
        let link = connect(&config, &access).await.unwrap();
        assert_eq!(link.server, "http://127.0.0.1:1");
        assert_eq!(access.reads_sent(), 0);
        let named = Config { called: Some("http://simulated".to_owned()), ..config };
        assert_eq!(connect(&named, &access).await.unwrap().server, "http://simulated");
    }

    #[tokio::test]
    async fn a_missing_kubeconfig_names_the_path() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nowhere.yaml");
        let fault = fault(Config { kubeconfig: Some(path.clone()), ..Config::default() }).await;
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert!(fault.message.contains("could not be read: there is no such file"), "{}", fault.message);
        assert!(fault.hint.unwrap().contains(path.to_str().unwrap()));
    }

    #[tokio::test]
    async fn an_unknown_context_names_those_that_exist() {
        let config =
            Config { inline: Some(GOOD.to_owned()), context: Some("prd".into()), ..Config::default() };
        let fault = fault(config).await;
        assert_eq!(fault.kind, FaultKind::Permanent);
        assert_eq!(fault.message, "there is no context `prd` in the given kubeconfig");
        assert_eq!(fault.hint.as_deref(), Some("it holds: prod, stage"));
    }

    #[tokio::test]
    async fn no_part_of_a_broken_kubeconfig_is_quoted() {
        for text in ["users: [{name: u, user: {token: hunter2", "users: {token: hunter2}", "hunter2"] {
            let fault = fault(Config { inline: Some(text.to_owned()), ..Config::default() }).await;
            assert_eq!(fault.kind, FaultKind::Permanent);
            assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn a_failing_credential_program_says_why_but_not_what() {
        let text = GOOD.replace(
            "{token: hunter2}",
            "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, interactiveMode: Never, \
             args: ['-c', 'echo hunter2; echo the session has expired >&2; exit 3']}}",
        );
        let fault = fault(Config { inline: Some(text), ..Config::default() }).await;
        assert_eq!(fault.kind, FaultKind::Forbidden);
        assert!(fault.message.contains("the session has expired"), "{}", fault.message);
        assert!(!format!("{fault:?}").contains("hunter2"), "{fault:?}");
    }

    #[test]
    fn a_home_folder_is_expanded() {
        let home = std::env::var("HOME").unwrap();
        assert_eq!(expand(Path::new("~/.kube/config")).unwrap(), Path::new(&home).join(".kube/config"));
        assert_eq!(expand(Path::new("/etc/~/x")).unwrap(), Path::new("/etc/~/x"));
    }
}
