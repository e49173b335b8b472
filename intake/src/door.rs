//! One way in: a source, and the proof that it demands.

use jiff::Timestamp;
use runbook_core::alert::Alert;
use runbook_core::runbook::Source;
use serde::Serialize;
use url::Url;

use crate::limits::Limits;
use crate::proof::{Proof, sns};
use crate::refusal::Refusal;
use crate::request::Request;
use crate::sign::CannotSign;
use crate::source;

/// One way in.
#[derive(Debug, Clone)]
pub struct Door {
    source: Source,
    proof: Proof,
    limits: Limits,
}

/// What has to be fetched before a request can be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Need {
    Nothing,
    /// The certificate at this address, which is one of Amazon's. It may be kept as long as one
    /// likes: a new certificate has a new address. Whoever knows a topic can ask for any file of such
    /// a host, so fetch few at a time, without following redirects, and remember what was not there.
    Certificate(Url),
}

/// What a proven delivery says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Received {
    /// Equal for repeats of the same delivery at the same door, where the detector gives it an identity.
    /// Where it gives none (Alertmanager, Grafana), repeats are known alert by alert, by [`Alert::key`].
    /// It is always something that the proof covers.
    pub delivery: Option<String>,
    /// What the detector groups these alerts by.
    pub group: Option<String>,
    /// How many alerts the detector left out, to keep the delivery short.
    pub truncated: u64,
    pub content: Content,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    Alerts(Vec<Alert>),
    /// A subscription waits for a GET of this address, which is one of Amazon's.
    Confirm(Url),
    /// Proven and understood, but no alert; and why.
    Nothing(String),
}

impl Received {
    pub(crate) fn nothing(delivery: Option<String>, why: impl Into<String>) -> Self {
        Self { delivery, group: None, truncated: 0, content: Content::Nothing(why.into()) }
    }
}

/// A door that would not do what it says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misconfigured {
    #[error("no {0} is given: give at least one, or nobody gets in")]
    Empty(&'static str),
    #[error("a {0} is empty, so that anybody could get in; give it a value")]
    Blank(&'static str),
    #[error(
        "a {0} begins or ends with white space, which no detector would send; take it away, such as the line \
         break at the end of a file"
    )]
    Padded(&'static str),
    #[error("the user of basic authentication must not be empty nor contain a colon, which ends it")]
    NotAUser,
    #[error("a signing secret is not in base64; give it as the sender shows it, like `whsec_…`")]
    NotBase64,
    #[error("`{0}` is not the name of a header")]
    NotAHeader(String),
    #[error("`{0}` is not the ARN of a topic; write it like `arn:aws:sns:eu-west-1:123456789012:alarms`")]
    NotATopic(String),
    #[error("messages of CloudWatch are signed by SNS; list the `topics` that may send them")]
    CloudwatchWithoutSns,
    #[error("only `source: cloudwatch` comes through SNS")]
    SnsWithoutCloudwatch,
}

impl Door {
    /// A door with the usual [`Limits`].
    ///
    /// # Errors
    /// Whatever would let anybody in, or nobody.
    pub fn new(source: Source, proof: Proof) -> Result<Self, Misconfigured> {
        proof.check()?;
        match (source, &proof) {
            (Source::Cloudwatch, Proof::Sns { .. }) => {}
            (Source::Cloudwatch, _) => return Err(Misconfigured::CloudwatchWithoutSns),
            (_, Proof::Sns { .. }) => return Err(Misconfigured::SnsWithoutCloudwatch),
            _ => {}
        }
        Ok(Self { source, proof, limits: Limits::default() })
    }

    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    pub fn source(&self) -> Source {
        self.source
    }

    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// What to fetch before [`Door::receive`]; asked first of every request, as it costs nothing where
    /// nothing is needed.
    ///
    /// # Errors
    /// What can be refused without fetching anything: a topic that is not on the list, a stale
    /// message, a certificate that is not Amazon's.
    pub fn need(&self, request: &Request<'_>) -> Result<Need, Refusal> {
        let Proof::Sns { topics } = &self.proof else { return Ok(Need::Nothing) };
        self.limits.check_body(request.body)?;
        let message = sns::Message::read(request.body)?;
        message.certificate_url(topics, request.now).map(Need::Certificate)
    }

    /// Verifies a request over its raw bytes, then reads what it delivers. `certificate` is what
    /// [`Door::need`] asked for, in PEM as it was fetched.
    ///
    /// # Errors
    /// A [`Refusal`], which says what to answer; nothing of such a request may start anything.
    pub fn receive(&self, request: &Request<'_>, certificate: Option<&[u8]>) -> Result<Received, Refusal> {
        self.limits.check_body(request.body)?;
        if let Proof::Sns { topics } = &self.proof {
            let message = sns::Message::read(request.body)?;
            message.verify(topics, certificate, request.now)?;
            return source::cloudwatch::receive(&message);
        }
        self.proof.verify(request)?;
        let delivery = self.proof.delivery(request)?;
        source::receive(self.source, request, delivery, &self.limits)
    }

    /// The headers with which this door takes `body` at `now`, for deliveries of our own: drills, and
    /// deliveries that are sent anew. `id` names the delivery where the format has a place for that.
    /// Among the values are credentials: they are not to be logged.
    ///
    /// # Errors
    /// Proofs that only others can give: client certificates and the signature of SNS.
    pub fn sign(&self, id: &str, body: &[u8], now: Timestamp) -> Result<Vec<(String, String)>, CannotSign> {
        self.proof.sign(id, body, now)
    }
}
