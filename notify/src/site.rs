//! Where people find the pages.

use runbook_core::event::RunId;
use url::Url;

use crate::config::{Address, NotAnAddress};

/// The public address of the pages, for links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site(Address);

impl Site {
    /// # Errors
    /// Addresses that are not `https`, nor this machine.
    pub fn new(base: &str) -> Result<Self, NotAnAddress> {
        base.parse().map(Self)
    }

    pub fn home(&self) -> Url {
        self.0.url().clone()
    }

    /// `BASE/incidents/ID`
    pub fn incident(&self, id: &str) -> Url {
        self.at(&["incidents", id])
    }

    /// `BASE/runs/ID`
    pub fn run(&self, run: RunId) -> Url {
        self.at(&["runs", &run.to_string()])
    }

    /// `BASE/runs/ID/steps/STEP`, where it is decided and answered.
    pub fn step(&self, run: RunId, step: &str) -> Url {
        self.at(&["runs", &run.to_string(), "steps", step])
    }

    /// `BASE/alerts/ID`
    pub fn alert(&self, id: &str) -> Url {
        self.at(&["alerts", id])
    }

    fn at(&self, segments: &[&str]) -> Url {
        let mut url = self.home();
        // Every address has a host, and a path with it.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        url
    }
}
