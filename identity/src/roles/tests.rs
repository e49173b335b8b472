use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::Via;

/// Every permission and what each role may do with it: in an environment for a runbook that the
/// grant holds (`in`), where the request names neither (`-`), or only with a grant of everything
/// (`all`). Columns: viewer, responder, approver, admin.
const TABLE: &str = "
    read           in-  in-  in-  in-
    own_tokens     in-  in-  in-  in-
    declare        .    in-  in-  in-
    acknowledge    .    in-  in-  in-
    note           .    in-  in-  in-
    resolve        .    in-  in-  in-
    dry_run        .    in   in   in
    start          .    in   in   in
    answer         .    in   in   in
    cancel         .    in   in   in
    undo           .    in   in   in
    approve        .    .    in   in
    override       .    .    in   in
    read_audit     .    .    .    all
    manage_tokens  .    .    .    all
    reload         .    .    .    all
";

const ROLES: [Role; 4] = [Role::Viewer, Role::Responder, Role::Approver, Role::Admin];

fn grant(role: Role, environment: &str, runbook: &str) -> Grant {
    Grant { role, environments: vec![environment.parse().unwrap()], runbooks: vec![runbook.parse().unwrap()] }
}

fn holder(rights: Rights, within: Option<Rights>) -> Identity {
    let via = Via::Token { id: "1".to_owned() };
    Identity {
        name: "ann".to_owned(),
        groups: BTreeSet::new(),
        claimed: BTreeSet::new(),
        rights,
        within,
        via,
    }
}

fn scopes() -> Vec<Scope<'static>> {
    let environments = [None, Some("production"), Some("staging")];
    let runbooks = [None, Some("db-failover"), Some("cache-flush")];
    environments
        .into_iter()
        .flat_map(|environment| runbooks.map(|runbook| Scope { environment, runbook }))
        .collect()
}

