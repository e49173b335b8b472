//! How the server is reached, and where people sign in, from the configuration.

use std::sync::Arc;

use runbook_identity::oidc::{Oidc, OidcError};
use runbook_server::tls::{Files, Terms, TlsError};

use crate::{
    config::{Config, Tls},
    exit::CliError,
};

/// The certificate and the key of the configuration.
pub fn terms(tls: &Tls) -> Result<Terms, CliError> {
    let files = Files {
        certificate: tls.certificate.clone(),
        key: tls.key.clone(),
        client_authorities: tls.client_authorities.clone(),
    };
    Terms::read(&files).map_err(|error: TlsError| CliError::invalid(error.to_string()).hint(error.hint))
}

/// The provider of the configuration. It is asked when somebody signs in.
pub fn oidc(config: &Config) -> Result<Option<Arc<Oidc>>, CliError> {
    let asked = config.auth.as_ref().and_then(|auth| auth.oidc.clone());
    let told = |error: OidcError| CliError::invalid(format!("auth.oidc: {error}")).hint(error.hint());
    Ok(asked.map(Oidc::new).transpose().map_err(told)?.map(Arc::new))
}
