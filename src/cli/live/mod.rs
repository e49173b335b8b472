//! Drives a run while somebody watches: a live tree on a terminal, lines elsewhere. Questions are
//! asked inline where there is somebody to ask; an answer from another shell takes the question away.

mod keys;
mod plain;
mod screen;
mod tree;

use std::{sync::Arc, time::Duration};

use runbook_core::{
    Timestamp,
    event::{Actor, Created, RunId},
    run::{Input, Run},
};
use runbook_engine::{Drive, Engine, EngineError, Until};
use runbook_journal::Batch;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::MissedTickBehavior,
};

use self::{
    keys::{Keys, Typed},
    plain::Plain,
    screen::{Line, Screen},
    tree::Look,
};
use crate::{
    cli::{
        App,
        ask::{Ask, Heard},
        paint::{Paint, Tone},
        question,
        wrap::wrap,
    },
    exit::CliError,
};

pub use self::tree::length;

/// How a run is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Until it ends; people are asked here.
    Attended,
    /// Until it ends or waits for people, who are asked elsewhere.
    Detached,
    /// A dry-run: shown while it lasts, and then taken away, for the plan itself is the result.
    Foreseen,
}

/// How the watching ended.
#[derive(Debug)]
pub struct Watched {
    pub run: Run,
    /// The person left; the run is as it is and can be resumed.
    pub left: bool,
}

/// How often the tree is drawn anew while nothing happens.
const FRAME: Duration = Duration::from_millis(100);

impl Mode {
    fn until(self) -> Until {
        if self == Self::Detached { Until::Waiting } else { Until::Ended }
    }
}

/// Creates a run and drives it to its end, or as far as the mode asks.
pub async fn launch(
    app: &App,
    engine: &Engine,
    created: Created,
    me: &Actor,
    mode: Mode,
) -> Result<Watched, CliError> {
    let drive = engine.launch(created, me.clone(), mode.until()).await?;
    Watch::new(app, engine, me, mode, 0, &drive).until_over(drive).await
}

/// The same where `keep` writes the run's first entry.
pub async fn launch_with(
    app: &App,
    engine: &Engine,
    created: Created,
    me: &Actor,
    mode: Mode,
    keep: impl AsyncFnOnce(RunId, Batch) -> Result<(), CliError>,
) -> Result<Watched, CliError> {
    let drive = engine.launch_with(created, me.clone(), mode.until(), keep).await?;
    Watch::new(app, engine, me, mode, 0, &drive).until_over(drive).await
}

/// Drives a run that there is.
pub async fn drive(
    app: &App,
    engine: &Engine,
    run: RunId,
    me: &Actor,
    mode: Mode,
) -> Result<Watched, CliError> {
    let told = engine.load(run).await?.seq;
    let drive = engine.drive(run, mode.until()).await?;
    Watch::new(app, engine, me, mode, told, &drive).until_over(drive).await
}

struct Watch<'a> {
    app: &'a App,
    engine: &'a Engine,
    me: &'a Actor,
    mode: Mode,
    run: Arc<Run>,
    view: View,
    open: Option<Open>,
    /// A question that the person does not want to answer here.
    passed_over: Option<String>,
    cancelling: bool,
}

enum View {
    Tree(Box<Tree>),
    Plain(Plain),
    Silent,
}

struct Tree {
    screen: Screen,
    tick: usize,
}

/// The question that is being asked.
struct Open {
    ask: Ask,
    keys: Keys,
    /// How many lines it takes above the tree.
    height: usize,
    complaint: Option<String>,
}

/// How the driver left the run.
type Finished = Result<Run, EngineError>;

enum Woken {
    Changed,
    Finished(Box<Finished>),
    Typed(Typed),
    Interrupt,
    Tick,
}

impl<'a> Watch<'a> {
    fn new(app: &'a App, engine: &'a Engine, me: &'a Actor, mode: Mode, told: u64, drive: &Drive) -> Self {
        let paint = Paint::new(app.terminal.colour && app.terminal.stderr);
        let view = if app.terminal.stderr && !app.global.quiet {
            View::Tree(Box::new(Tree { screen: Screen::new(paint), tick: 0 }))
        } else if mode == Mode::Foreseen {
            View::Silent
        } else {
            View::Plain(Plain::new(engine.clone(), told))
        };
        let run = drive.state().borrow().clone();
        Self { app, engine, me, mode, run, view, open: None, passed_over: None, cancelling: false }
    }

