//! What detectors send.
