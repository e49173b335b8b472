//! The HTTP client under the exporter. It keeps what the exporter does not tell: whether an error will
//! pass, and how many spans were refused.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use http::{Request, Response};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;

/// The longest answer that is read, in bytes.
const LONGEST_ANSWER: usize = 64 * 1024;

#[derive(Debug)]
pub struct Client {
    inner: reqwest::Client,
    answers: Answers,
}

/// How the last request went.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Mutex<Answer>>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// Nothing where nobody answered.
    pub status: Option<u16>,
    /// How many spans the collector did not take, of those that it was sent.
    pub refused: u64,
    pub why: Option<String>,
}

impl Answer {
    /// Whether the same request may be taken later: nobody answered, or who did asks to come again.
    pub fn is_passing(&self) -> bool {
        matches!(self.status, None | Some(429 | 502 | 503 | 504))
    }
}

impl Answers {
    pub fn take(&self) -> Answer {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, answer: Answer) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = answer;
    }
}

impl Client {
    pub fn new(timeout: Duration) -> Result<Self, reqwest::Error> {
        let inner = reqwest::Client::builder()
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("runbook/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { inner, answers: Answers::default() })
    }

    pub fn answers(&self) -> Answers {
        self.answers.clone()
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answered = async {
            let mut response = self.inner.execute(request.try_into()?).await?;
            let mut body = Vec::new();
            while let Some(part) = response.chunk().await? {
                let room = LONGEST_ANSWER - body.len();
                body.extend_from_slice(part.get(..part.len().min(room)).unwrap_or_default());
                if part.len() >= room {
                    break;
                }
            }
            Ok((response.status(), body))
        };
        // An address may have a password in it.
        match answered.await.map_err(reqwest::Error::without_url) {
            Ok((status, body)) => {
                self.answers.set(told(status.as_u16(), &body));
                let mut response = Response::new(Bytes::from(body));
                *response.status_mut() = status;
                Ok(response)
            }
            Err(error) => {
                self.answers.set(Answer { why: Some(error.to_string()), ..Answer::default() });
                Err(error.into())
            }
        }
    }
}

fn told(status: u16, body: &[u8]) -> Answer {
    if !(200..300).contains(&status) {
        let why = Some(format!("the collector answered {status}"));
        return Answer { status: Some(status), refused: 0, why };
    }
    let partial = ExportTraceServiceResponse::decode(body).ok().and_then(|response| response.partial_success);
    let refused = partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or_default());
    Answer { status: Some(status), refused, why: None }
}
