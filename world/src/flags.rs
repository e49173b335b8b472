//! A feature-flag service in the three shapes that are common: a path per flag, one body with all
//! flags, and Unleash's admin API.

use http::Method;
use serde_json::{Map, Value, json};

use crate::environment::Environment;
use crate::error::WorldError;
use crate::exchange::{Answer, Request};

pub(crate) const TOKEN: &str = "simulated-flags";
const ENVIRONMENTS: [&str; 2] = ["development", "production"];

/// Why a change of flags was not made.
enum Refusal {
    Unknown(String),
    World(WorldError),
}

impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        Self::World(error)
    }
}

/// Answers what comes after `/flags`.
pub(crate) fn respond(environment: &Environment, request: &Request, path: &[&str]) -> Answer {
    if request.is_write() {
        environment.count_write();
    }
    if path == ["health"] {
        return Answer::json(200, &json!({ "health": "GOOD", "simulated": true }));
    }
    if request.token() != TOKEN {
        return Answer::json(401, &json!({ "error": "a valid token is needed" }));
    }
    match (&request.method, path) {
        (&Method::GET, ["api", "flags"]) => {
            seen(environment.look(|view| Answer::json(200, &json!(view.state.flags))))
        }
        (&Method::GET, ["api", "flags", name]) => one(environment, name, plain),
        (&Method::POST, ["api", "flags", name, "enable"]) => {
            switch(environment, &[(name, true)], |_| None, plain)
        }
        (&Method::POST, ["api", "flags", name, "disable"]) => {
            switch(environment, &[(name, false)], |_| None, plain)
        }
        (&(Method::PATCH | Method::POST | Method::PUT), ["api", "flags"]) => many(environment, &request.body),
        (&Method::GET, ["api", "admin", "projects", "default", "features", name]) => {
            one(environment, name, unleash)
        }
        (
            &Method::POST,
            [
                "api",
                "admin",
                "projects",
                "default",
                "features",
                name,
                "environments",
                place,
                state @ ("on" | "off"),
            ],
        ) if ENVIRONMENTS.contains(place) => {
            // Only production serves traffic here; the other environment takes the call and no effect.
            if *place == "production" {
                switch(
                    environment,
                    &[(name, *state == "on")],
                    |_| Some(Answer::json(200, &json!({}))),
                    unleash,
                )
            } else {
                one(environment, name, |_, _| json!({}))
            }
        }
        (_, ["api", "flags" | "admin", ..]) => {
            Answer::json(404, &json!({ "error": "there is no such path or method" }))
        }
        _ => Answer::json(404, &json!({ "error": "there is no such path" })),
    }
}

type Show = fn(&str, bool) -> Value;

fn plain(name: &str, enabled: bool) -> Value {
    json!({ "name": name, "enabled": enabled })
}

fn unleash(name: &str, enabled: bool) -> Value {
    let environments: Vec<Value> = ENVIRONMENTS
        .iter()
        .map(|place| {
            json!({ "name": place, "enabled": enabled && *place == "production", "type": place, "strategies": [] })
        })
        .collect();
    json!({
        "name": name, "project": "default", "type": "release", "enabled": enabled, "stale": false, "archived": false,
        "description": "simulated", "environments": environments,
    })
}

fn one(environment: &Environment, name: &str, show: Show) -> Answer {
    seen(environment.look(|view| match view.state.flags.get(name) {
        Some(enabled) => Answer::json(200, &show(name, *enabled)),
        None => unknown(name),
    }))
}

fn unknown(name: &str) -> Answer {
    let name: String = name.chars().take(80).collect();
    Answer::json(404, &json!({ "name": "NotFoundError", "error": format!("there is no flag named {name}") }))
}

fn many(environment: &Environment, body: &[u8]) -> Answer {
    let wanted: Result<Map<String, Value>, _> = serde_json::from_slice(body);
    let wanted = wanted.ok().and_then(|wanted| {
        wanted.iter().map(|(name, value)| Some((name.clone(), value.as_bool()?))).collect::<Option<Vec<_>>>()
    });
    let Some(wanted) = wanted else {
        return Answer::json(400, &json!({ "error": "expected an object of flag names and true or false" }));
    };
    let wanted: Vec<(&str, bool)> = wanted.iter().map(|(name, on)| (name.as_str(), *on)).collect();
    let all = |flags: &Value| Some(Answer::json(200, flags));
    switch(environment, &wanted, all, plain)
}

/// Sets flags, all or none; answers with what `whole` makes of all flags, else with the first.
fn switch(
    environment: &Environment,
    wanted: &[(&str, bool)],
    whole: impl FnOnce(&Value) -> Option<Answer>,
    show: Show,
) -> Answer {
    let change = |state: &mut crate::state::State, _| {
        for (name, on) in wanted {
            match state.flags.get_mut(*name) {
                Some(flag) => *flag = *on,
                None => return Err(Refusal::Unknown((*name).to_owned())),
            }
        }
        Ok(())
    };
    let answer = environment.change(false, change, |view, ()| {
        whole(&json!(view.state.flags)).unwrap_or_else(|| match wanted.first() {
            Some((name, on)) => Answer::json(200, &show(name, *on)),
            None => Answer::json(200, &json!({})),
        })
    });
    match answer {
        Ok(answer) => answer,
        Err(Refusal::Unknown(name)) => unknown(&name),
        Err(Refusal::World(error)) => failed(&error),
    }
}

fn seen(answer: Result<Answer, WorldError>) -> Answer {
    answer.unwrap_or_else(|error| failed(&error))
}

fn failed(error: &WorldError) -> Answer {
    Answer::json(500, &json!({ "error": error.to_string() }))
}
