//! A little of AWS: who one is, databases of RDS, records of Route 53, metrics of CloudWatch, in the
//! protocols that the SDKs speak.

mod caller;
mod cbor;
mod cloudwatch;
pub(crate) mod declared;
pub(crate) mod estate;
mod rds;
mod rds_changes;
mod records;
mod route53;
mod xml;

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use crate::environment::Environment;
use crate::error::WorldError;
use crate::exchange::{Answer, Query, Request};
use crate::kubernetes::views::View;
use crate::names;
use crate::time::Seconds;

use self::declared::Aws;
use self::xml::Element;

/// What requests are signed with here. Whoever signs with anything else meant another account.
pub(crate) const ACCESS_KEY_ID: &str = "SIMULATEDACCESSKEYID";
pub(crate) const SECRET_ACCESS_KEY: &str = "simulated";

/// Answers what comes after `/aws`.
pub(crate) fn respond(environment: &Environment, request: &Request, path: &[&str]) -> Answer {
    if !request.header(header::AUTHORIZATION).contains(&format!("Credential={ACCESS_KEY_ID}/")) {
        return Refusal::denied().answer();
    }
    let answer = match path {
        [] if request.method == Method::POST => {
            let form = Query::parse(&String::from_utf8_lossy(&request.body));
            call(environment, &form)
        }
        ["service", "GraniteServiceVersion20100801", "operation", "GetMetricStatistics"] => {
            return cloudwatch::respond(environment, request);
        }
        ["2013-04-01", rest @ ..] => route53::respond(environment, request, rest),
        _ => Err(Refusal::unknown(&request.path)),
    };
    answer.unwrap_or_else(|refusal| refusal.answer())
}

/// What STS, IAM and RDS are asked: a form that names its action, answered in XML.
fn call(environment: &Environment, form: &Query) -> Result<Answer, Refusal> {
    let action = form.get("Action").unwrap_or_default();
    if let Some(result) = rds_changes::respond(environment, action, form) {
        return Ok(wrapped(action, result?));
    }
    let answered = environment.look(|view| {
        caller::respond(&view.model.scenario.aws, action, form).or_else(|| rds::respond(view, action, form))
    })?;
    Ok(wrapped(action, answered.ok_or_else(|| Refusal::unknown(action))??))
}

/// The result of an action, as the services wrap it.
fn wrapped(action: &str, result: Vec<Element>) -> Answer {
    let metadata = Element::new("ResponseMetadata", [Element::leaf("RequestId", names::uid(action))]);
    let result = Element::new(&format!("{action}Result"), result);
    xml_answer(200, &Element::new(&format!("{action}Response"), [result, metadata]))
}

fn xml_answer(status: u16, body: &Element) -> Answer {
    Answer {
        status,
        content_type: "text/xml",
        headers: HeaderMap::from_iter([(
            HeaderName::from_static("x-amzn-requestid"),
            HeaderValue::from_static("simulated"),
        )]),
        body: body.document().into_bytes(),
    }
}

/// Why a request was not done, as AWS tells it.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: u16,
    code: &'static str,
    messages: Vec<String>,
}

impl Refusal {
    fn new(status: u16, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, messages: vec![message.into()] }
    }

    fn denied() -> Self {
        let message = format!("only the access key {ACCESS_KEY_ID} is known to this simulation");
        Self::new(403, "InvalidClientTokenId", message)
    }

    fn unknown(what: &str) -> Self {
        let what: String = what.chars().take(80).collect();
        Self::new(400, "InvalidAction", format!("`{what}` is not simulated"))
    }

    fn answer(&self) -> Answer {
        if self.code == route53::INVALID_BATCH {
            let messages = self.messages.iter().map(|message| Element::leaf("Message", message));
            let body = Element::new(self.code, [Element::new("Messages", messages)]);
            return xml_answer(self.status, &body);
        }
        let error = [
            Element::leaf("Type", "Sender"),
            Element::leaf("Code", self.code),
            Element::leaf("Message", self.messages.join("; ")),
        ];
        let body = [Element::new("Error", error), Element::leaf("RequestId", "simulated")];
        xml_answer(self.status, &Element::new("ErrorResponse", body))
    }
}

impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        Self::new(500, "InternalFailure", error.to_string())
    }
}

/// The ARN of something in RDS.
fn rds_arn(aws: &Aws, kind: &str, name: &str) -> String {
    format!("arn:aws:rds:{}:{}:{kind}:{name}", aws.region, aws.account)
}

/// A moment as XML has it: real time, in milliseconds.
fn moment(view: &View<'_>, at: Seconds) -> String {
    view.state.timeline.real(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}
