//! What the caller may do, as IAM simulates it. A simulation knows the policies of the caller, not
//! those of the resource: it says no with certainty, and yes as far as can be seen.

use aws_sdk_iam::types::{EvaluationResult, PolicyEvaluationDecisionType};
use futures::{FutureExt as _, future::join_all};
use runbook_contract::Obstacle;
use runbook_core::fault::Fault;

use crate::{
    client::Session,
    guard::{GET_ROLE, SIMULATE_PRINCIPAL_POLICY},
    identity::Identity,
};

/// An action of IAM on one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Right {
    pub(crate) action: &'static str,
    pub(crate) resource: String,
}

impl Right {
    pub(crate) fn on(action: &'static str, resource: impl Into<String>) -> Self {
        Self { action, resource: resource.into() }
    }
}

/// One obstacle for every right that is missing. What cannot be asked is said once, with the
/// reason, and blocks nothing.
pub(crate) async fn missing(session: &Session<'_>, needed: &[Right]) -> Vec<Obstacle> {
    let principal = match principal(session).await {
        Ok(principal) => principal,
        Err(why) => return vec![Obstacle { hint: None, ..unknown(needed, &why) }],
    };
    let asked = needed.iter().map(|right| simulate(session, principal, right));
    let mut found = Vec::new();
    let mut untold: Option<String> = None;
    for (right, answer) in needed.iter().zip(join_all(asked).await) {
        match answer {
            Ok(Verdict::Allowed) => {}
            Ok(Verdict::Denied(why)) => found.push(lacking(right, &why)),
            Ok(Verdict::Depends(keys)) => {
                untold.get_or_insert(format!("it depends on conditions: {}", keys.join(", ")));
            }
            Err(fault) => {
                untold.get_or_insert(fault.message);
            }
        }
    }
    found.extend(untold.map(|why| unknown(needed, &why)));
    found
}

fn lacking(right: &Right, why: &str) -> Obstacle {
    Obstacle {
        blocking: true,
        code: "iam".to_owned(),
        message: format!("you may not `{}` on {}: {why}", right.action, right.resource),
        hint: Some(format!("ask for a policy that allows `{}` on {}", right.action, right.resource)),
    }
}

fn unknown(needed: &[Right], why: &str) -> Obstacle {
    let mut actions: Vec<String> = needed.iter().map(|right| format!("`{}`", right.action)).collect();
    actions.dedup();
    Obstacle {
        blocking: false,
        code: "iam".to_owned(),
        message: format!("whether you may {} is unknown: {why}", actions.join(", ")),
        hint: Some("`iam:SimulatePrincipalPolicy` and `iam:GetRole` let it be asked".to_owned()),
    }
}

/// What a simulation says.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Allowed,
    Denied(String),
    /// A condition asks for what a simulation is not told.
    Depends(Vec<String>),
}

async fn simulate(session: &Session<'_>, principal: &str, right: &Right) -> Result<Verdict, Fault> {
    let iam = &session.link().iam;
    let answer = session
        .ask(SIMULATE_PRINCIPAL_POLICY, || {
            iam.simulate_principal_policy()
                .policy_source_arn(principal)
                .action_names(right.action)
                .resource_arns(&right.resource)
                .send()
                .boxed()
        })
        .await?;
    let results = answer.evaluation_results.unwrap_or_default();
    if results.is_empty() {
        return Err(Fault::permanent("IAM simulated nothing"));
    }
    let verdicts = results.iter().map(verdict);
    Ok(verdicts.reduce(worse).unwrap_or(Verdict::Allowed))
}

fn verdict(result: &EvaluationResult) -> Verdict {
    let keys = result.missing_context_values();
    match &result.eval_decision {
        PolicyEvaluationDecisionType::Allowed => Verdict::Allowed,
        PolicyEvaluationDecisionType::ExplicitDeny => Verdict::Denied("a policy denies it".to_owned()),
        PolicyEvaluationDecisionType::ImplicitDeny if keys.is_empty() => {
            let of_organization =
                result.organizations_decision_detail().is_some_and(|it| !it.allowed_by_organizations);
            Verdict::Denied(
                if of_organization { "the organization does not allow it" } else { "no policy allows it" }
                    .to_owned(),
            )
        }
        _ => Verdict::Depends(keys.to_vec()),
    }
}

