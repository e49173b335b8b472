//! What a server asks, seen and answered from another machine.

use serde_json::{Value, json};
use url::Url;

use crate::{
    cli::{App, said},
    exit::{CliError, Exit},
    remote::{Remote, printable},
};

/// One open question, as the server's API has it.
#[derive(Debug)]
pub struct Question(Value);

/// What is said to it.
#[derive(Debug)]
pub struct Said {
    pub comment: Option<String>,
    pub digest: Option<String>,
    pub confirm: Option<String>,
    pub break_glass: bool,
    pub yes: bool,
}

/// What a server asks, of one run or of all.
pub async fn open(remote: &Remote, run: Option<&str>) -> Result<Vec<Question>, CliError> {
    let all = asked(remote).await?;
    let newest = all.iter().filter_map(|one| one["run"].as_str()).max().map(str::to_owned);
    let wanted = |one: &Value| match run {
        None => true,
        Some("latest") => one["run"].as_str() == newest.as_deref(),
        Some(run) => one["run"].as_str().is_some_and(|id| id.starts_with(run)),
    };
    Ok(all.into_iter().filter(wanted).map(Question).collect())
}

/// All that is asked, page after page.
async fn asked(remote: &Remote) -> Result<Vec<Value>, CliError> {
    let (mut all, mut path) = (Vec::new(), "/api/v1/approvals?limit=500".to_owned());
    loop {
        let mut page = remote.get(&path).await?;
        let Value::Array(items) = page["items"].take() else {
            return Err(CliError::failed("the server's list of approvals is none"));
        };
        let is_empty = items.is_empty();
        all.extend(items);
        match page["next"].as_str() {
            Some(next) if !is_empty => path = format!("/api/v1/approvals?limit=500&after={next}"),
            _ => return Ok(all),
        }
    }
}

pub async fn list(server: &Url, run: Option<&str>, app: &App) -> Result<Exit, CliError> {
    let open = open(&Remote::signed_in(server)?, run).await?;
    if app.is_json() {
        let documents: Vec<&Value> = open.iter().map(|question| &question.0).collect();
        app.print(&format!("{:#}\n", json!(documents)));
    } else if open.is_empty() {
        app.say("nothing is open: nobody is asked anything");
    } else {
        let texts: Vec<String> = open.iter().map(|one| one.text(app.global.verbose > 0)).collect();
        app.print(&texts.join("\n"));
    }
    Ok(Exit::Success)
}

/// Approves exactly what is shown.
pub async fn approve(
    server: &Url,
    run: &str,
    step: Option<&str>,
    said: Said,
    app: &App,
) -> Result<Exit, CliError> {
    let remote = Remote::signed_in(server)?;
    let question = one(&remote, run, step).await?;
    let digest = question.0["approval"]["digest"].as_str().unwrap_or_default();
    let bare = |digest: &str| digest.trim_start_matches("sha256:").to_owned();
    if said.digest.as_deref().is_some_and(|wanted| bare(wanted) != bare(digest)) {
        return Err(CliError::new(
            Exit::Stale,
            format!("the run asks about another change by now: {digest}"),
        )
        .hint("look at it again with `runbook approvals -v`"));
    }
    app.insist(&question.text(true));
    if !question.is_confirmed(&said, app).await? {
        app.insist("left open");
        return Ok(Exit::Waiting);
    }
    let body = json!({
        "step": question.step(),
        "digest": digest,
        "comment": said.comment,
        "break_glass": said.break_glass,
    });
    question.say(&remote, "approve", &body, "approved", app).await
}

pub async fn reject(
    server: &Url,
    run: &str,
    step: Option<&str>,
    comment: Option<String>,
    app: &App,
) -> Result<Exit, CliError> {
    let remote = Remote::signed_in(server)?;
    let question = one(&remote, run, step).await?;
    app.insist(&question.text(true));
    let body = json!({ "step": question.step(), "comment": comment });
    question.say(&remote, "reject", &body, "rejected", app).await
}

/// The one approval that is meant.
async fn one(remote: &Remote, run: &str, step: Option<&str>) -> Result<Question, CliError> {
    let fits = |question: &Question| {
        let path = question.step();
        question.0["kind"] == "approval"
            && step.is_none_or(|step| path == step || path.ends_with(&format!(".{step}")))
    };
    let mut found: Vec<Question> = open(remote, Some(run)).await?.into_iter().filter(fits).collect();
    match (found.pop(), found.len()) {
        (Some(question), 0) => Ok(question),
        (None, _) => Err(CliError::invalid(format!("run {run} waits for no approval there"))
            .hint("`runbook approvals --server URL` lists what is open")),
        (Some(last), _) => {
            let all = found.iter().chain([&last]);
            let names: Vec<String> = all.map(|one| format!("{} {}", one.run(), one.step())).collect();
            Err(CliError::invalid("several approvals are open")
                .hint(format!("name one: {}", names.join(", "))))
        }
    }
}