    async fn until_over(&mut self, mut drive: Drive) -> Result<Watched, CliError> {
        let mut state = drive.state();
        let mut frames = tokio::time::interval(FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let (mut interrupts, mut terminations) =
            (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
        let animated = matches!(self.view, View::Tree(_));
        if let Some(finished) = self.take_note(&mut drive).await? {
            return self.end(finished).await;
        }
        loop {
            let woken = tokio::select! {
                biased;
                Ok(()) = state.changed() => Woken::Changed,
                finished = drive.finished() => Woken::Finished(Box::new(finished)),
                typed = next_key(&mut self.open) => Woken::Typed(typed),
                Some(()) = interrupts.recv() => Woken::Interrupt,
                Some(()) = terminations.recv() => return Ok(self.leave()),
                _ = frames.tick(), if animated => Woken::Tick,
            };
            match woken {
                Woken::Changed => {
                    self.run = state.borrow_and_update().clone();
                    if let Some(finished) = self.take_note(&mut drive).await? {
                        return self.end(finished).await;
                    }
                }
                Woken::Finished(finished) => return self.end(*finished).await,
                Woken::Tick => self.tick(),
                Woken::Interrupt | Woken::Typed(Typed::Interrupt) => {
                    if self.interrupt().await {
                        return Ok(self.leave());
                    }
                }
                Woken::Typed(typed) => self.typed(typed).await,
            }
        }
    }

    /// Shows a new state, and asks what it asks. The end of the driver, if it came meanwhile: the
    /// state is ahead of the journal, and what a full disk did not take will never be there to tell.
    async fn take_note(&mut self, drive: &mut Drive) -> Result<Option<Finished>, CliError> {
        self.close_if_answered();
        if let View::Plain(plain) = &mut self.view {
            return tokio::select! {
                biased;
                told = plain.update(&self.run, self.app) => {
                    told?;
                    // Who leaves where people are asked is told what they are asked on leaving.
                    if self.mode == Mode::Attended {
                        plain.ask(&self.run, self.me, self.app);
                    }
                    Ok(None)
                }
                finished = drive.finished() => Ok(Some(finished)),
            };
        }
        self.open_question();
        self.draw();
        Ok(None)
    }

    fn tick(&mut self) {
        if let View::Tree(tree) = &mut self.view {
            tree.tick = tree.tick.wrapping_add(1);
        }
        self.draw();
    }

    /// A question that somebody answered elsewhere is taken away.
    fn close_if_answered(&mut self) {
        if self.open.as_ref().is_some_and(|open| !open.ask.is_open(&self.run)) {
            self.open = None;
        }
    }

    fn open_question(&mut self) {
        let may_ask = self.mode == Mode::Attended && self.app.terminal.can_ask && !self.cancelling;
        let View::Tree(tree) = &mut self.view else { return };
        if self.open.is_some() || !may_ask {
            return;
        }
        let run = self.run.clone();
        let mut asks = run.questions().filter_map(|(node, asked)| {
            let ask = Ask::of(&run, node, &asked, self.me).ok()?;
            (self.passed_over.as_deref() != Some(ask.key.as_str())).then_some((node, asked, ask))
        });
        let Some((node, asked, ask)) = asks.next() else { return };
        // Without keys the question is left to other shells.
        let Ok(keys) = Keys::open() else { return };
        let paint = Paint::new(self.app.terminal.colour);
        let told = question::describe(&run, node, &asked, self.me, Timestamp::now(), paint);
        let told = wrap(&told, tree.screen.size().0);
        tree.screen.above(&format!("\n{told}\n"));
        self.open = Some(Open { ask, keys, height: told.lines().count() + 2, complaint: None });
    }

    async fn typed(&mut self, typed: Typed) {
        let Some(open) = &mut self.open else { return };
        match typed {
            Typed::Line(line) => {
                let prompt = open.ask.prompt();
                let heard = open.ask.hear(&line);
                if let View::Tree(tree) = &mut self.view {
                    tree.screen.above(&format!("{prompt}{line}"));
                }
                match heard {
                    Heard::Say(input) => self.say(*input).await,
                    Heard::Again(why) => open.complaint = Some(why),
                    Heard::More => open.complaint = None,
                }
            }
            Typed::End => self.pass_over(),
            Typed::Text | Typed::Nothing | Typed::Interrupt => {}
        }
        self.draw();
    }

    /// Says an answer to the run. One that is refused is told, and the question asked again.
    async fn say(&mut self, input: Input) {
        if let Err(error) = self.engine.say(self.run.id, self.me, input).await {
            let hint = error.hint().map(|hint| format!(" ({hint})")).unwrap_or_default();
            if let Some(open) = &mut self.open {
                open.complaint = Some(format!("{error}{hint}"));
            }
            return;
        }
        self.open = None;
    }

    /// Leaves the question to other shells.
    fn pass_over(&mut self) {
        let Some(open) = self.open.take() else { return };
        let asked = self.run.questions().find(|(node, _)| node.path == open.ask.step);
        let commands = asked.map(|(node, asked)| question::commands(self.run.id, node, &asked).join("\n  "));
        if let View::Tree(tree) = &mut self.view {
            tree.screen
                .above(&format!("\nleft open; answer from any shell:\n  {}", commands.unwrap_or_default()));
        }
        self.passed_over = Some(open.ask.key);
    }

    fn draw(&mut self) {
        let (below, taken) = match &self.open {
            Some(open) => (open.lines(), open.height),
            None => (self.standing(), 0),
        };
        let View::Tree(tree) = &mut self.view else { return };
        let (columns, rows) = tree.screen.size();
        let room = rows.saturating_sub(1 + below.len() + taken);
        let look = Look { now: Timestamp::now(), tick: tree.tick, columns, rows: room };
        let mut lines = tree::lines(&self.run, look);
        lines.extend(below);
        tree.screen.draw(lines, self.open.is_some());
    }

    /// What stands below the tree where nothing is asked here.
    fn standing(&self) -> Vec<Line> {
        if self.cancelling {
            let text =
                "cancelling: what is under way is brought to its end; Ctrl-C again leaves the run as it is";
            return vec![Line::new(Tone::Attention, text)];
        }
        if self.mode != Mode::Attended || !self.run.is_waiting() {
            return Vec::new();
        }
        let commands =
            self.run.questions().flat_map(|(node, asked)| question::commands(self.run.id, node, &asked));
        let commands: Vec<Line> =
            commands.map(|command| Line::new(Tone::Plain, format!("  {command}"))).collect();
        [vec![Line::new(Tone::Faint, "answer from any shell:")], commands].concat()
    }

    /// Cancels the run; whether the person, who asked for it before, just wants to leave. At a question,
    /// where nothing is being changed, leaving is what is meant: others may still answer it.
    async fn interrupt(&mut self) -> bool {
        let undecided = self.open.is_some() && !self.run.nodes().any(|node| node.phase.is_changing());
        if self.mode == Mode::Foreseen || self.cancelling || undecided {
            return true;
        }
        self.cancelling = true;
        self.open = None;
        let reason = Some("interrupted at the terminal".to_owned());
        let cancelled = self.engine.say(self.run.id, self.me, Input::Cancel { undo: false, reason }).await;
        if let Err(error) = cancelled {
            self.app.insist(&format!("the run could not be cancelled: {error}"));
        }
        if !matches!(self.view, View::Tree(_)) {
            self.app.insist(
                "cancelling: what is under way is brought to its end; Ctrl-C again leaves the run as it is",
            );
        }
        self.draw();
        false
    }

    fn leave(&mut self) -> Watched {
        self.open = None;
        if let View::Tree(tree) = &mut self.view {
            tree.screen.clear();
        }
        Watched { run: (*self.run).clone(), left: true }
    }

    async fn end(&mut self, finished: Finished) -> Result<Watched, CliError> {
        self.open = None;
        let run = match finished {
            Ok(run) => run,
            Err(error) => {
                self.leave();
                return Err(error.into());
            }
        };
        self.run = Arc::new(run.clone());
        match &mut self.view {
            View::Tree(tree) if self.mode == Mode::Foreseen => tree.screen.clear(),
            View::Tree(tree) => {
                let (columns, rows) = tree.screen.size();
                let look = Look { now: Timestamp::now(), tick: 0, columns, rows };
                tree.screen.clear();
                let paint = Paint::new(self.app.terminal.colour);
                let whole = tree::whole(&self.run, look).into_iter();
                let text: Vec<String> = whole.map(|line| line.cut(columns).paint(paint)).collect();
                tree.screen.above(&text.join("\n"));
            }
            View::Plain(plain) => plain.update(&self.run, self.app).await?,
            View::Silent => {}
        }
        Ok(Watched { run, left: false })
    }
}

impl Open {
    fn lines(&self) -> Vec<Line> {
        let complaint = self.complaint.iter().map(|why| Line::new(Tone::Bad, why));
        let prompt = Line::new(Tone::Heading, format!("{} ", self.ask.step))
            .and(Tone::Plain, self.ask.prompt())
            .and(Tone::Plain, self.keys.line());
        complaint.chain([prompt]).collect()
    }
}

fn listen(kind: SignalKind) -> Result<Signal, CliError> {
    signal(kind).map_err(|error| CliError::failed(format!("signals cannot be listened for: {error}")))
}

/// The next key, if a question is open.
async fn next_key(open: &mut Option<Open>) -> Typed {
    match open {
        Some(open) => open.keys.next().await,
        None => std::future::pending().await,
    }
}
