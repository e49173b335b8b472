//! Amazon SNS over HTTP: an envelope that is signed with RSA PKCS#1 v1.5, by a certificate whose
//! address is in the envelope.
//!
//! <https://docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html>. The address of the
//! certificate is what everything rests on, so it is held to more than the documentation asks: see
//! [`is_amazon`] and [`certificate_url`]. What is inside the certificate is not trusted further than
//! its key and its dates; that it came over TLS from that address says whose it is.

use std::borrow::Cow;

use aws_lc_rs::signature::{
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256, RsaParameters,
    UnparsedPublicKey,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::Deserialize;
use url::Url;
use x509_parser::pem::parse_x509_pem;
use x509_parser::time::ASN1Time;

use crate::read::cut;
use crate::refusal::Refusal;

/// SNS sends anew for up to an hour, with the time of the first attempt; in seconds.
const OLDEST: i64 = 60 * 60;
/// Certificates have 2 KiB or so.
const CERTIFICATE: usize = 64 * 1024;
/// The reasons of the JSON parser may repeat a text of the body, in full.
const REASON: usize = 120;

/// What is signed of a notification, and of the two messages about a subscription.
const NOTIFICATION: &[&str] = &["Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"];
const CONFIRMATION: &[&str] =
    &["Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"];

/// The envelope, as far as it matters. Its fields are strings only: reading it before it is proven
/// costs no more than its length.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Message<'a> {
    #[serde(borrow)]
    pub r#type: Cow<'a, str>,
    #[serde(borrow)]
    pub message_id: Cow<'a, str>,
    #[serde(borrow)]
    pub topic_arn: Cow<'a, str>,
    #[serde(default)]
    pub subject: Option<String>,
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    #[serde(borrow)]
    timestamp: Cow<'a, str>,
    #[serde(borrow)]
    signature_version: Cow<'a, str>,
    #[serde(borrow)]
    signature: Cow<'a, str>,
    #[serde(rename = "SigningCertURL", borrow)]
    signing_cert_url: Cow<'a, str>,
    #[serde(default)]
    token: Option<String>,
    #[serde(rename = "SubscribeURL", default)]
    subscribe_url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Notification,
    SubscriptionConfirmation,
    UnsubscribeConfirmation,
}

impl<'a> Message<'a> {
    pub(crate) fn read(body: &'a [u8]) -> Result<Self, Refusal> {
        serde_json::from_slice(body).map_err(|error| {
            Refusal::Unauthenticated(format!(
                "not a signed message of SNS: {}; subscribe with raw message delivery switched off",
                cut(&error.to_string(), REASON)
            ))
        })
    }

