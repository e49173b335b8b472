//! What people say to an incident, as forms: each is there for those who may, and only then.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Redirect, Response},
};
use maud::{Markup, html};
use runbook_core::incident::{Incident, LONGEST_NOTE, LONGEST_TITLE, Role, State as Phase, Steadiness};
use runbook_identity::{Permission, Scope};

use super::{feed, one};
use crate::{
    api::{
        self,
        incidents::{Declare, Say},
        page::Path,
    },
    gate::Caller,
    pages::{
        forms::{Sent, csrf},
        layout::{Here, page},
        runbooks, told,
        words::{Tone, mark},
    },
    problem::Problem,
    site::Site,
};

fn may(caller: &Caller, incident: &Incident, permission: Permission) -> bool {
    caller.may(permission, api::incidents::scope(incident.environment.as_deref())).is_ok()
}

/// A form of an incident.
fn form(caller: &Caller, incident: &Incident, verb: &str, content: &Markup) -> Markup {
    html! {
        form method="post" action={ "/incidents/" (incident.id) "/" (verb) } { (csrf(caller)) (content) }
    }
}

/// The first thing to do about an open incident that nobody has.
pub fn take(caller: &Caller, incident: &Incident) -> Markup {
    let is_free = incident.is_open() && incident.acknowledged.is_none();
    html! {
        @if is_free && may(caller, incident, Permission::Acknowledge) {
            (form(caller, incident, "acknowledge", &html! { p.buttons { button.good.large { "I take it on" } } }))
        }
    }
}

pub fn note_form(caller: &Caller, incident: &Incident, sent: &Sent) -> Markup {
    let fields = html! {
        div.field {
            label for="note" { "Note" }
            textarea id="note" name="note" rows="2" required maxlength=(LONGEST_NOTE) { (sent.shown("note")) }
        }
        p.buttons { button { "Add to the timeline" } }
    };
    html! { @if may(caller, incident, Permission::Note) { (form(caller, incident, "note", &fields)) } }
}

/// All other forms.
pub fn all(site: &Site, caller: &Caller, incident: &Incident, sent: &Sent) -> Markup {
    let works = may(caller, incident, Permission::Note);
    let resolves = may(caller, incident, Permission::Resolve);
    html! {
        @if !works && !resolves { p.quiet { "You may look. Working on incidents takes the role responder." } }
        @if (works || resolves) && incident.state != Phase::Merged {
            section.does aria-label="What to do" {
                @if resolves && incident.is_open() { (resolve_form(caller, incident, sent)) }
                @if resolves && incident.state == Phase::Resolved { (reopen_form(caller, incident)) }
                @if works && incident.is_open() {
                    (state_form(caller, incident))
                    (severity_form(site, caller, incident))
                    (role_form(caller, incident))
                    (relate_form(caller, incident))
                }
            }
        }
    }
}

fn choose(id: &str, label: &str, words: impl Iterator<Item = (String, String)>, chosen: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            select id=(id) name=(id) {
                @for (word, text) in words { option value=(word) selected[word == chosen] { (text) } }
            }
        }
    }
}

fn reason(id: &str, label: &str, value: &str) -> Markup {
    html! {
        div.field {
            label for=(id) { (label) }
            input type="text" id=(id) name="reason" value=(value) maxlength="2000";
        }
    }
}

fn severity_form(site: &Site, caller: &Caller, incident: &Incident) -> Markup {
    let levels = feed::levels(site).into_iter().map(|name| (name.clone(), name));
    let fields = html! {
        details name="does" {
            summary { "Severity…" }
            (choose("severity", "Severity", levels, &incident.severity))
            (reason("severity-reason", "Why", ""))
            p.buttons { button { "Change it" } }
        }
    };
    form(caller, incident, "severity", &fields)
}

fn state_form(caller: &Caller, incident: &Incident) -> Markup {
    let states = one::OPEN.into_iter().map(|state| (state.word().to_owned(), state.word().to_owned()));
    let fields = html! {
        details name="does" {
            summary { "State…" }
            (choose("state", "State", states, incident.state.word()))
            p.buttons { button { "Change it" } }
        }
    };
    form(caller, incident, "state", &fields)
}

