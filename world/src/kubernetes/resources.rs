//! The kinds that the simulated API server serves, and what may be done with each.

/// Everything that discovery tells about a resource.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    /// Empty for the core group.
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    pub kind: &'static str,
    pub short: &'static [&'static str],
    pub namespaced: bool,
    pub verbs: &'static [&'static str],
    /// Name, kind and verbs of each subresource.
    pub subresources: &'static [(&'static str, &'static str, &'static [&'static str])],
    /// Shown by `kubectl get all`.
    pub in_all: bool,
}

const READ: &[&str] = &["get", "list", "watch"];
const GET_LIST: &[&str] = &["get", "list"];
const CREATE: &[&str] = &["create"];
const CHANGE: &[&str] = &["get", "list", "watch", "patch", "update"];
const ALL: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];
const NAMESPACE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];
const POD: &[&str] = &["delete", "deletecollection", "get", "list", "watch"];
const STATUS: &[&str] = &["get"];

const PLAIN: Resource = Resource {
    group: "",
    version: "v1",
    plural: "",
    singular: "",
    kind: "",
    short: &[],
    namespaced: true,
    verbs: READ,
    subresources: &[],
    in_all: false,
};

pub(crate) static RESOURCES: &[Resource] = &[
    Resource {
        plural: "configmaps",
        singular: "configmap",
        kind: "ConfigMap",
        short: &["cm"],
        verbs: ALL,
        ..PLAIN
    },
    Resource { plural: "endpoints", singular: "endpoints", kind: "Endpoints", short: &["ep"], ..PLAIN },
    Resource { plural: "events", singular: "event", kind: "Event", short: &["ev"], ..PLAIN },
    Resource {
        plural: "limitranges",
        singular: "limitrange",
        kind: "LimitRange",
        short: &["limits"],
        ..PLAIN
    },
    Resource {
        plural: "namespaces",
        singular: "namespace",
        kind: "Namespace",
        short: &["ns"],
        namespaced: false,
        verbs: NAMESPACE,
        ..PLAIN
    },
    Resource {
        plural: "nodes",
        singular: "node",
        kind: "Node",
        short: &["no"],
        namespaced: false,
        verbs: CHANGE,
        ..PLAIN
    },
    Resource {
        plural: "pods",
        singular: "pod",
        kind: "Pod",
        short: &["po"],
        verbs: POD,
        subresources: &[
            ("eviction", "Eviction", CREATE),
            ("exec", "PodExecOptions", &["create", "get"]),
            ("log", "Pod", STATUS),
            ("status", "Pod", STATUS),
        ],
        in_all: true,
        ..PLAIN
    },
    Resource {
        plural: "resourcequotas",
        singular: "resourcequota",
        kind: "ResourceQuota",
        short: &["quota"],
        verbs: ALL,
        ..PLAIN
    },
    Resource {
        plural: "serviceaccounts",
        singular: "serviceaccount",
        kind: "ServiceAccount",
        short: &["sa"],
        ..PLAIN
    },
    Resource {
        plural: "services",
        singular: "service",
        kind: "Service",
        short: &["svc"],
        verbs: ALL,
        in_all: true,
        ..PLAIN
    },
    Resource {
        group: "apps",
        plural: "deployments",
        singular: "deployment",
        kind: "Deployment",
        short: &["deploy"],
        verbs: ALL,
        subresources: &[("scale", "Scale", &["get", "patch", "update"]), ("status", "Deployment", STATUS)],
        in_all: true,
        ..PLAIN
    },
    Resource {
        group: "apps",
        plural: "replicasets",
        singular: "replicaset",
        kind: "ReplicaSet",
        short: &["rs"],
        subresources: &[("status", "ReplicaSet", STATUS)],
        in_all: true,
        ..PLAIN
    },
    Resource {
        group: "argoproj.io",
        version: "v1alpha1",
        plural: "applications",
        singular: "application",
        kind: "Application",
        short: &["app"],
        verbs: ALL,
        ..PLAIN
    },
    Resource {
        group: "authorization.k8s.io",
        plural: "selfsubjectaccessreviews",
        singular: "selfsubjectaccessreview",
        kind: "SelfSubjectAccessReview",
        namespaced: false,
        verbs: CREATE,
        ..PLAIN
    },
    Resource {
        group: "authorization.k8s.io",
        plural: "selfsubjectrulesreviews",
        singular: "selfsubjectrulesreview",
        kind: "SelfSubjectRulesReview",
        namespaced: false,
        verbs: CREATE,
        ..PLAIN
    },
    Resource {
        group: "autoscaling",
        version: "v2",
        plural: "horizontalpodautoscalers",
        singular: "horizontalpodautoscaler",
        kind: "HorizontalPodAutoscaler",
        short: &["hpa"],
        verbs: ALL,
        in_all: true,
        ..PLAIN
    },
    Resource {
        group: "discovery.k8s.io",
        plural: "endpointslices",
        singular: "endpointslice",
        kind: "EndpointSlice",
        ..PLAIN
    },
    Resource {
        group: "metrics.k8s.io",
        version: "v1beta1",
        plural: "nodes",
        singular: "",
        kind: "NodeMetrics",
        namespaced: false,
        verbs: GET_LIST,
        ..PLAIN
    },
    Resource {
        group: "metrics.k8s.io",
        version: "v1beta1",
        plural: "pods",
        kind: "PodMetrics",
        verbs: GET_LIST,
        ..PLAIN
    },
    Resource {
        group: "networking.k8s.io",
        plural: "ingresses",
        singular: "ingress",
        kind: "Ingress",
        short: &["ing"],
        verbs: ALL,
        ..PLAIN
    },
    Resource {
        group: "networking.k8s.io",
        plural: "networkpolicies",
        singular: "networkpolicy",
        kind: "NetworkPolicy",
        short: &["netpol"],
        verbs: ALL,
        ..PLAIN
    },
    Resource {
        group: "policy",
        plural: "poddisruptionbudgets",
        singular: "poddisruptionbudget",
        kind: "PodDisruptionBudget",
        short: &["pdb"],
        verbs: ALL,
        ..PLAIN
    },
];

impl Resource {
    /// `plural.group`, or the plural alone for the core group.
    pub fn id(&self) -> String {
        if self.group.is_empty() { self.plural.to_owned() } else { format!("{}.{}", self.plural, self.group) }
    }

    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub fn allows(&self, verb: &str) -> bool {
        self.verbs.contains(&verb)
    }

    /// Custom resources have no typed schema and no strategic merge.
    pub fn is_custom(&self) -> bool {
        self.group.contains("argoproj")
    }
}

pub(crate) fn find(group: &str, version: &str, plural: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.group == group && r.version == version && r.plural == plural)
}

pub(crate) fn by_kind(kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.kind == kind)
}

pub(crate) fn by_api_and_kind(api_version: &str, kind: &str) -> Option<&'static Resource> {
    RESOURCES.iter().find(|r| r.kind == kind && r.api_version() == api_version)
}

/// Group and version of everything that is served, without the core group, in discovery's order.
pub(crate) fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> =
        RESOURCES.iter().filter(|r| !r.group.is_empty()).map(|r| (r.group, r.version)).collect();
    groups.dedup();
    groups
}
