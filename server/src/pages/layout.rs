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

/// One of the main places.
struct Place {
    here: Here,
    address: &'static str,
    name: &'static str,
    /// Leads there after `g`.
    key: char,
    /// Its picture, drawn with a pen on 24 by 24.
    picture: &'static str,
}

const PLACES: [Place; 6] = [
    place(Here::Overview, "/", "Home", 'h', "M4 11l8-7 8 7v9h-5v-6H9v6H4z"),
    place(Here::Incidents, "/incidents", "Incidents", 'i', "M12 4l9 16H3zM12 10v5M12 17.5v.5"),
    place(Here::Runs, "/runs", "Runs", 'r', "M7 4.5v15l12-7.5z"),
    place(
        Here::Approvals,
        "/approvals",
        "Approvals",
        'a',
        "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM8 12l3 3 5-6",
    ),
    place(
        Here::Runbooks,
        "/runbooks",
        "Runbooks",
        'b',
        "M5 4h11a3 3 0 0 1 3 3v13H8a3 3 0 0 1-3-3zM9 9h6M9 13h6",
    ),
    place(Here::Alerts, "/alerts", "Alerts", 'l', "M6 17v-6a6 6 0 0 1 12 0v6l2 1H4zM10 21h4"),
];

const fn place(
    here: Here,
    address: &'static str,
    name: &'static str,
    key: char,
    picture: &'static str,
) -> Place {
    Place { here, address, name, key, picture }
}

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
                @for place in PLACES {
                    li {
                        a href=(place.address) data-key=(place.key) aria-current=[(place.here == here).then_some("page")] {
                            svg viewBox="0 0 24 24" aria-hidden="true" { path d=(place.picture) {} }
                            (place.name)
                        }
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
                @for place in PLACES { dt { kbd { "g" } " " kbd { (place.key) } } dd { (place.name) } }
                dt { kbd { "/" } } dd { "The first field of the page" }
                dt { kbd { "?" } } dd { "This list" }
            }
            form method="dialog" { button { "Close" } }
        }
    }
}
