//! The journal: append-only events of runs, in memory or in SQLite.
