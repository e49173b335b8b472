//! `runbook man`: write the manual pages into a folder.

use std::{fs, path::PathBuf};

use clap::{Command, CommandFactory as _};

use crate::{
    cli::{App, Cli},
    exit::{CliError, Exit},
    library::files::shown,
};

/// Where lines of the Markdown reference are broken, whatever terminal it is made on.
const WIDTH: usize = 100;

/// Write the manual pages into a folder, one for each command.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  runbook man ~/.local/share/man/man1 && man runbook-run
  runbook man --markdown > cli.md")]
pub struct Args {
    /// The folder, made where there is none
    #[arg(value_name = "DIR", required_unless_present = "markdown")]
    folder: Option<PathBuf>,
    /// Instead, print all of it as one page of Markdown
    #[arg(long, conflicts_with = "folder")]
    markdown: bool,
}

pub async fn run(args: Args, app: &App) -> Result<Exit, CliError> {
    let command = Cli::command().term_width(WIDTH);
    let Some(folder) = args.folder else {
        app.print(&markdown(command));
        return Ok(Exit::Success);
    };
    let failed = |error: std::io::Error| {
        CliError::failed(format!("manual pages could not be written to {}: {error}", shown(&folder)))
            .hint("name a folder that this user may write")
    };
    fs::create_dir_all(&folder).map_err(failed)?;
    clap_mangen::generate_to(command, &folder).map_err(failed)?;
    app.say(&format!("manual pages are in {}", shown(&folder)));
    Ok(Exit::Success)
}

/// The help of every command, as the terminal shows it.
fn markdown(mut command: Command) -> String {
    command.build();
    let mut out = String::from(
        "# Command line\n\nWhat `--help` says of every command. This page is generated: `runbook man --markdown`.\n",
    );
    section(&mut command, "##", &mut out);
    for mut verb in command.get_subcommands().cloned().collect::<Vec<_>>() {
        section(&mut verb, "##", &mut out);
    }
    out
}

fn section(command: &mut Command, level: &str, out: &mut String) {
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_owned();
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    out.push_str(&format!("\n{level} {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
}
