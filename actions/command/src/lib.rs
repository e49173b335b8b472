//! Actions by programs of the user's own: argv from an allow-list, no shell.
