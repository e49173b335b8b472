//! Hosted zones, their records, and batches of changes to them.

pub(crate) mod batch;
pub(crate) mod record;
pub(crate) mod wire;
pub(crate) mod zone;