fn worse(one: Verdict, other: Verdict) -> Verdict {
    match (&one, &other) {
        (Verdict::Denied(_), _) => one,
        (_, Verdict::Denied(_)) | (Verdict::Allowed, _) => other,
        _ => one,
    }
}

/// Whose policies are to be simulated.
#[derive(Debug, PartialEq, Eq)]
enum Principal {
    Arn(String),
    /// A session says the name of its role, not the path.
    Role {
        name: String,
        without_path: String,
    },
    Nobody(&'static str),
}

async fn principal<'a>(session: &Session<'a>) -> Result<&'a String, String> {
    session.principal.get_or_try_init(|| look_up(session)).await
}

async fn look_up(session: &Session<'_>) -> Result<String, String> {
    match principal_of(session.identity) {
        Principal::Arn(arn) => Ok(arn),
        Principal::Role { name, without_path } => {
            let iam = &session.link().iam;
            let role = session.ask(GET_ROLE, || iam.get_role().role_name(&name).send().boxed()).await;
            Ok(role.ok().and_then(|answer| answer.role).map_or(without_path, |role| role.arn))
        }
        Principal::Nobody(why) => Err(why.to_owned()),
    }
}

fn principal_of(identity: &Identity) -> Principal {
    let arn = &identity.arn;
    let mut parts = arn.splitn(6, ':').skip(2);
    let (service, resource) = (parts.next().unwrap_or_default(), parts.nth(2).unwrap_or_default());
    match (service, resource.split_once('/')) {
        ("iam", None) if resource == "root" => {
            Principal::Nobody("the caller is the root user of the account, whose rights are not simulated")
        }
        ("iam", Some(("user" | "role", _))) => Principal::Arn(arn.clone()),
        ("sts", Some(("assumed-role", rest))) => {
            let name = rest.split('/').next().unwrap_or_default().to_owned();
            let without_path = format!("arn:{}:iam::{}:role/{name}", identity.partition(), identity.account);
            Principal::Role { name, without_path }
        }
        _ => Principal::Nobody("the caller is neither a user nor a role of IAM"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(arn: &str) -> Principal {
        principal_of(&Identity {
            account: "123456789012".to_owned(),
            arn: arn.to_owned(),
            region: "eu-west-1".to_owned(),
            endpoint: None,
        })
    }

    #[test]
    fn a_session_stands_for_its_role() {
        assert_eq!(
            principal("arn:aws:sts::123456789012:assumed-role/oncall/ada@example.com"),
            Principal::Role {
                name: "oncall".to_owned(),
                without_path: "arn:aws:iam::123456789012:role/oncall".to_owned()
            }
        );
        let user = "arn:aws:iam::123456789012:user/team/ada";
        assert_eq!(principal(user), Principal::Arn(user.to_owned()));
        for nobody in
            ["arn:aws:iam::123456789012:root", "arn:aws:sts::123456789012:federated-user/ada", "x", ""]
        {
            assert!(matches!(principal(nobody), Principal::Nobody(_)), "{nobody}");
        }
    }

    #[test]
    fn a_denial_is_told_from_a_condition_that_nobody_can_judge() {
        let result = |decision: PolicyEvaluationDecisionType, keys: &[&str]| {
            EvaluationResult::builder()
                .eval_action_name("rds:FailoverDBCluster")
                .eval_decision(decision)
                .set_missing_context_values(Some(keys.iter().map(|key| (*key).to_owned()).collect()))
                .build()
                .unwrap()
        };
        use PolicyEvaluationDecisionType as Decision;
        assert_eq!(verdict(&result(Decision::Allowed, &[])), Verdict::Allowed);
        assert!(matches!(
            verdict(&result(Decision::ExplicitDeny, &["aws:MultiFactorAuthPresent"])),
            Verdict::Denied(_)
        ));
        assert!(matches!(verdict(&result(Decision::ImplicitDeny, &[])), Verdict::Denied(_)));
        let keys = vec!["aws:MultiFactorAuthPresent".to_owned()];
        assert_eq!(
            verdict(&result(Decision::ImplicitDeny, &["aws:MultiFactorAuthPresent"])),
            Verdict::Depends(keys)
        );
    }
}
