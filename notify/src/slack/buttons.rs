//! Presses of the buttons below an approval: what Slack posts once its signature holds.
//!
//! <https://docs.slack.dev/reference/interaction-payloads/block_actions-payload>

use std::{borrow::Cow, fmt};

use runbook_contract::SecretSource;
use runbook_core::{change, event::RunId};
use runbook_intake::{Proof, Refusal, Request};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::{Url, form_urlencoded};

use crate::config::{Address, Slack, is_user};

pub(crate) const APPROVE: &str = "runbook_approve";
pub(crate) const REJECT: &str = "runbook_reject";

/// The message comes back with the press, so this is more than what is pressed.
const LONGEST_BODY: usize = 512 * 1024;
const LONGEST_TOKEN: usize = 2_000;
const LONGEST_NAME: usize = 255;

/// What a request of Slack's is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Press {
    /// Somebody has decided. Whether they may is for the run to say.
    Decided(Box<Pressed>),
    /// Properly Slack's, and nothing of ours: a link was opened. To be answered with 200.
    Nothing,
}

/// One press of a button.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// Equal for repeats of the same press.
    pub id: String,
    pub decision: Decision,
    pub run: RunId,
    pub step: String,
    /// Of what was shown when it was pressed: to be compared with what is asked now.
    pub digest: String,
    /// Who that is here, as the configuration says.
    pub person: String,
    pub user_id: String,
    /// As Slack calls them; to be shown, never to be believed.
    pub user_name: String,
    pub team: Option<String>,
    /// Slack's id of the channel.
    pub channel: String,
    /// The message, in its channel.
    pub message: String,
    /// Where whoever pressed can be answered.
    pub answer_to: Option<AnswerTo>,
}

/// Where whoever pressed a button can be answered, for half an hour. Whoever knows it may write
/// there, so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct AnswerTo(pub(crate) Box<Url>);

impl fmt::Debug for AnswerTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnswerTo(***)")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Approve,
    Reject,
}

/// Why a request is not taken as a press. The messages hold no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// No channel takes presses.
    #[error("no Slack channel has a `signing_secret`, so no button can be pressed")]
    NotConfigured,
    #[error("a signing secret could not be read: {0}")]
    NoSecret(String),
    #[error(transparent)]
    Unproven(#[from] Refusal),
    #[error("the press cannot be understood: {0}")]
    Unreadable(&'static str),
    #[error("the workspace `{0}` is not the one whose users may decide")]
    OtherTeam(String),
    /// Slack says who it was, and nobody here is that.
    #[error(
        "{user_name} ({user_id}) is nobody here; map `{user_id}` to a person under `people` of the channel"
    )]
    Stranger { user_id: String, user_name: String, answer_to: Option<AnswerTo> },
}

impl NotTaken {
    /// The status to answer Slack with. A stranger's press is a request in order, which is refused to
    /// them, not to Slack.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotConfigured => 404,
            Self::NoSecret(_) => 503,
            Self::Unproven(refusal) => refusal.status(),
            Self::Unreadable(_) => 422,
            Self::OtherTeam(_) | Self::Stranger { .. } => 200,
        }
    }
}

/// What the value of a button says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Token {
    pub run: RunId,
    pub step: String,
    pub digest: String,
}

impl Token {
    pub(crate) fn write(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }
}

