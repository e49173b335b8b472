//! A server at an address of this machine, that can go and come back.

use std::sync::Arc;

use runbook_browser::{Browser, Tab};
use runbook_engine::clock::System;
use tokio::{net::TcpListener, runtime::Runtime};

use crate::{
    filled::{self, Places},
    fixture::Fixture,
};

pub struct Stage {
    pub fixture: Arc<Fixture>,
    pub places: Places,
    address: String,
    /// What stays when the server goes.
    runtime: Runtime,
    /// The server, while it is there.
    front: Option<Runtime>,
}

impl Stage {
    /// A server with something of everything.
    pub fn filled() -> Self {
        let mut stage = Self::empty();
        stage.places = stage.runtime.block_on(filled::fill(&stage.fixture));
        stage
    }

    pub fn empty() -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let fixture = Arc::new(Fixture::new(Arc::new(System), None, &format!("http://{address}")));
        let mut stage = Self { fixture, places: Places::new(), address, runtime, front: None };
        stage.come();
        stage
    }

    /// The server is there.
    pub fn come(&mut self) {
        let front = Runtime::new().unwrap();
        let (site, address) = (self.fixture.site.clone(), self.address.clone());
        let listener = front.block_on(TcpListener::bind(address)).unwrap();
        front.spawn(async move { axum::serve(listener, runbook_server::router(site)).await });
        self.front = Some(front);
    }

    /// The server is gone, and all connections with it.
    pub fn go(&mut self) {
        if let Some(front) = self.front.take() {
            front.shutdown_background();
        }
    }

    /// From now on, runs are driven.
    pub fn supervise(&self) {
        let _here = self.runtime.enter();
        self.fixture.supervise();
    }

    pub fn does<T>(&self, what: impl Future<Output = T>) -> T {
        self.runtime.block_on(what)
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The address of something that was filled in.
    pub fn place(&self, name: &str) -> String {
        self.url(self.places.get(name).unwrap_or_else(|| panic!("there is no {name:?}")))
    }

    /// Lets somebody sign in on a tab.
    pub fn sign_in(&self, browser: &mut Browser, tab: &Tab, name: &str) {
        let link = self.does(self.fixture.ticket(name));
        browser.go(tab, &self.url(&link));
        browser.reads(tab, name);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.go();
    }
}
