//! Who sits at the terminal.

use std::os::unix::fs::MetadataExt as _;

use runbook_core::event::Actor;

/// The owner of this process, by its user id. `$USER` is not asked: anybody can set it, and
/// approvals count people.
pub fn at_the_terminal() -> Actor {
    Actor::cli(whoami::username().ok().filter(|name| !name.is_empty()).unwrap_or_else(nameless))
}

/// Which process drives a run, for the timeline: `host/pid`.
pub fn this_process() -> String {
    let host = whoami::hostname().unwrap_or_else(|_| "localhost".to_owned());
    format!("{host}/{}", std::process::id())
}

/// A user without a name, as containers have them.
fn nameless() -> String {
    let uid = std::fs::metadata("/proc/self").map(|process| process.uid());
    uid.map_or_else(|_| "unknown".to_owned(), |uid| format!("uid:{uid}"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_environment_cannot_make_someone_else_of_a_person() {
        let name = super::at_the_terminal().name;
        let uid =
            std::fs::metadata("/proc/self").map(|process| std::os::unix::fs::MetadataExt::uid(&process));
        let listed = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let expected = listed.lines().find_map(|line| {
            let mut fields = line.split(':');
            let (user, id) = (fields.next()?, fields.nth(1)?);
            (Some(id.to_owned()) == uid.as_ref().ok().map(u32::to_string)).then(|| user.to_owned())
        });
        assert_eq!(Some(name), expected.or_else(|| uid.ok().map(|uid| format!("uid:{uid}"))));
    }
}
