//! A server that is spoken with over its API, by a person who has signed in to it from here.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::PathBuf,
    time::Duration,
};

use reqwest::{Client, Method, RequestBuilder, redirect};
use runbook_core::{Timestamp, host::is_loopback};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::exit::{CliError, Exit};

/// How long a server may take for one answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The largest answer that is read, in bytes.
const LARGEST: usize = 16 * 1024 * 1024;
/// How many pages of a list are asked for.
const MOST_PAGES: usize = 100;

/// A server, and who one is there.
#[derive(Debug)]
pub struct Remote {
    url: Url,
    client: Client,
    token: Option<SecretString>,
}

/// What is kept of a sign-in.
#[derive(Debug, Deserialize)]
pub struct Kept {
    pub name: String,
    pub token: SecretString,
    pub expires_at: Timestamp,
}

/// An answer, with its status.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// The address of a server on the command line.
pub fn address(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    match url.scheme() {
        "https" => Ok(url),
        "http" if url.host_str().is_some_and(is_loopback) => Ok(url),
        _ => Err("a server is reached by https://; by http:// on this machine only".to_owned()),
    }
}

impl Remote {
    /// A server that nobody has signed in to.
    pub fn unknown(url: &Url) -> Result<Self, CliError> {
        let client = Client::builder().redirect(redirect::Policy::none()).timeout(PATIENCE).build();
        let client = client.map_err(|error| CliError::failed(format!("no request can be made: {error}")))?;
        Ok(Self { url: url.clone(), client, token: None })
    }

    /// A server as whoever has signed in to it.
    pub fn signed_in(url: &Url) -> Result<Self, CliError> {
        let kept = read(url)?.filter(|kept| Timestamp::now() < kept.expires_at);
        let kept = kept.ok_or_else(|| nobody(url))?;
        Ok(Self { token: Some(kept.token), ..Self::unknown(url)? })
    }

    pub async fn get(&self, path: &str) -> Result<Value, CliError> {
        Ok(self.ask(self.request(Method::GET, path)?).await?.body)
    }

    /// What a list holds, page by page.
    pub async fn all(&self, path: &str) -> Result<Vec<Value>, CliError> {
        let mut found = Vec::new();
        let mut next = path.to_owned();
        for _ in 0..MOST_PAGES {
            let mut page = self.get(&next).await?;
            let Some(Value::Array(items)) = page.get_mut("items").map(Value::take) else {
                return Err(CliError::failed(format!("what the server answers at {path} is no list")));
            };
            found.extend(items);
            let Some(after) = page["next"].as_str() else { return Ok(found) };
            let query =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("after", after).finish();
            next = format!("{path}?{query}");
        }
        Err(CliError::failed(format!("the server's list at {path} has no end")))
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        self.ask(self.request(Method::POST, path)?.json(body)).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, CliError> {
        let url = self
            .url
            .join(path)
            .map_err(|error| CliError::invalid(format!("{} is no address of a server: {error}", self.url)))?;
        let request = self.client.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.expose_secret()),
            None => request,
        })
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, CliError> {
        let lost = |error: reqwest::Error| {
            CliError::failed(format!("{} did not answer: {}", self.url, error.without_url()))
                .hint("look whether the server is up, and reached from here")
        };
        let mut response = request.send().await.map_err(lost)?;
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > LARGEST {
                return Err(CliError::failed(format!("{} sent more than {LARGEST} bytes", self.url)));
            }
        }
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        match status {
            200..300 if !body.is_null() => Ok(Answer { status, body }),
            401 if self.token.is_some() => Err(nobody(&self.url)),
            _ => Err(refused(&self.url, status, &body)),
        }
    }
}

fn nobody(url: &Url) -> CliError {
    CliError::new(Exit::NotPermitted, format!("you are not signed in to {url}"))
        .hint(format!("`runbook sign-in --server {url}`"))
}

/// What the server says of it, with the exit code that the same has here.
fn refused(url: &Url, status: u16, problem: &Value) -> CliError {
    let text = |key: &str| problem[key].as_str().map(printable);
    let exit = match (status, problem["type"].as_str()) {
        (401 | 403, _) => Exit::NotPermitted,
        (409, Some("stale")) => Exit::Stale,
        (400..429, _) => Exit::Invalid,
        _ => Exit::Failed,
    };
    let message =
        text("detail").unwrap_or_else(|| format!("{url} answered {status}, which no runbook server does"));
    let error = CliError::new(exit, message);
    match text("hint") {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// What a server says, without what would move a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).take(4_000).collect()
}

/// Where the sign-in to a server is kept: a file of its own, which only its owner may read.
fn file(url: &Url) -> Result<PathBuf, CliError> {
    let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let state = state.or_else(|| std::env::home_dir().map(|home| home.join(".local/state")));
    let state = state.ok_or_else(|| {
        CliError::invalid("there is no home folder to keep the sign-in in").hint("set XDG_STATE_HOME")
    })?;
    let origin = url.origin().ascii_serialization();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '_' };
    Ok(state.join("runbook/servers").join(format!("{}.json", origin.chars().map(plain).collect::<String>())))
}

fn read(url: &Url) -> Result<Option<Kept>, CliError> {
    let file = file(url)?;
    let Ok(text) = fs::read_to_string(&file) else { return Ok(None) };
    Ok(serde_json::from_str(&text).ok())
}

/// Keeps a sign-in.
pub fn keep(url: &Url, kept: &Kept) -> Result<PathBuf, CliError> {
    let file = file(url)?;
    let failed = |error: std::io::Error| {
        CliError::failed(format!("the sign-in cannot be kept in {}: {error}", file.display()))
    };
    let folder = file.parent().unwrap_or(&file);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    // In the place of what was there at once, and never readable by anybody else.
    let fresh = file.with_extension(format!("{}.new", std::process::id()));
    let mut open =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
    let document = json!({
        "name": kept.name,
        "token": kept.token.expose_secret(),
        "expires_at": kept.expires_at,
    });
    open.write_all(format!("{document}\n").as_bytes()).map_err(failed)?;
    fs::rename(&fresh, &file).map_err(failed)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_reached_so_that_nobody_listens() {
        for (text, expected) in [
            ("https://runbook.example.com", true),
            ("http://127.0.0.1:8080", true),
            ("http://[::1]:8080/", true),
            ("http://localhost:8080", true),
            ("http://runbook.example.com", false),
            ("http://localhost.example.com", false),
            ("ftp://127.0.0.1", false),
            ("runbook.example.com", false),
        ] {
            assert_eq!(address(text).is_ok(), expected, "{text}");
        }
    }

    #[test]
    fn what_a_server_says_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\r"), "a [2Jb\nc ");
    }
}
