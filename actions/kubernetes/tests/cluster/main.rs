//! The actions against a real API server. Needs `RUNBOOK_TEST_KUBECONFIG` (an admin) and, for what
//! is about missing rights, `RUNBOOK_TEST_KUBECONFIG_NOBODY`.

mod changes;
mod faults;
mod fixture;
mod objects;
mod preflight;
mod reads;
mod specs;