/// Verifies a request by the signing secret of each channel, and reads it by the rules of the first
/// whose secret fits. Channels of one app share its secret: whoever any of them knows is known.
///
/// # Errors
/// See [`NotTaken`]; nothing of such a request may decide anything.
pub(crate) fn open<'a>(
    channels: impl Iterator<Item = &'a Slack>,
    request: &Request<'_>,
) -> Result<Press, NotTaken> {
    let mut refused = NotTaken::NotConfigured;
    let mut heard: Option<Heard> = None;
    for slack in channels {
        let Some(source) = &slack.signing_secret else { continue };
        if let Err(error) = verify(source, request) {
            if heard.is_none() {
                refused = error;
            }
            continue;
        }
        if heard.is_none() {
            let Some(read) = read(request.body)? else { return Ok(Press::Nothing) };
            heard = Some(read);
        }
        let Some(heard) = &heard else { continue };
        match heard.at(slack) {
            Ok(pressed) => return Ok(Press::Decided(Box::new(pressed))),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn verify(source: &SecretSource, request: &Request<'_>) -> Result<(), NotTaken> {
    let secret = source.read().map_err(|error| NotTaken::NoSecret(error.to_string()))?;
    let proof = Proof::Slack { secrets: vec![secret] };
    // An empty secret would let anybody sign.
    proof.check().map_err(|error| NotTaken::NoSecret(error.to_string()))?;
    Ok(proof.verify(request)?)
}

/// A press as Slack tells it, before it is known who that is here.
struct Heard {
    decision: Decision,
    token: Token,
    user_id: String,
    user_name: String,
    team: Option<String>,
    channel: String,
    message: String,
    pressed_at: String,
    response_url: Option<Url>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    user: Option<User>,
    team: Option<Named>,
    channel: Option<Named>,
    container: Option<Container>,
    response_url: Option<String>,
    #[serde(default)]
    actions: Vec<Action>,
}

#[derive(Deserialize)]
struct User {
    id: String,
    username: Option<String>,
    name: Option<String>,
    team_id: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

#[derive(Deserialize)]
struct Container {
    message_ts: Option<String>,
    channel_id: Option<String>,
}

#[derive(Deserialize)]
struct Action {
    action_id: String,
    action_ts: Option<String>,
    value: Option<String>,
}

/// Reads the form that Slack posts; nothing where it is no press of our buttons.
fn read(body: &[u8]) -> Result<Option<Heard>, NotTaken> {
    let unreadable = NotTaken::Unreadable;
    if body.len() > LONGEST_BODY {
        return Err(unreadable("the body is larger than 512 KiB"));
    }
    let mut payloads = form_urlencoded::parse(body).filter(|(name, _)| name == "payload");
    let (Some((_, text)), None) = (payloads.next(), payloads.next()) else {
        return Err(unreadable("the form must have one field `payload`"));
    };
    let payload: Payload<'_> =
        serde_json::from_str(&text).map_err(|_| unreadable("`payload` is not what Slack documents"))?;
    if payload.kind != "block_actions" {
        return Ok(None);
    }
    let ours = |action: &Action| [APPROVE, REJECT].contains(&action.action_id.as_str());
    let mut pressed = payload.actions.iter().filter(|action| ours(action));
    let action = match (pressed.next(), pressed.next()) {
        (None, _) => return Ok(None),
        (Some(action), None) => action,
        (Some(_), Some(_)) => return Err(unreadable("more than one button is pressed")),
    };
    heard(&payload, action).map(Some)
}

fn heard(payload: &Payload<'_>, action: &Action) -> Result<Heard, NotTaken> {
    let unreadable = NotTaken::Unreadable;
    let short = |text: &String| (1..=LONGEST_NAME).contains(&text.len());
    let value = action.value.as_ref().filter(|value| value.len() <= LONGEST_TOKEN);
    let token = value.and_then(|value| serde_json::from_str::<Token>(value).ok());
    let user = payload.user.as_ref().filter(|user| is_user(&user.id));
    let container = payload.container.as_ref();
    let channel = payload.channel.as_ref().map(|channel| &channel.id);
    let channel = channel.or_else(|| container.and_then(|container| container.channel_id.as_ref()));
    let message = container.and_then(|container| container.message_ts.as_ref());
    let user = user.ok_or(unreadable("it does not say who pressed"))?;
    let name = user.username.as_ref().or(user.name.as_ref()).unwrap_or(&user.id);
    let team = payload.team.as_ref().map(|team| &team.id).or(user.team_id.as_ref());
    let response_url = payload.response_url.as_deref().map(Url::parse).transpose();
    Ok(Heard {
        decision: if action.action_id == APPROVE { Decision::Approve } else { Decision::Reject },
        token: token.ok_or(unreadable("the button's value is not one of ours"))?,
        user_id: user.id.clone(),
        user_name: runbook_contract::text::line(name, LONGEST_NAME),
        team: team.filter(|team| short(team)).cloned(),
        channel: channel
            .filter(|id| short(id))
            .ok_or(unreadable("it does not say in which channel"))?
            .clone(),
        message: message.filter(|ts| short(ts)).ok_or(unreadable("it does not say which message"))?.clone(),
        pressed_at: action.action_ts.clone().filter(short).ok_or(unreadable("it does not say when"))?,
        response_url: response_url.map_err(|_| unreadable("`response_url` is not a URL"))?,
    })
}

impl Heard {
    /// Who that is by the rules of a channel, if they may press there at all.
    fn at(&self, slack: &Slack) -> Result<Pressed, NotTaken> {
        if let Some(team) = &slack.team
            && self.team.as_ref() != Some(team)
        {
            return Err(NotTaken::OtherTeam(self.team.clone().unwrap_or_default()));
        }
        if self.response_url.as_ref().is_some_and(|url| !is_of(url, &slack.hooks)) {
            return Err(NotTaken::Unreadable("`response_url` is not one of Slack's"));
        }
        let answer_to = self.response_url.clone().map(|url| AnswerTo(Box::new(url)));
        let Some(person) = slack.people.get(&self.user_id) else {
            let (user_id, user_name) = (self.user_id.clone(), self.user_name.clone());
            return Err(NotTaken::Stranger { user_id, user_name, answer_to });
        };
        Ok(Pressed {
            id: self.id(),
            decision: self.decision,
            run: self.token.run,
            step: self.token.step.clone(),
            digest: self.token.digest.clone(),
            person: person.clone(),
            user_id: self.user_id.clone(),
            user_name: self.user_name.clone(),
            team: self.team.clone(),
            channel: self.channel.clone(),
            message: self.message.clone(),
            answer_to,
        })
    }

    fn id(&self) -> String {
        let parts = json!([
            self.team,
            self.channel,
            self.message,
            self.user_id,
            self.decision,
            self.pressed_at,
            self.token
        ]);
        let digest = change::digest(&parts);
        let hex = digest.trim_start_matches("sha256:");
        format!("press_{}", hex.get(..24).unwrap_or(hex))
    }
}

/// Whether a URL stays with the server that answers go to, so that nobody can make us call another.
fn is_of(url: &Url, hooks: &Address) -> bool {
    url.origin() == hooks.url().origin() && url.username().is_empty() && url.password().is_none()
}

#[cfg(test)]
mod tests;