#[test]
fn every_role_may_do_what_the_table_says_and_nothing_else() {
    let lines: Vec<Vec<&str>> = TABLE.trim().lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), Permission::ALL.len(), "a line for each permission");
    for (line, permission) in lines.iter().zip(Permission::ALL) {
        assert_eq!(line[0], permission.to_string());
        for (cell, role) in line[1..].iter().zip(ROLES) {
            for everything in [true, false] {
                for scope in scopes() {
                    let given =
                        if everything { Grant::everywhere(role) } else { grant(role, "prod*", "db-*") };
                    let inside = everything
                        || (scope.environment != Some("staging") && scope.runbook != Some("cache-flush"));
                    let named = scope.environment.is_some() && scope.runbook.is_some();
                    let expected = match *cell {
                        "in-" => inside,
                        "in" => inside && named,
                        "all" => everything,
                        "." => false,
                        other => panic!("{other} is no word of the table"),
                    };
                    let answer = may(&holder(Rights(vec![given]), None), permission, scope);
                    assert_eq!(
                        answer.is_ok(),
                        expected,
                        "{role} {permission} {scope:?} everything={everything}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_policy_has_one_line_for_each_permission_in_their_order() {
    for (permission, rule) in Permission::ALL.iter().zip(&POLICY) {
        assert_eq!(*permission, rule.permission);
        assert_eq!(permission.rule(), rule);
    }
}

#[test]
fn who_was_granted_nothing_may_do_nothing() {
    for permission in Permission::ALL {
        for scope in scopes() {
            assert!(may(&holder(Rights::default(), None), permission, scope).is_err(), "{permission}");
            let empty = Grant { environments: vec![], ..Grant::everywhere(Role::Admin) };
            assert!(may(&holder(Rights(vec![empty]), None), permission, scope).is_err(), "{permission}");
        }
    }
}

#[test]
fn grants_do_not_add_up_to_what_none_of_them_gives() {
    let rights = Rights(vec![
        grant(Role::Responder, "production", "db-*"),
        grant(Role::Responder, "staging", "*"),
        grant(Role::Admin, "staging", "*"),
    ]);
    let ann = holder(rights, None);
    assert!(may(&ann, Permission::Start, Scope::of("production", "db-failover")).is_ok());
    assert!(may(&ann, Permission::Start, Scope::of("staging", "cache-flush")).is_ok());
    assert!(may(&ann, Permission::Start, Scope::of("production", "cache-flush")).is_err());
    assert!(may(&ann, Permission::Approve, Scope::of("production", "db-failover")).is_err());
    assert!(may(&ann, Permission::Reload, Scope::NOTHING).is_err());
}

#[test]
fn a_refusal_says_why_and_what_to_do() {
    let viewer = Rights(vec![grant(Role::Viewer, "production", "*")]);
    for (identity, permission, scope, why, hint) in [
        (
            holder(viewer.clone(), None),
            Permission::Start,
            Scope::of("production", "db-failover"),
            "ann may not start `db-failover` in `production`",
            "it takes the role responder; granted is viewer in `production` for `*`; ask whoever keeps `auth.roles` in runbook.yaml",
        ),
        (
            holder(viewer.clone(), None),
            Permission::Read,
            Scope::environment("staging"),
            "ann may not look at anything in `staging`",
            "it takes the role viewer; granted is viewer in `production` for `*`; ask whoever keeps `auth.roles` in runbook.yaml",
        ),
        (
            holder(Rights::default(), None),
            Permission::Reload,
            Scope::NOTHING,
            "ann may not reload the configuration",
            "it takes the role admin everywhere and for all runbooks; granted is no role; ask whoever keeps `auth.roles` in runbook.yaml",
        ),
        (
            holder(Rights::all(), None),
            Permission::Approve,
            Scope::environment("production"),
            "ann may not approve or reject what is asked by a runbook in `production`",
            "name the environment and the runbook",
        ),
        (
            holder(Rights::all(), Some(viewer)),
            Permission::Start,
            Scope::of("production", "db-failover"),
            "ann may not start `db-failover` in `production`",
            "the token says so, but its owner may not: `auth.roles` in runbook.yaml must grant them the role responder",
        ),
    ] {
        let refusal = may(&identity, permission, scope).unwrap_err();
        assert_eq!((refusal.why.as_str(), refusal.hint.as_str()), (why, hint));
        assert_eq!((refusal.permission, refusal.needs), (permission, permission.rule().role));
    }
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let name = || prop::sample::select(vec!["*", "prod", "stage", "prod*", "p*", "db-*", "db-a", "*a"]);
    (prop::sample::select(ROLES.to_vec()), name(), name())
        .prop_map(|(role, env, runbook)| grant(role, env, runbook))
}

fn any_rights() -> impl Strategy<Value = Rights> {
    prop::collection::vec(any_grant(), 0..4).prop_map(Rights)
}

fn any_name() -> impl Strategy<Value = Option<&'static str>> {
    prop::option::of(prop::sample::select(vec!["prod", "stage", "prod-eu", "db-a", "db-b", "cache"]))
}

proptest! {
    #[test]
    fn a_grant_for_one_environment_gives_nothing_in_another(
        role in prop::sample::select(ROLES.to_vec()),
        permission in prop::sample::select(Permission::ALL.to_vec()),
        granted in "[a-z]{1,12}", asked in "[a-z]{1,12}", runbook in prop::option::of("[a-z]{1,12}"),
    ) {
        prop_assume!(granted != asked);
        let ann = holder(Rights(vec![grant(role, &granted, "*")]), None);
        let scope = Scope { environment: Some(&asked), runbook: runbook.as_deref() };
        prop_assert!(may(&ann, permission, scope).is_err());
        let ann = holder(Rights(vec![grant(role, "*", &granted)]), None);
        let scope = Scope { environment: runbook.as_deref(), runbook: Some(&asked) };
        prop_assert!(may(&ann, permission, scope).is_err());
    }

    #[test]
    fn narrower_rights_give_no_more(
        narrow in any_rights(), wide in any_rights(),
        permission in prop::sample::select(Permission::ALL.to_vec()),
        environment in any_name(), runbook in any_name(),
    ) {
        let scope = Scope { environment, runbook };
        if narrow.within(&wide) && narrow.allow(permission, scope) {
            prop_assert!(wide.allow(permission, scope));
        }
    }

    #[test]
    fn both_bounds_must_allow(
        rights in any_rights(), within in any_rights(),
        permission in prop::sample::select(Permission::ALL.to_vec()),
        environment in any_name(), runbook in any_name(),
    ) {
        let scope = Scope { environment, runbook };
        let both = rights.allow(permission, scope) && within.allow(permission, scope);
        prop_assert_eq!(may(&holder(rights, Some(within)), permission, scope).is_ok(), both);
    }
}
