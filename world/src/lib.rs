//! A simulated environment that speaks the real protocols on loopback.
