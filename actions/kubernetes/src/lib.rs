//! Kubernetes actions: reads, scale, rollouts, patches, preflight.
