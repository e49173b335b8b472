//! Who asks, and what they may: everything.

use super::Refusal;
use super::declared::Aws;
use super::xml::Element;
use crate::exchange::Query;
use crate::names;

const ROLE: &str = "simulated-oncall";

/// Answers an action of STS or IAM; nothing where it is another service's.
pub(crate) fn respond(aws: &Aws, action: &str, form: &Query) -> Option<Result<Vec<Element>, Refusal>> {
    Some(Ok(match action {
        "GetCallerIdentity" => vec![
            Element::leaf("Arn", format!("arn:aws:sts::{}:assumed-role/{ROLE}/runbook", aws.account)),
            Element::leaf("UserId", format!("{}:runbook", id())),
            Element::leaf("Account", &aws.account),
        ],
        "GetRole" if form.get("RoleName") == Some(ROLE) => vec![Element::new(
            "Role",
            [
                Element::leaf("Path", "/"),
                Element::leaf("RoleName", ROLE),
                Element::leaf("RoleId", id()),
                Element::leaf("Arn", format!("arn:aws:iam::{}:role/{ROLE}", aws.account)),
                Element::leaf("CreateDate", "2026-01-01T00:00:00Z"),
            ],
        )],
        "GetRole" => {
            return Some(Err(Refusal::new(404, "NoSuchEntity", format!("there is no role but {ROLE}"))));
        }
        "SimulatePrincipalPolicy" => vec![Element::new("EvaluationResults", simulated(form))],
        _ => return None,
    }))
}

fn simulated(form: &Query) -> Vec<Element> {
    let resource = form.get("ResourceArns.member.1").unwrap_or("*");
    let actions = (1..=20).map_while(|index| form.get(&format!("ActionNames.member.{index}")));
    let allowed = actions.map(|action| {
        Element::new(
            "member",
            [
                Element::leaf("EvalActionName", action),
                Element::leaf("EvalResourceName", resource),
                Element::leaf("EvalDecision", "allowed"),
            ],
        )
    });
    allowed.collect()
}

fn id() -> String {
    format!("AROA{}", names::suffix(ROLE, 16).to_uppercase())
}
