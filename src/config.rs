//! `runbook.yaml`, the environment and the flags, read once into one value.
