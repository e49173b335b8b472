//! Serves a small made-up project, to look at the pages: `cargo run -p runbook-server --example pages`.
//! An address can be given: `… --example pages 127.0.0.1:8700`; and the name of who looks.

#![expect(clippy::print_stdout, clippy::expect_used, reason = "it is started by hand, to look at it")]

#[path = "../tests/pages/filled.rs"]
mod filled;
#[path = "../tests/pages/fixture.rs"]
mod fixture;
#[path = "../tests/pages/shop.rs"]
mod shop;

use std::sync::Arc;

use fixture::Fixture;
use runbook_engine::clock::System;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8700".to_owned());
    let name = arguments.next().unwrap_or_else(|| "ada".to_owned());
    let fixture = Fixture::new(Arc::new(System), Some(&name), &format!("http://{address}"));
    for (what, place) in filled::fill(&fixture).await {
        println!("{what}: http://{address}{place}");
    }
    for (person, role) in fixture::PEOPLE {
        println!("{role}: http://{address}{}", fixture.ticket(person).await);
    }
    fixture.supervise();
    let listener = tokio::net::TcpListener::bind(&address).await.expect("the address is free");
    println!("http://{address}");
    axum::serve(listener, runbook_server::router(fixture.site.clone())).await.expect("it serves");
}