    pub(crate) fn kind(&self) -> Result<Kind, Refusal> {
        match &*self.r#type {
            "Notification" => Ok(Kind::Notification),
            "SubscriptionConfirmation" => Ok(Kind::SubscriptionConfirmation),
            "UnsubscribeConfirmation" => Ok(Kind::UnsubscribeConfirmation),
            _ => Err(Refusal::Unauthenticated("Type: not a kind of message that SNS sends".to_owned())),
        }
    }

    /// Where the certificate is that must have signed this: after everything that can be refused
    /// without it.
    pub(crate) fn certificate_url(&self, topics: &[String], now: Timestamp) -> Result<Url, Refusal> {
        if !topics.iter().any(|topic| *topic == self.topic_arn) {
            return Err(Refusal::Unauthenticated("TopicArn: this topic is not on the list".to_owned()));
        }
        self.algorithm()?;
        let timestamp: Timestamp = self
            .timestamp
            .parse()
            .map_err(|_| Refusal::Unauthenticated("Timestamp: not a time in RFC 3339".to_owned()))?;
        super::check_age(now.as_second().saturating_sub(timestamp.as_second()), OLDEST)?;
        certificate_url(&self.signing_cert_url).ok_or_else(|| {
            Refusal::Unauthenticated("SigningCertURL: not the address of a certificate of SNS".to_owned())
        })
    }

    pub(crate) fn verify(
        &self,
        topics: &[String],
        certificate: Option<&[u8]>,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        self.certificate_url(topics, now)?;
        let lines = self.lines()?;
        let signature =
            STANDARD.decode(self.signature.as_bytes()).map_err(|_| Refusal::wrong("signature"))?;
        let pem = certificate.ok_or_else(|| {
            Refusal::Unauthenticated("the certificate that signed it was not fetched".to_owned())
        })?;
        let key = public_key(pem, now)
            .map_err(|why| Refusal::Unauthenticated(format!("the certificate that signed it {why}")))?;
        UnparsedPublicKey::new(self.algorithm()?, key)
            .verify(lines.as_bytes(), &signature)
            .map_err(|_| Refusal::wrong("signature"))
    }

    /// Where a subscription is confirmed.
    pub(crate) fn confirmation(&self) -> Result<Url, Refusal> {
        let url = self.subscribe_url.as_deref().and_then(|text| Url::parse(text).ok());
        url.filter(is_amazon).ok_or_else(|| {
            Refusal::Unprocessable(
                "SubscribeURL: not an https address of SNS, so it is not called".to_owned(),
            )
        })
    }

    fn algorithm(&self) -> Result<&'static RsaParameters, Refusal> {
        match &*self.signature_version {
            "1" => Ok(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
            "2" => Ok(&RSA_PKCS1_2048_8192_SHA256),
            _ => Err(Refusal::Unauthenticated("SignatureVersion: neither `1` nor `2`".to_owned())),
        }
    }

    /// What is signed: names and values, a line each, in the order of the names; what is absent is left
    /// out. Only the message and its subject may have lines of their own: with one in another value,
    /// the same lines could be read as other fields.
    fn lines(&self) -> Result<String, Refusal> {
        let names = match self.kind()? {
            Kind::Notification => NOTIFICATION,
            Kind::SubscriptionConfirmation | Kind::UnsubscribeConfirmation => CONFIRMATION,
        };
        let fields = names.iter().filter_map(|name| self.field(name).map(|value| (*name, value)));
        let one_line =
            |name: &str, value: &str| matches!(name, "Message" | "Subject") || !value.contains('\n');
        if !fields.clone().all(|(name, value)| one_line(name, value)) {
            return Err(Refusal::wrong("signature"));
        }
        Ok(fields.flat_map(|(name, value)| [name, "\n", value, "\n"]).collect())
    }

    fn field(&self, name: &str) -> Option<&str> {
        match name {
            "Message" => Some(&*self.message),
            "MessageId" => Some(&*self.message_id),
            "Subject" => self.subject.as_deref(),
            "SubscribeURL" => self.subscribe_url.as_deref(),
            "Timestamp" => Some(&*self.timestamp),
            "Token" => self.token.as_deref(),
            "TopicArn" => Some(&*self.topic_arn),
            "Type" => Some(&*self.r#type),
            _ => None,
        }
    }
}

/// `arn:partition:sns:region:account:name`
pub(crate) fn is_topic(arn: &str) -> bool {
    let parts: Vec<&str> = arn.split(':').collect();
    matches!(parts[..], ["arn", partition, "sns", region, account, name]
        if !partition.is_empty() && is_region(region) && !account.is_empty() && !name.is_empty())
}

/// A certificate of SNS: a file at the top of one of Amazon's hosts, without a query, so that nothing
/// else which such a host answers can be taken for one.
fn certificate_url(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(is_amazon)?;
    let name = url.path().strip_prefix('/')?.strip_suffix(".pem")?;
    let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    (plain && url.query().is_none() && url.fragment().is_none()).then_some(url)
}

