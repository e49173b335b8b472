//! The pure core: language, checker, expressions, events, fold, decide, timeline.
