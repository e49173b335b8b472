//! `runbook token`: bearer tokens for the API.

use runbook_core::{Timestamp, duration::Duration};
use runbook_desk::kept;
use runbook_identity::{
    Directory, Grant, Identity, Pattern, Rights, Role,
    tokens::{self, TokenRequest},
};
use runbook_journal::{DocumentQuery, Expect};
use runbook_server::Token;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use crate::{
    cli::{App, moment, paint::Paint, table::Table},
    config::Config,
    exit::{CliError, Exit},
    person,
    serve::granted,
    wire,
};

/// Make, list and revoke tokens for the API of the server.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook token create deploys --role responder --environment staging --expires 90d
  runbook token create ci --service ci --role viewer
  runbook token list
  runbook token revoke 3f9c0a1b2c3d4e5f

A token can do no more than its owner is granted, and is shown once. `--service NAME` makes one that
belongs to no person: `auth.roles` grants to `token:NAME`.")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token; it is shown once
    Create {
        /// What it is for
        #[arg(value_name = "NAME")]
        name: String,
        /// viewer, responder, approver or admin
        #[arg(long, value_name = "ROLE", value_parser = role)]
        role: Role,
        /// In which environments, as patterns; in all, where it is left out
        #[arg(long = "environment", value_name = "PATTERN", value_parser = pattern)]
        environments: Vec<Pattern>,
        /// For which runbooks, as patterns; for all, where it is left out
        #[arg(long = "runbook", value_name = "PATTERN", value_parser = pattern)]
        runbooks: Vec<Pattern>,
        /// For no person: the NAME of a `token:NAME` in `auth.roles`
        #[arg(long, value_name = "NAME")]
        service: Option<String>,
        /// How long it lives
        #[arg(long, value_name = "DURATION", default_value = "30d")]
        expires: Duration,
    },
    /// List the tokens that there are
    List,
    /// End a token
    Revoke {
        #[arg(value_name = "ID")]
        id: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    serde_json::from_value(Value::from(text))
        .map_err(|_| "a role is viewer, responder, approver or admin".to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    serde_json::from_value(Value::from(text)).map_err(|error| error.to_string())
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let config = Config::load(&app.global)?;
    match args.what {
        What::List => list(&config, app).await,
        What::Revoke { id } => revoke(&config, app, &id).await,
        What::Create { name, role, environments, runbooks, service, expires } => {
            let all =
                |patterns: Vec<Pattern>| if patterns.is_empty() { vec![Pattern::any()] } else { patterns };
            let grant = Grant { role, environments: all(environments), runbooks: all(runbooks) };
            let expires_at = expires.after(Timestamp::now());
            create(&config, app, TokenRequest { name, service, rights: Rights(vec![grant]), expires_at })
                .await
        }
    }
}

async fn create(config: &Config, app: &App, request: TokenRequest) -> Result<Exit, CliError> {
    let directory = Directory::new(&granted(config), &config.people.groups);
    let me = Identity::terminal(person::at_the_terminal().name);
    let minted = tokens::mint(&me, &directory, request, Timestamp::now())
        .map_err(|error| CliError::invalid(error.to_string()))?;
    let token = Token(minted.record);
    let shelf = wire::shelf(config).await?;
    shelf.write(vec![kept::put(&token.0.id, &token, Expect::New)?]).await?;
    let text = minted.token.expose_secret();
    if app.is_json() {
        let document = json!({ "id": token.0.id, "token": text, "expires_at": token.0.expires_at });
        app.print(&format!("{document:#}\n"));
    } else {
        app.print(&format!("{text}\n"));
        app.say(&format!("keep it: it is shown this once (id {}, until {})", token.0.id, token.0.expires_at));
    }
    Ok(Exit::Success)
}

async fn list(config: &Config, app: &App) -> Result<Exit, CliError> {
    let shelf = wire::shelf(config).await?;
    let all = DocumentQuery { limit: 1_000, ..DocumentQuery::default() };
    let found = kept::list::<Token>(&shelf, all).await?;
    if app.is_json() {
        let documents: Vec<Value> = found.iter().map(|found| found.value.document()).collect();
        app.print(&format!("{:#}\n", Value::from(documents)));
        return Ok(Exit::Success);
    }
    if found.is_empty() {
        app.say("no tokens yet; `runbook token create NAME --role ROLE` makes one");
        return Ok(Exit::Success);
    }
    let now = Timestamp::now();
    let mut table = Table::new(["id", "name", "owner", "rights", "expires", "used"]);
    for found in &found {
        let record = &found.value.0;
        let rights: Vec<String> = record.rights.0.iter().map(ToString::to_string).collect();
        let ends = match (record.revoked_at, record.expires_at) {
            (Some(at), _) => format!("revoked {}", moment::ago(at, now)),
            (None, at) if at <= now => format!("expired {}", moment::ago(at, now)),
            (None, at) => moment::ahead(at, now),
        };
        table.row([
            record.id.as_str().into(),
            record.name.as_str().into(),
            record.owner.as_str().into(),
            rights.join("; ").into(),
            ends.into(),
            record.last_used_at.map(|at| moment::ago(at, now)).unwrap_or_default().into(),
        ]);
    }
    app.print(&table.render(Paint::stdout(app)));
    Ok(Exit::Success)
}

async fn revoke(config: &Config, app: &App, id: &str) -> Result<Exit, CliError> {
    let shelf = wire::shelf(config).await?;
    let found = kept::find::<Token>(&shelf, id).await?;
    let mut found = found.ok_or_else(|| {
        CliError::invalid(format!("there is no token `{id}`")).hint("`runbook token list` lists them")
    })?;
    found.value.0.revoke(Timestamp::now());
    shelf.write(vec![kept::put(&found.id, &found.value, Expect::Version(found.version))?]).await?;
    app.say(&format!("token {id} is revoked"));
    Ok(Exit::Success)
}
