//! The guard at the transport. Every provider asks it before a request leaves; in a dry-run it
//! refuses whatever could change the world, whoever asks, and it counts what was sent.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use runbook_core::fault::Fault;

/// Whether requests that change the world may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    ReadOnly,
    ReadWrite,
}

/// What a request is, as the transport sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// It reads, or the server promises not to persist it (`dryRun=All`).
    Read,
    Write,
}

impl Intent {
    /// The intent of an HTTP method where nothing else is known of the request.
    pub fn of_method(method: &http::Method) -> Self {
        if matches!(*method, http::Method::GET | http::Method::HEAD | http::Method::OPTIONS) {
            Self::Read
        } else {
            Self::Write
        }
    }
}

/// Shared by all transports of one run's providers.
#[derive(Debug)]
pub struct Access {
    mode: Mode,
    reads: AtomicU64,
    writes: AtomicU64,
    refused: AtomicU64,
}

impl Access {
    pub fn new(mode: Mode) -> Arc<Self> {
        Arc::new(Self { mode, reads: 0.into(), writes: 0.into(), refused: 0.into() })
    }
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// Asked by a transport just before a request leaves.
    pub fn admit(&self, intent: Intent) -> Result<(), Fault> {
        match (intent, self.mode) {
            (Intent::Read, _) => self.reads.fetch_add(1, Ordering::Relaxed),
            (Intent::Write, Mode::ReadWrite) => self.writes.fetch_add(1, Ordering::Relaxed),
            (Intent::Write, Mode::ReadOnly) => {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(Fault::denied("a dry-run tried to send a request that changes the world")
                    .hint("nothing was sent; this is a defect of the action, please report it"));
            }
        };
        Ok(())
    }
    pub fn reads_sent(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }
    pub fn writes_sent(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }
    /// Writes that the guard stopped: zero unless an action misbehaves.
    pub fn writes_refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
