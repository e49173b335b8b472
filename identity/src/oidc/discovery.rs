//! The provider's discovery document.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use url::Url;

use super::{OidcError, token, transport::Transport};
use crate::config::{ClientAuth, OidcConfig};

const WHAT: &str = "its discovery document";

/// What is needed of it.
#[derive(Debug, Clone)]
pub(super) struct Provider {
    pub authorization: Url,
    pub token: Url,
    pub keys: Url,
    pub userinfo: Option<Url>,
    pub device: Option<Url>,
    /// What it signs ID tokens with, as far as we accept it.
    pub algorithms: Vec<Algorithm>,
    pub scopes: Option<Vec<String>>,
    pub client_auth: ClientAuth,
    /// Whether it names itself when it sends people back (RFC 9207).
    pub names_itself: bool,
}

#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    device_authorization_endpoint: Option<String>,
    id_token_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Option<Vec<String>>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

pub(super) async fn ask(
    transport: &Transport,
    config: &OidcConfig,
    issuer: &Url,
) -> Result<Provider, OidcError> {
    let mut url = issuer.clone();
    url.set_path(&format!("{}/.well-known/openid-configuration", issuer.path().trim_end_matches('/')));
    let document: Document = transport.get(WHAT, &url, None).await?.read()?;
    settle(transport, config, document)
}

fn settle(transport: &Transport, config: &OidcConfig, document: Document) -> Result<Provider, OidcError> {
    // To the letter: what signs for another name is another provider.
    if document.issuer != config.issuer {
        return Err(OidcError::wrong_issuer(&config.issuer, &document.issuer));
    }
    if document.code_challenge_methods_supported.is_some_and(|methods| !methods.iter().any(|m| m == "S256")) {
        return Err(OidcError::Setup("the provider does not do PKCE with S256".to_owned()));
    }
    let algorithms = token::accepted(&document.id_token_signing_alg_values_supported);
    if algorithms.is_empty() {
        return Err(OidcError::Setup(
            "the provider signs with no algorithm that is accepted here".to_owned(),
        ));
    }
    let admit = |address: &str| transport.admit(WHAT, address);
    let usual = match &document.token_endpoint_auth_methods_supported {
        Some(ways) if !ways.iter().any(|way| way == "client_secret_basic") => ClientAuth::Post,
        _ => ClientAuth::Basic,
    };
    Ok(Provider {
        authorization: admit(&document.authorization_endpoint)?,
        token: admit(&document.token_endpoint)?,
        keys: admit(&document.jwks_uri)?,
        userinfo: document.userinfo_endpoint.as_deref().map(admit).transpose()?,
        device: document.device_authorization_endpoint.as_deref().map(admit).transpose()?,
        algorithms,
        scopes: document.scopes_supported,
        client_auth: config.client_auth.unwrap_or(usual),
        names_itself: document.authorization_response_iss_parameter_supported,
    })
}
