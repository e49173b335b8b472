//! `runbook sign-in`: a link that signs somebody in, once.

use std::sync::Arc;

use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept;
use runbook_journal::{Expect, Shelf};
use runbook_server::{Ticket, ticket_id};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use crate::{
    cli::App,
    config::Config,
    exit::{CliError, Exit},
    person,
    remote::{self, Kept, Remote, printable},
    wire,
};

/// How long a link is good.
const GOOD_FOR: Duration = Duration::from_secs(10 * 60);

/// The longest time between two questions whether a code was confirmed, in seconds.
const LONGEST_WAIT: u64 = 60;

/// Sign in: from here to a server elsewhere, or somebody at this machine's own with a link that is good
/// once, within ten minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook sign-in                                     # a link to this machine's server
  runbook sign-in alice --url https://runbook.example.com/
  runbook sign-in --server https://runbook.example.com  # at its OpenID provider, with a code

With --server, a code is confirmed in a browser anywhere; then `runbook approvals`, `approve`
and `reject` take the same --server. The token lasts as long as a session may be idle, is kept in
$XDG_STATE_HOME/runbook (else ~/.local/state/runbook) for you alone, and can be revoked on the
server's page \"Access\".

Whoever can write the server's store can make one. What the person may do then, `auth.roles` of the
configuration says.")]
pub struct Args {
    /// Who; you, where it is left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The address of the server; else `server.public_url`; else http://127.0.0.1:8080/
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
    /// Sign in to this server from here, at its OpenID provider
    #[arg(long, value_name = "URL", value_parser = remote::address, conflicts_with_all = ["name", "url"])]
    server: Option<Url>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    if let Some(server) = &args.server {
        return elsewhere(server, app).await;
    }
    let config = Config::load(&app.global)?;
    let usual = || Url::parse("http://127.0.0.1:8080/").ok();
    let url = args.url.or(config.server.public_url.clone()).or_else(usual);
    let url = url.ok_or_else(|| CliError::invalid("name the server with --url"))?;
    let name = args.name.unwrap_or_else(|| person::at_the_terminal().name);
    let shelf = wire::shelf(&config).await?;
    let link = link(&shelf, &url, &name).await?;
    if app.is_json() {
        app.print(&format!("{:#}\n", json!({ "name": name, "url": link.as_str() })));
    } else {
        app.print(&format!("{link}\n"));
        app.say(&format!("good for one sign-in as {name}, within ten minutes"));
    }
    Ok(Exit::Success)
}

/// What the server says when it has begun.
#[derive(Debug, Deserialize)]
struct Begun {
    id: String,
    user_code: String,
    verification_uri: String,
    verification_uri_complete: Option<String>,
    wait_seconds: u64,
}

/// Waits until somebody has confirmed the code in a browser. How long it is good, the provider says.
async fn elsewhere(server: &Url, app: &App) -> Result<Exit, CliError> {
    let remote = Remote::unknown(server)?;
    let strange = |error: serde_json::Error| {
        CliError::failed(format!("{server} answered what no runbook server does: {error}"))
    };
    let begun = remote.post("/login/device", &json!({})).await?.body;
    let begun: Begun = serde_json::from_value(begun).map_err(strange)?;
    let place = begun.verification_uri_complete.as_ref().unwrap_or(&begun.verification_uri);
    app.insist(&format!("open {} and confirm the code {}", printable(place), printable(&begun.user_code)));
    let path = format!("/login/device/{}", begun.id);
    let mut wait = begun.wait_seconds;
    let kept = loop {
        tokio::time::sleep(std::time::Duration::from_secs(wait.clamp(1, LONGEST_WAIT))).await;
        let answer = remote.post(&path, &json!({})).await?;
        if answer.status != 202 {
            break serde_json::from_value::<Kept>(answer.body).map_err(strange)?;
        }
        wait = answer.body["wait_seconds"].as_u64().unwrap_or(wait);
    };
    let file = remote::keep(server, &kept)?;
    let name = printable(&kept.name);
    if app.is_json() {
        app.print(&format!("{:#}\n", json!({ "name": name, "expires_at": kept.expires_at })));
    } else {
        app.print(&format!("signed in to {server} as {name}, until {}\n", kept.expires_at));
        app.say(&format!("kept in {}", file.display()));
    }
    Ok(Exit::Success)
}

/// A link with a new ticket, of which the store keeps the digest only.
pub async fn link(shelf: &Arc<dyn Shelf>, server: &Url, name: &str) -> Result<Url, CliError> {
    let ticket = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
    let kept = Ticket { name: name.to_owned(), expires_at: GOOD_FOR.after(Timestamp::now()), taken: false };
    shelf.write(vec![kept::put(&ticket_id(&ticket), &kept, Expect::New)?]).await?;
    let mut link = server
        .join("login/ticket")
        .map_err(|error| CliError::invalid(format!("{server} is no address of a server: {error}")))?;
    link.query_pairs_mut().append_pair("ticket", &ticket);
    Ok(link)
}
