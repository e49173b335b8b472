//! Requests to the provider: each with a deadline, each answer with a bound.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reqwest::{
    Client, RequestBuilder, Response,
    header::{ACCEPT, AUTHORIZATION, HeaderValue},
    redirect,
};
use runbook_contract::text::line;
use runbook_core::duration::Duration;
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use url::{Url, form_urlencoded};

use super::{Declined, OidcError, is_loopback};

/// The most of an answer that is read.
pub(super) const LARGEST: usize = 256 * 1024;
const CONNECT: std::time::Duration = std::time::Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Transport {
    client: Client,
    timeout: Duration,
    /// Whether http on loopback will do.
    plain: bool,
}

/// What came back, whatever its status.
pub(super) struct Answer {
    what: &'static str,
    status: u16,
    body: Vec<u8>,
}

impl Transport {
    /// A provider on loopback is reached without the proxy that the environment may name.
    pub fn new(timeout: Duration, plain: bool) -> Result<Self, OidcError> {
        let client = Client::builder()
            .timeout(timeout.as_std())
            .connect_timeout(CONNECT.min(timeout.as_std()))
            .redirect(redirect::Policy::none())
            .https_only(!plain);
        let client = if plain { client.no_proxy() } else { client };
        let client = client.build().map_err(|error| OidcError::Setup(error.to_string()))?;
        Ok(Self { client, timeout, plain })
    }

    pub async fn get(
        &self,
        what: &'static str,
        url: &Url,
        bearer: Option<&SecretString>,
    ) -> Result<Answer, OidcError> {
        let mut request = self.client.get(url.clone());
        if let Some(token) = bearer {
            request = request.bearer_auth(token.expose_secret());
        }
        self.send(what, request).await
    }

    /// A form, with the client's name and password as RFC 6749 wants them: each encoded like a form
    /// before they are joined.
    pub async fn post(
        &self,
        what: &'static str,
        url: &Url,
        form: &[(&str, &str)],
        basic: Option<(&str, &SecretString)>,
    ) -> Result<Answer, OidcError> {
        let mut request = self.client.post(url.clone()).form(form);
        if let Some((id, secret)) = basic {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(id), encode(secret.expose_secret()));
            let value = HeaderValue::from_str(&format!("Basic {}", BASE64.encode(pair)));
            let mut value = value.map_err(|error| OidcError::Setup(error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        self.send(what, request).await
    }

    /// Whether an address that the provider gave may be asked, or people be sent there.
    pub fn admit(&self, what: &'static str, text: &str) -> Result<Url, OidcError> {
        let malformed = |why: String| OidcError::Malformed { what, why };
        let url = Url::parse(text).map_err(|error| malformed(format!("not a URL: {error}")))?;
        if url.scheme() == "https" || (self.plain && url.scheme() == "http" && is_loopback(&url)) {
            Ok(url)
        } else {
            Err(malformed("an address that does not start with https://".to_owned()))
        }
    }

    async fn send(&self, what: &'static str, request: RequestBuilder) -> Result<Answer, OidcError> {
        let failed = |error: reqwest::Error| OidcError::Unreachable { what, why: self.told(&error) };
        let response = request.header(ACCEPT, "application/json").send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = bounded(what, response).await?.map_err(failed)?;
        Ok(Answer { what, status, body })
    }

    /// Without the address, whose query may hold what is nobody's business.
    fn told(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            format!("gave no answer within {}", self.timeout)
        } else if error.is_connect() {
            "could not be connected to".to_owned()
        } else {
            "broke off".to_owned()
        }
    }
}

async fn bounded(
    what: &'static str,
    mut response: Response,
) -> Result<Result<Vec<u8>, reqwest::Error>, OidcError> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > LARGEST => {
                return Err(OidcError::Oversized { what, limit: LARGEST });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Ok(body)),
            Err(error) => return Ok(Err(error)),
        }
    }
}

impl Answer {
    /// Only one that says that all is well.
    pub fn success(self) -> Result<Self, OidcError> {
        if (200..300).contains(&self.status) {
            Ok(self)
        } else {
            Err(OidcError::Status { what: self.what, status: self.status })
        }
    }

    /// The error of a 4xx, in the words of RFC 6749.
    pub fn declined(&self) -> Option<Declined> {
        if (400..500).contains(&self.status) { serde_json::from_slice(&self.body).ok() } else { None }
    }

    pub fn read<T: DeserializeOwned>(self) -> Result<T, OidcError> {
        let what = self.what;
        let answer = self.success()?;
        serde_json::from_slice(&answer.body).map_err(|error| {
            // Where and of what category, but not what stood there.
            let why = line(&format!("{:?} error of JSON at line {}", error.classify(), error.line()), 100);
            OidcError::Malformed { what, why }
        })
    }
}
