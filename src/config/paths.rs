//! Paths of the file: `~` is the home folder, and what is relative starts from the file's folder.

use std::path::{Path, PathBuf};

use runbook_contract::SecretSource;

use super::{Config, Environment};

impl Config {
    pub(super) fn settle_paths(&mut self) {
        let root = self.root.clone();
        self.playbooks = settled(&root, &self.playbooks);
        if let Some(path) = self.store.url.strip_prefix("sqlite:") {
            self.store.url = format!("sqlite:{}", settled(&root, Path::new(path)).display());
        }
        if let Some(password) = &mut self.store.password {
            settle_source(&root, password);
        }
        self.secrets.values_mut().for_each(|source| settle_source(&root, source));
        let hooks = self.hooks.values_mut().flat_map(|hook| hook.sources_mut());
        let oidc = self.auth.as_mut().and_then(|auth| auth.oidc.as_mut());
        hooks.chain(oidc.and_then(|oidc| oidc.client_secret.as_mut())).for_each(|source| {
            settle_source(&root, source);
        });
        for path in self.notifications.iter_mut().flat_map(|channel| channel.secret_files()) {
            *path = settled(&root, path);
        }
        if let Some(tls) = &mut self.server.tls {
            tls.certificate = settled(&root, &tls.certificate);
            tls.key = settled(&root, &tls.key);
            for path in tls.client_authorities.iter_mut() {
                *path = settled(&root, path);
            }
        }
        self.environments.values_mut().for_each(|environment| environment.settle_paths(&root));
    }
}

impl Environment {
    fn settle_paths(&mut self, root: &Path) {
        #[cfg(feature = "kubernetes")]
        if let Some(path) = self.kubernetes.as_mut().and_then(|config| config.kubeconfig.as_mut()) {
            *path = settled(root, path);
        }
        let mut sources: Vec<&mut SecretSource> = self.secrets.values_mut().collect();
        if let Some(prometheus) = &mut self.prometheus {
            sources.extend(prometheus.token.as_mut());
            sources.extend(prometheus.basic.as_mut().map(|basic| &mut basic.password));
        }
        sources.extend(self.flags.as_mut().and_then(|flags| flags.token.as_mut()));
        sources.extend(self.slack.as_mut().map(|slack| &mut slack.token));
        sources.into_iter().for_each(|source| settle_source(root, source));
    }
}

fn settle_source(root: &Path, source: &mut SecretSource) {
    if let SecretSource::File(path) = source {
        *path = settled(root, path);
    }
}

fn settled(root: &Path, path: &Path) -> PathBuf {
    let home = || path.strip_prefix("~").ok().zip(std::env::home_dir());
    match home() {
        Some((rest, home)) => home.join(rest),
        None => root.join(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_start_from_the_file_or_from_home() {
        let home = std::env::home_dir().unwrap();
        for (path, expected) in [
            ("playbooks", PathBuf::from("/etc/runbook/playbooks")),
            ("../x", PathBuf::from("/etc/runbook/../x")),
            ("/var/x", PathBuf::from("/var/x")),
            ("~/.kube/config", home.join(".kube/config")),
            ("~other/x", PathBuf::from("/etc/runbook/~other/x")),
        ] {
            assert_eq!(settled(Path::new("/etc/runbook"), Path::new(path)), expected, "{path}");
        }
    }
}
