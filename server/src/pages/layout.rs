//! What all pages have around their content.

use maud::{DOCTYPE, Markup, html};
use runbook_identity::{Permission, Scope};

use super::{assets, forms};
use crate::{gate::Caller, site::Site};

/// Where a page stands, for the way through the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Here {
    Overview,
    Incidents,
    Runs,
    Approvals,
    Runbooks,
    Alerts,
    Access,
    Audit,
    /// Outside: nobody is signed in, or nobody knows who it is.
    Outside,
}

/// The main places: their address, their name, the key that leads there after `g`.
const PLACES: [(Here, &str, &str, char); 6] = [
    (Here::Overview, "/", "Home", 'h'),
    (Here::Incidents, "/incidents", "Incidents", 'i'),
    (Here::Runs, "/runs", "Runs", 'r'),
    (Here::Approvals, "/approvals", "Approvals", 'a'),
    (Here::Runbooks, "/runbooks", "Runbooks", 'b'),
    (Here::Alerts, "/alerts", "Alerts", 'l'),
];

/// A whole page.
pub fn page(site: &Site, caller: Option<&Caller>, here: Here, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · runbook" }
                link rel="icon" href=(assets::ICON.path());
                link rel="stylesheet" href=(assets::STYLE.path());
                script src=(assets::SCRIPT.path()) defer {}
            }
            body {
                a.skip href="#content" { "Skip to content" }
                (top(site, caller))
                @if here != Here::Outside || caller.is_some() { (way(here)) }
                main id="content" tabindex="-1" { (content) }
                (bottom(site))
            }
        }
    }
}

fn top(site: &Site, caller: Option<&Caller>) -> Markup {
    html! {
        header.top {
            a.brand href="/" { img src=(assets::ICON.path()) alt="" width="24" height="24"; "runbook" }
            p.live id="live" role="status" aria-live="polite" {}
            noscript { "Load again for news" }
            @if let Some(caller) = caller { (account(site, caller)) }
        }
    }
}

fn account(site: &Site, caller: &Caller) -> Markup {
    let audits = caller.may(Permission::ReadAudit, Scope::NOTHING).is_ok();
    html! {
        details.account {
            summary { span.name { (caller.identity.name) } }
            div.menu {
                a href="/access" { "Access" }
                @if audits { a href="/audit" { "Audit log" } }
                button.plain type="button" data-keys hidden { "Keyboard" }
                @if caller.csrf.is_some() {
                    form method="post" action="/logout" { (forms::csrf(caller)) button.plain { "Sign out" } }
                } @else if site.settings.open_as.is_some() {
                    p.quiet { "Nobody signs in here: the server is open on this machine." }
                }
            }
        }
    }
}

fn way(here: Here) -> Markup {
    html! {
        nav.way aria-label="Main" {
            ul {
                @for (place, address, name, key) in PLACES {
                    li {
                        a href=(address) data-key=(key) aria-current=[(place == here).then_some("page")] { (name) }
                    }
                }
            }
        }
    }
}

fn bottom(site: &Site) -> Markup {
    html! {
        footer { "runbook " (site.settings.version) " · times are UTC" }
        dialog id="keys" aria-labelledby="keys-title" {
            h2 id="keys-title" { "Keyboard" }
            dl {
                @for (_, _, name, key) in PLACES { dt { kbd { "g" } " " kbd { (key) } } dd { (name) } }
                dt { kbd { "/" } } dd { "The first field of the page" }
                dt { kbd { "?" } } dd { "This list" }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}
