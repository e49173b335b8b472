//! The incident desk.
