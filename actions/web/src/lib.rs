//! Actions over HTTP: Prometheus, requests, feature flags, chat.
