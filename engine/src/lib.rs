//! The engine: drives runs, performs their effects, guards their targets.
