//! The composition root: the only place that names stores and providers.
