//! Through which proxy a cluster is reached: the `proxy-url` of the kubeconfig, or else what
//! `HTTPS_PROXY` and `NO_PROXY` say, which as for kubectl never mean this machine.

use hyper_util::client::proxy::matcher::Matcher;
use kube::config::Kubeconfig;
use runbook_core::host::is_loopback;

/// Whether the kubeconfig names a proxy for the cluster of this context.
pub(crate) fn is_named(kubeconfig: &Kubeconfig, context: Option<&str>) -> bool {
    let wanted = context.or(kubeconfig.current_context.as_deref());
    let context = kubeconfig.contexts.iter().find(|one| Some(one.name.as_str()) == wanted);
    let Some(name) = context.and_then(|one| one.context.as_ref()).map(|one| &one.cluster) else {
        return false;
    };
    let cluster = kubeconfig.clusters.iter().find(|one| one.name == *name);
    let proxy = cluster.and_then(|one| one.cluster.as_ref()).and_then(|one| one.proxy_url.as_deref());
    proxy.is_some_and(|proxy| !proxy.is_empty())
}

/// Leaves out the proxy of the environment where it is not for this cluster.
pub(crate) fn settle(settings: &mut kube::Config, is_named: bool) {
    if !is_named && !is_meant(&settings.cluster_url, &Matcher::from_env()) {
        settings.proxy_url = None;
    }
    settings.proxy_url = settings.proxy_url.take().map(with_scheme);
}

fn is_meant(cluster: &http::Uri, environment: &Matcher) -> bool {
    !is_loopback(cluster.host().unwrap_or_default()) && environment.intercept(cluster).is_some()
}

/// `proxy.example.com:3128` is how people write it too.
fn with_scheme(proxy: http::Uri) -> http::Uri {
    let Some(authority) = proxy.authority().filter(|_| proxy.scheme().is_none()).cloned() else {
        return proxy;
    };
    let whole = http::Uri::builder().scheme("http").authority(authority).path_and_query("/").build();
    whole.unwrap_or(proxy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environments_proxy_is_for_what_is_elsewhere() {
        let environment = Matcher::builder()
            .https("http://proxy.example.com:3128")
            .no("10.0.0.0/8,.internal.example.com")
            .build();
        for (cluster, meant) in [
            ("https://api.example.com:6443", true),
            ("https://192.0.2.7", true),
            ("https://10.1.2.3:6443", false),
            ("https://k8s.internal.example.com", false),
            ("https://127.0.0.1:6443", false),
            ("https://localhost:6443", false),
            ("https://[::1]:6443", false),
            ("http://api.example.com", false),
        ] {
            assert_eq!(is_meant(&cluster.parse().unwrap(), &environment), meant, "{cluster}");
        }
        assert!(!is_meant(&"https://api.example.com".parse().unwrap(), &Matcher::builder().build()));
    }

    #[test]
    fn a_proxy_may_be_written_without_its_scheme() {
        for (written, read) in [
            ("proxy.example.com:3128", "http://proxy.example.com:3128/"),
            ("http://proxy.example.com:3128", "http://proxy.example.com:3128/"),
            ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080/"),
        ] {
            assert_eq!(with_scheme(written.parse().unwrap()).to_string(), read);
        }
    }

    #[test]
    fn a_kubeconfig_names_one_for_the_context_that_is_used() {
        let text = "
apiVersion: v1
kind: Config
current-context: near
clusters:
  - { name: a, cluster: { server: 'https://a' } }
  - { name: b, cluster: { server: 'https://b', proxy-url: 'socks5://127.0.0.1:1080' } }
contexts:
  - { name: near, context: { cluster: a, user: u } }
  - { name: far, context: { cluster: b, user: u } }
";
        let kubeconfig = Kubeconfig::from_yaml(text).unwrap();
        for (context, named) in
            [(None, false), (Some("near"), false), (Some("far"), true), (Some("gone"), false)]
        {
            assert_eq!(is_named(&kubeconfig, context), named, "{context:?}");
        }
    }
}
