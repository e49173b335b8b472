//! A terminal of one's own: what stands on its screen, and keys that are pressed. What is waited for
//! is output; nothing sleeps.

use std::{
    io::{Read as _, Write},
    num::NonZeroU16,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    time::{Duration, Instant},
};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::project::Project;

/// However slow the machine, a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// How much of what has scrolled away is remembered.
const SCROLLBACK: usize = 2_000;

pub struct Terminal {
    screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    master: Box<dyn MasterPty + Send>,
    columns: u16,
}

impl Terminal {
    /// Runs the program in a terminal of that size.
    pub fn run(project: &Project, (rows, columns): (u16, u16), args: &[&str], plain: bool) -> Self {
        let size = PtySize { rows, cols: columns, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).unwrap();
        let prepared = project.command(args);
        let mut command = CommandBuilder::new(prepared.get_program());
        command.args(prepared.get_args());
        command.cwd(prepared.get_current_dir().unwrap());
        command.env("TERM", "xterm-256color");
        for (name, value) in prepared.get_envs() {
            assert!(value.is_none(), "what the tests take away is all that they change");
            command.env_remove(name);
        }
        if plain {
            command.env("NO_COLOR", "1");
        }
        let child = pair.slave.spawn_command(command).unwrap();
        let mut reader = pair.master.try_clone_reader().unwrap();
        let (sender, output) = channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended reads as an error on Linux.
            while let Ok(length @ 1..) = reader.read(&mut buffer) {
                if sender.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = pair.master.take_writer().unwrap();
        drop(pair.slave);
        let [rows, cells] = [rows, columns].map(|length| NonZeroU16::new(length).unwrap());
        let screen = vt100::Parser::new(rows, cells, SCROLLBACK);
        Self { screen, output, keys, child, master: pair.master, columns }
    }

    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// All that the terminal shows, what has scrolled away before it, line by line.
    pub fn shown(&mut self) -> Vec<String> {
        let screen = self.screen.screen_mut();
        screen.set_scrollback(usize::MAX);
        let mut lines = Vec::new();
        for above in (0..=screen.scrollback()).rev() {
            screen.set_scrollback(above);
            let rows = screen.rows(0, self.columns);
            // Of what has scrolled away one line at a time, then the screen as it is.
            if above > 0 { lines.extend(rows.take(1)) } else { lines.extend(rows) }
        }
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Waits until a text stands on the screen.
    #[track_caller]
    pub fn expect(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.screen.screen().contents().contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(error) => panic!("`{text}` does not appear: {error}\n{}", self.shown().join("\n")),
            }
        }
    }

    /// Waits until the program ends; its code, and what is left on the screen.
    pub fn end(mut self) -> (u32, Vec<String>) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.output.recv_timeout(left) {
                Ok(bytes) => self.screen.process(&bytes),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(error) => panic!("it does not end: {error}\n{}", self.shown().join("\n")),
            }
        }
        let code = self.child.wait().unwrap().exit_code();
        assert!(!self.screen.screen().hide_cursor(), "the cursor is shown again");
        (code, self.shown())
    }

    /// Whether keys come line by line and are echoed, as a shell left the terminal.
    pub fn is_cooked(&self) -> bool {
        let modes = self.master.get_termios().unwrap();
        let flags = format!("{:?}", modes.local_flags);
        flags.contains("ICANON") && flags.contains("ECHO")
    }

    /// Whether anything on the screen has a colour.
    pub fn is_coloured(&self) -> bool {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let (rows, columns) = (rows.get(), columns.get());
        let mut cells =
            (0..rows).flat_map(|row| (0..columns).filter_map(move |column| screen.cell(row, column)));
        cells.any(|cell| cell.fgcolor() != vt100::Color::Default)
    }
}
