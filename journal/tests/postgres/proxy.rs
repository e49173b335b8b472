//! A network between the journal and the server that breaks when it is told to.

use std::sync::{Arc, Mutex};

use runbook_journal::Address;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::Notify,
};

use crate::database::Database;

/// When a connection is cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cut {
    /// What is asked never arrives.
    Question,
    /// It arrives and is answered; the answer is lost.
    Answer,
}

#[derive(Default)]
struct State {
    /// The next connection that asks something with these bytes is cut.
    armed: Option<(Vec<u8>, Cut)>,
    cuts: usize,
}

pub struct Proxy {
    port: u16,
    state: Arc<Mutex<State>>,
    url: String,
}

impl Proxy {
    pub async fn before(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = database.url();
        let server = url.split('@').nth(1).unwrap().split('/').next().unwrap().to_owned();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(carry(client, server, Arc::clone(&shared)));
            }
        });
        Self { port, state, url }
    }

    pub fn address(&self) -> Address {
        let (user, rest) = self.url.split_once('@').unwrap();
        let (_, name) = rest.split_once('/').unwrap();
        Address::parse(&format!("{user}@127.0.0.1:{}/{name}", self.port)).unwrap()
    }

    pub fn cut(&self, bytes: &str, cut: Cut) {
        self.state.lock().unwrap().armed = Some((bytes.as_bytes().to_vec(), cut));
    }

    pub fn cuts(&self) -> usize {
        self.state.lock().unwrap().cuts
    }
}

async fn carry(client: TcpStream, server: TcpStream, state: Arc<Mutex<State>>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let (over, swallow) = (Arc::new(Notify::new()), Arc::new(Mutex::new(false)));
    let (ended, swallowing) = (Arc::clone(&over), Arc::clone(&swallow));
    let back = tokio::spawn(async move {
        let mut buffer = vec![0; 65_536];
        loop {
            let read = from_server.read(&mut buffer).await.unwrap_or(0);
            if read == 0 || *swallowing.lock().unwrap() {
                break;
            }
            if to_client.write_all(&buffer[..read]).await.is_err() {
                break;
            }
        }
        ended.notify_one();
    });
    let forth = async {
        let mut buffer = vec![0; 65_536];
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            match asked(&state, &buffer[..read]) {
                _ if read == 0 => return,
                Some(Cut::Question) => return,
                Some(Cut::Answer) => *swallow.lock().unwrap() = true,
                None => {}
            }
            if to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = forth => {}
        () = over.notified() => {}
    }
    back.abort();
}

fn asked(state: &Mutex<State>, bytes: &[u8]) -> Option<Cut> {
    let mut state = state.lock().unwrap();
    let (armed, cut) = state.armed.clone()?;
    if !bytes.windows(armed.len()).any(|window| window == armed) {
        return None;
    }
    state.armed = None;
    state.cuts += 1;
    Some(cut)
}
