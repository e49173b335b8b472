//! The actions against a real API server, which needs `RUNBOOK_TEST_KUBECONFIG` (an admin) and, for
//! what is about missing rights, `RUNBOOK_TEST_KUBECONFIG_NOBODY`; and against a stub of one, for
//! what no healthy server does and what needs a kubelet.

#![expect(clippy::unwrap_used, reason = "a failed test says enough by panicking")]

mod changes;
mod faults;
mod fixture;
mod kubelet;
mod objects;
mod preflight;
mod proxy;
mod reads;
mod specs;
mod stub;
