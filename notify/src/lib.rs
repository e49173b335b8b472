//! Who is told what.