impl Question {
    fn text_of(&self, value: &Value) -> String {
        value.as_str().map(printable).unwrap_or_default()
    }

    fn run(&self) -> &str {
        self.0["run"].as_str().unwrap_or_default()
    }

    fn step(&self) -> &str {
        self.0["step"].as_str().unwrap_or_default()
    }

    /// In words; with the change line by line where it is wanted whole.
    fn text(&self, whole: bool) -> String {
        let (asked, change) = (&self.0, &self.0["change"]);
        let simulated = if asked["simulated"] == true { " (simulated)" } else { "" };
        let mut out = format!(
            "{}  {} in {}{simulated}, started by {}\n  {}  {}: {}\n",
            self.text_of(&asked["run"]),
            self.text_of(&asked["runbook"]),
            self.text_of(&asked["environment"]),
            self.text_of(&asked["requested_by"]),
            self.text_of(&asked["step"]),
            self.text_of(&asked["kind"]),
            self.text_of(&asked["prompt"]).replace('\n', " "),
        );
        let listed = |value: &Value| {
            let texts = value.as_array().into_iter().flatten().map(|one| self.text_of(one));
            texts.collect::<Vec<_>>().join(", ")
        };
        let count = asked["approval"]["count"].as_u64().unwrap_or(1);
        let mut fact = |label: &str, words: String| {
            if !words.is_empty() {
                out.push_str(&format!("    {label:<8}  {}\n", words.replace('\n', " ")));
            }
        };
        fact(
            "who",
            match listed(&asked["from"]) {
                from if from.is_empty() => "anybody".to_owned(),
                from => format!("{count} of {from}"),
            },
        );
        fact("so far", listed(&asked["approval"]["granted"]));
        fact("until", self.text_of(&asked["approval"]["deadline"]));
        fact("options", listed(&asked["options"]));
        fact("target", self.text_of(&change["target"]));
        fact("change", self.text_of(&change["summary"]));
        fact("effect", self.text_of(&asked["effect"]));
        fact("risk", self.text_of(&asked["risk"]));
        fact("warning", listed(&asked["warnings"]));
        if whole {
            let diff = self.text_of(&change["diff"]);
            out.extend(diff.lines().map(|line| format!("      {line}\n")));
        }
        out
    }

    /// Whether the person means it: `--yes`, the name of the target of a destructive change, or an
    /// answer on the terminal.
    async fn is_confirmed(&self, said: &Said, app: &App) -> Result<bool, CliError> {
        let target = self.0["change"]["target"].as_str().unwrap_or_default();
        let is_destructive = self.0["effect"] == "destructive" && !target.is_empty();
        let short = target.rsplit('/').next().unwrap_or(target);
        let names = |typed: &str| typed == target || typed == short;
        match (&said.confirm, is_destructive) {
            (Some(typed), true) if names(typed) => return Ok(true),
            (Some(typed), true) => {
                return Err(CliError::invalid(format!(
                    "the change is destructive, and its target is not `{typed}`"
                ))
                .hint(format!("it is {}", printable(target))));
            }
            (_, false) if said.yes || said.break_glass || said.confirm.is_some() => return Ok(true),
            _ => {}
        }
        if !app.terminal.can_ask || said.yes || said.break_glass {
            return match is_destructive {
                true => Err(CliError::invalid("the change is destructive: its target has to be named")
                    .hint(format!("--confirm {}", printable(short)))),
                false => Ok(true),
            };
        }
        let prompt = match is_destructive {
            true => format!("type {} to approve: ", printable(short)),
            false => "approve? [y/N] ".to_owned(),
        };
        let typed = said::line(&prompt).await?.unwrap_or_default();
        let typed = typed.trim();
        Ok(if is_destructive { names(typed) } else { matches!(typed, "y" | "yes") })
    }

    async fn say(
        &self,
        remote: &Remote,
        verb: &str,
        body: &Value,
        word: &str,
        app: &App,
    ) -> Result<Exit, CliError> {
        let path = format!("/api/v1/runs/{}/{verb}", self.run());
        let answer = remote.post(&path, body).await?;
        if app.is_json() {
            app.print(&format!("{:#}\n", answer.body));
        } else {
            app.print(&format!("{word}: {} of run {}\n", printable(self.step()), printable(self.run())));
        }
        Ok(Exit::Success)
    }
}