/// `https://sns.<region>.amazonaws.com` or the same below `.com.cn`. That the second part is a region
/// matters: `sns.s3-us-west-2.amazonaws.com` is a bucket called `sns`, which is anybody's.
fn is_amazon(url: &Url) -> bool {
    let plain = url.username().is_empty() && url.password().is_none() && url.port().is_none();
    let region = url
        .host_str()
        .and_then(|host| host.strip_suffix(".cn").unwrap_or(host).strip_suffix(".amazonaws.com"))
        .and_then(|host| host.strip_prefix("sns."));
    url.scheme() == "https" && plain && region.is_some_and(is_region)
}

/// `eu-west-1`, `us-gov-east-1`: words of letters, then a number.
fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else { return false };
    let word = |word: &&str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    words.len() >= 2
        && words.iter().all(word)
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The key of a certificate that is valid now; or what is wrong with the certificate.
fn public_key(pem: &[u8], now: Timestamp) -> Result<Vec<u8>, &'static str> {
    if pem.len() > CERTIFICATE {
        return Err("is too long");
    }
    let (_, pem) = parse_x509_pem(pem).map_err(|_| "is not in PEM")?;
    let certificate = pem.parse_x509().map_err(|_| "is not an X.509 certificate")?;
    let now = ASN1Time::from_timestamp(now.as_second()).map_err(|_| "cannot be checked at this time")?;
    if !certificate.validity().is_valid_at(now) {
        return Err("has expired or is not valid yet");
    }
    Ok(certificate.public_key().subject_public_key.data.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_come_from_amazon_only() {
        for good in [
            "https://sns.us-east-1.amazonaws.com/SimpleNotificationService-7ff5318490ec183fbaddaa2a969abfda.pem",
            "https://sns.us-gov-west-1.amazonaws.com/SimpleNotificationService-0a1b.pem",
            "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0a1b.pem",
            "https://sns.ap-southeast-2.amazonaws.com:443/SimpleNotificationService-0a1b.pem",
        ] {
            assert!(certificate_url(good).is_some(), "{good}");
        }
        for bad in [
            "http://sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com.evil.example/a.pem",
            "https://evil.example/sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com@evil.example/a.pem",
            "https://user@sns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com:8443/a.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem?x=1",
            "https://sns.us-east-1.amazonaws.com/?Action=Publish&x=.pem",
            "https://sns.us-east-1.amazonaws.com/a.pem#.pem",
            "https://sns.us-east-1.amazonaws.com/a.txt",
            "https://sns.us-east-1.amazonaws.com/.pem",
            "https://sns.us-east-1.amazonaws.com/b/../../a/b.pem",
            "https://sns.us-east-1.amazonaws.com/%2e%2e/a%00.pem",
            "https://sns.us-east-1.amazonaws.org/a.pem",
            "https://sns.s3-us-west-2.amazonaws.com/a.pem",
            "https://sns.s3.us-west-2.amazonaws.com/a.pem",
            "https://sns.s3-website-us-west-2.amazonaws.com/a.pem",
            "https://sns.amazonaws.com/a.pem",
            "https://sqs.us-east-1.amazonaws.com/a.pem",
            "https://xsns.us-east-1.amazonaws.com/a.pem",
            "https://sns.us-east-1.amazonaws.com\\@evil.example/a.pem",
            "https://169.254.169.254/a.pem",
            "file:///sns.us-east-1.amazonaws.com/a.pem",
            "",
        ] {
            assert_eq!(certificate_url(bad), None, "{bad}");
        }
    }

    #[test]
    fn topics_are_arns() {
        assert!(is_topic("arn:aws:sns:eu-west-1:123456789012:alarms"));
        assert!(is_topic("arn:aws-cn:sns:cn-north-1:123456789012:alarms"));
        for bad in [
            "alarms",
            "arn:aws:sqs:eu-west-1:123456789012:alarms",
            "arn:aws:sns:*:1:a",
            "arn:aws:sns:eu-west-1::a",
        ] {
            assert!(!is_topic(bad), "{bad}");
        }
    }
}
