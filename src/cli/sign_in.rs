//! `runbook sign-in`: a link that signs somebody in, once.

use std::sync::Arc;

use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept;
use runbook_journal::{Expect, Shelf};
use runbook_server::{Ticket, ticket_id};
use serde_json::json;
use url::Url;

use crate::{
    cli::App,
    config::Config,
    exit::{CliError, Exit},
    person, wire,
};

/// How long a link is good.
const GOOD_FOR: Duration = Duration::from_secs(10 * 60);

/// Make a link that signs somebody in to the server, once, within ten minutes.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook sign-in
  runbook sign-in alice --url https://runbook.example.com/

Whoever can write the server's store can make one. What the person may do then, `auth.roles` of the
configuration says.")]
pub struct Args {
    /// Who; you, where it is left out
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// The address of the server; else `server.public_url`; else http://127.0.0.1:8080/
    #[arg(long, value_name = "URL")]
    url: Option<Url>,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
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
