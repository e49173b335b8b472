//! What all pages have around their content.

use maud::{DOCTYPE, Markup, html};

use crate::{gate::Caller, site::Site};

/// A whole page. Nobody is known on the way in.
pub fn page(site: &Site, caller: Option<&Caller>, title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · runbook" }
            }
            body {
                main { (content) }
                footer { "runbook " (site.settings.version) @if let Some(caller) = caller { " · " (caller.identity.name) } }
            }
        }
    }
}