fn role_form(caller: &Caller, incident: &Incident) -> Markup {
    let roles = Role::ALL.into_iter().map(|role| (role.word().to_owned(), role.to_string()));
    let fields = html! {
        details name="does" {
            summary { "Roles…" }
            (choose("role", "Role", roles, ""))
            div.field {
                label for="person" { "Who" }
                input type="text" id="person" name="person" value=(caller.identity.name) required maxlength="200" autocapitalize="off" spellcheck="false";
            }
            p.buttons {
                button name="what" value="assign" { "Give it to them" }
                button name="what" value="leave" { "Take it from them" }
            }
        }
    };
    form(caller, incident, "role", &fields)
}

fn relate_form(caller: &Caller, incident: &Incident) -> Markup {
    let fields = html! {
        details name="does" {
            summary { "Link or merge…" }
            div.field {
                label for="other" { "The other incident" }
                input type="text" id="other" name="other" required placeholder="INC-42" maxlength="40" autocapitalize="characters" spellcheck="false";
            }
            p.buttons {
                button name="what" value="link" { "Link them" }
                button.danger name="what" value="merge" { "Go on as the other" }
            }
        }
    };
    form(caller, incident, "relate", &fields)
}

fn resolve_form(caller: &Caller, incident: &Incident, sent: &Sent) -> Markup {
    let steady = incident.last_seen();
    let obstacles = incident.obstacles(steady);
    let fields = html! {
        details name="does" open[sent.has("force")] {
            summary { "Resolve…" }
            p {
                @match steady {
                    Steadiness::Holds => (mark(Tone::Good, "✓ it was recovered when last looked at")),
                    Steadiness::Broken => (mark(Tone::Bad, "✕ it was not recovered when last looked at")),
                    Steadiness::Unreadable => (mark(Tone::Asks, "~ nobody could tell when it was last looked at")),
                    Steadiness::Undeclared => (mark(Tone::Asks, "~ no run has verified that it is recovered")),
                }
            }
            @if !incident.runs.is_empty() { p.quiet { "The steady state is looked at once more before it is resolved." } }
            @if !obstacles.is_empty() {
                div.notice.asks { p { "Against it speaks that " (obstacles.join("; ")) "." } }
            }
            (reason("resolve-reason", "What was it?", sent.shown("reason")))
            @if !obstacles.is_empty() {
                div.field {
                    label for="force" { "Why resolve it all the same?" }
                    input type="text" id="force" name="force" value=(sent.shown("force")) maxlength="2000";
                }
            }
            p.buttons { button.good { "Resolve " (one::name(incident)) } }
        }
    };
    form(caller, incident, "resolve", &fields)
}

fn reopen_form(caller: &Caller, incident: &Incident) -> Markup {
    let fields = html! {
        details name="does" {
            summary { "Open it again…" }
            (reason("reopen-reason", "Why", ""))
            p.buttons { button { "Open it again" } }
        }
    };
    form(caller, incident, "reopen", &fields)
}

type At = (State<Arc<Site>>, Caller, Path<String>);

/// Says it; what is wrong is shown on the page, with what was typed.
async fn say(
    (State(site), caller, Path(id)): At,
    sent: Sent,
    said: Result<Say, Problem>,
) -> Result<Response, Problem> {
    let said = match said {
        Ok(said) => api::incidents::said_to(&site, &caller, &id, said).await,
        Err(problem) => Err(problem),
    };
    Ok(match said {
        Ok(_) => Redirect::to(&format!("/incidents/{id}")).into_response(),
        Err(problem) => {
            let page = one::shown(&site, &caller, &id, None, &sent, Some(&problem)).await?;
            told::with_problem(page, &problem)
        }
    })
}

type Told = Result<Response, Problem>;

pub async fn acknowledge(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    say((site, caller, id), sent, Ok(Say::Acknowledge {})).await
}

