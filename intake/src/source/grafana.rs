//! Grafana's webhook: as Alertmanager's, with what was measured and where to look.
//!
//! <https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/#webhook-notification-format>

use runbook_core::alert::Alert;
use runbook_core::runbook::Source;

use super::alertmanager;
use crate::door::Received;
use crate::limits::Limits;
use crate::read::Node;
use crate::refusal::Refusal;

pub(crate) fn receive(root: &Node<'_>, limits: &Limits) -> Result<Received, Refusal> {
    alertmanager::group(root, limits, alert)
}

fn alert(node: &Node<'_>) -> Result<Alert, Refusal> {
    let alert = alertmanager::alert(node)?;
    // The panel shows the most, the rule itself the least.
    let url = match (node.link("panelURL")?, node.link("dashboardURL")?) {
        (Some(url), _) | (None, Some(url)) => Some(url),
        (None, None) => alert.url,
    };
    Ok(Alert { source: Source::Grafana, metrics: node.metrics("values")?, url, ..alert })
}
