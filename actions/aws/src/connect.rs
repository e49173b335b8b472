//! From the configuration to clients. Nothing of a credential ever enters a message.

use std::{sync::Arc, time::Duration};

use aws_config::{BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use futures::FutureExt as _;
use runbook_contract::Access;
use runbook_core::fault::Fault;

use crate::{
    Config,
    client::Wire,
    guard::{GET_CALLER_IDENTITY, Guard},
    identity::Identity,
};

/// A write that cannot even connect in this time was surely not sent, so it stays well below the
/// time a call is given.
const CONNECT: Duration = Duration::from_secs(5);

/// The clients of the services, all behind one guard.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) rds: aws_sdk_rds::Client,
    pub(crate) route53: aws_sdk_route53::Client,
    pub(crate) cloudwatch: aws_sdk_cloudwatch::Client,
    pub(crate) iam: aws_sdk_iam::Client,
    sts: aws_sdk_sts::Client,
    region: String,
    endpoint: Option<String>,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link")
            .field("region", &self.region)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

/// Reads the configuration, of the machine's only what is not given, and nothing of it for a
/// simulation.
async fn settings(config: &Config) -> Result<SdkConfig, Fault> {
    let times = TimeoutConfig::builder().connect_timeout(CONNECT).build();
    let keys = config.keys.as_ref().map(|keys| {
        let (id, secret) = (keys.access_key_id.clone(), keys.secret_access_key.clone());
        SharedCredentialsProvider::new(Credentials::new(id, secret, None, None, "given"))
    });
    if config.simulated.is_some() {
        let mut alone =
            SdkConfig::builder().behavior_version(BehaviorVersion::latest()).timeout_config(times);
        alone.set_region(config.region.clone().map(Region::new));
        alone.set_endpoint_url(config.endpoint_url.clone()).set_credentials_provider(keys);
        // The default client would go through the machine's proxy, also to loopback.
        alone.set_http_client(Some(aws_smithy_http_client::Builder::new().build_http()));
        return Ok(alone.build());
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).timeout_config(times);
    if let Some(region) = &config.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &config.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &config.endpoint_url {
        check_endpoint(endpoint)?;
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(keys) = keys {
        loader = loader.credentials_provider(keys);
    }
    Ok(loader.load().await)
}

/// Reads the configuration and builds the clients; sends nothing to the services.
pub(crate) async fn connect(config: &Config, access: &Arc<Access>) -> Result<Link, Fault> {
    let settings = settings(config).await?;
    let region = settings.region().map(ToString::to_string).filter(|region| !region.is_empty());
    let region = region.ok_or_else(|| {
        Fault::permanent("no region of AWS is given")
            .hint("set `aws.region` of the environment, AWS_REGION, or the region of the profile")
    })?;
    let endpoint = config.simulated.clone().or_else(|| settings.endpoint_url().map(str::to_owned));
    let guard = Guard::new(access);
    macro_rules! client {
        ($sdk:ident) => {
            $sdk::Client::from_conf(
                $sdk::config::Builder::from(&settings)
                    // Whether a request may be sent again is decided where its outcome is known.
                    .retry_config(RetryConfig::disabled())
                    .interceptor(guard.clone())
                    .build(),
            )
        };
    }
    Ok(Link {
        rds: client!(aws_sdk_rds),
        route53: client!(aws_sdk_route53),
        cloudwatch: client!(aws_sdk_cloudwatch),
        iam: client!(aws_sdk_iam),
        sts: client!(aws_sdk_sts),
        region,
        endpoint,
    })
}

/// Who the credentials belong to, as STS says; it needs no permission.
pub(crate) async fn identify(wire: &Wire<'_>) -> Result<Identity, Fault> {
    let link = wire.link;
    let caller = wire.ask(GET_CALLER_IDENTITY, || link.sts.get_caller_identity().send().boxed()).await?;
    match (caller.account, caller.arn) {
        (Some(account), Some(arn)) => {
            Ok(Identity { account, arn, region: link.region.clone(), endpoint: link.endpoint.clone() })
        }
        _ => Err(Fault::permanent("STS does not say whose account it is")
            .hint("check `aws.endpoint_url`; something else may answer there")),
    }
}

/// What the SDK would only find out when a request is sent.
fn check_endpoint(endpoint: &str) -> Result<(), Fault> {
    let rest = endpoint.strip_prefix("http://").or_else(|| endpoint.strip_prefix("https://"));
    let sound = rest.is_some_and(|rest| {
        let host = rest.split('/').next().unwrap_or_default();
        !host.is_empty() && !host.contains('@') && !rest.contains(['?', '#', ' '])
    });
    if sound {
        return Ok(());
    }
    // An address may hold a password.
    Err(Fault::permanent("`aws.endpoint_url` is not an address that can be asked")
        .hint("write it like `http://127.0.0.1:4566`, without a user or a query"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_an_address_and_nothing_else() {
        for sound in ["http://127.0.0.1:4566", "https://emulator.test/aws"] {
            assert!(check_endpoint(sound).is_ok(), "{sound}");
        }
        for wrong in
            ["", "127.0.0.1:4566", "ftp://x", "http://", "http://u:hunter2@x", "http://x?y", "http://x y"]
        {
            let fault = check_endpoint(wrong).unwrap_err();
            assert!(!fault.to_string().contains("hunter2"), "{fault}");
        }
    }
}