pub async fn note(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = sent.needed("note").map(|text| Say::Note { text });
    say((site, caller, id), sent, said).await
}

pub async fn severity(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = sent.needed("severity").map(|to| Say::Severity { to, reason: sent.text("reason") });
    say((site, caller, id), sent, said).await
}

pub async fn state(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = sent.needed("state").and_then(|word| {
        let to = one::OPEN.into_iter().find(|state| state.word() == word);
        to.map(|to| Say::State { to }).ok_or_else(|| Problem::invalid("there is no such state"))
    });
    say((site, caller, id), sent, said).await
}

pub async fn role(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = sent.needed("role").and_then(|role| {
        let person = sent.needed("person")?;
        Ok(match sent.shown("what") {
            "leave" => Say::Leave { role, person },
            _ => Say::Assign { role, person },
        })
    });
    say((site, caller, id), sent, said).await
}

pub async fn relate(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = sent.needed("other").map(|other| match sent.shown("what") {
        "merge" => Say::Merge { into: other },
        _ => Say::Link { other },
    });
    say((site, caller, id), sent, said).await
}

pub async fn resolve(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = Say::Resolve { reason: sent.text("reason"), force: sent.text("force") };
    say((site, caller, id), sent, Ok(said)).await
}

pub async fn reopen(site: State<Arc<Site>>, caller: Caller, id: Path<String>, sent: Sent) -> Told {
    let said = Say::Reopen { reason: sent.text("reason") };
    say((site, caller, id), sent, Ok(said)).await
}

pub async fn ask_declare(State(site): State<Arc<Site>>, caller: Caller) -> Markup {
    declare_page(&site, &caller, &Sent::default(), None)
}

fn declare_page(site: &Site, caller: &Caller, sent: &Sent, problem: Option<&Problem>) -> Markup {
    let levels = feed::levels(site).into_iter().map(|name| (name.clone(), name));
    let chosen = sent.text("severity").unwrap_or_else(|| feed::default_level(site));
    let mut environments = site.project.environments();
    environments.retain(|facts| caller.may(Permission::Declare, Scope::environment(&facts.name)).is_ok());
    environments.sort_by_key(|facts| !facts.default);
    let names: Vec<String> = environments.into_iter().map(|facts| facts.name).collect();
    let content = html! {
        h1 { "Declare an incident" }
        @if let Some(problem) = problem { (told::notice(problem)) }
        form method="post" action="/incidents/declare" {
            (csrf(caller))
            div.field {
                label for="title" { "What is wrong, in a line " span.needed { "(needed)" } }
                input type="text" id="title" name="title" value=(sent.shown("title")) required maxlength=(LONGEST_TITLE);
            }
            (choose("severity", "Severity", levels, &chosen))
            (runbooks::environment_field(&names, sent.text("environment").as_deref()))
            div.field {
                label for="service" { "Service" }
                input type="text" id="service" name="service" value=(sent.shown("service")) maxlength="200" autocapitalize="off" spellcheck="false";
            }
            div.field {
                label for="description" { "What do people notice?" }
                textarea id="description" name="description" rows="3" maxlength="2000" { (sent.shown("description")) }
            }
            p.buttons { button.good.large { "Declare it" } }
        }
    };
    page(site, Some(caller), Here::Incidents, "Declare an incident", &content)
}

pub async fn declare(State(site): State<Arc<Site>>, caller: Caller, sent: Sent) -> Told {
    let said = sent.needed("title").map(|title| Declare {
        title,
        severity: sent.text("severity"),
        service: sent.text("service"),
        environment: sent.text("environment"),
        description: sent.text("description"),
    });
    let declared = match said {
        Ok(said) => api::incidents::declared(&site, &caller, said).await,
        Err(problem) => Err(problem),
    };
    Ok(match declared {
        Ok(incident) => Redirect::to(&format!("/incidents/{}", incident.id)).into_response(),
        Err(problem) => told::with_problem(declare_page(&site, &caller, &sent, Some(&problem)), &problem),
    })
}
