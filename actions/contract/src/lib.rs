//! The contract between the engine and its action providers.
