//! A cluster behind a proxy.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use runbook_contract::{Access, Mode};
use runbook_kubernetes::Config;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};

use crate::fixture::{ADMIN, action_of, cx, kubeconfig};

/// A proxy that only takes `CONNECT`, as in many an office, and counts.
async fn tunnel() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, taken) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let count = taken.clone();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(client.read_u8().await.unwrap());
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
                count.fetch_add(1, Ordering::SeqCst);
                let mut server = TcpStream::connect(target).await.unwrap();
                client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    (format!("http://{address}"), taken)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_reached_through_the_proxy_of_its_kubeconfig() {
    let Some(path) = kubeconfig(ADMIN) else { return };
    let (proxy, taken) = tunnel().await;
    let text = std::fs::read_to_string(path).unwrap();
    let inline = text.replacen("    server:", &format!("    proxy-url: {proxy}\n    server:"), 1);
    let config = Config { inline: Some(inline), ..Config::default() };
    let action = action_of(&config, &Access::new(Mode::ReadOnly), "nodes");
    let seen = action.observe(&cx(), &json!({})).await.unwrap();
    assert!(seen.outputs.get("count").is_some(), "{seen:?}");
    assert!(taken.load(Ordering::SeqCst) > 0, "the proxy was not asked");
}
