//! A notice that can be kept: no marks of secrets, nothing that moves a cursor, nothing without end.

use runbook_contract::text::{clean, shortened};
use runbook_core::secret;
use serde_json::Value;

use super::Notice;

/// What a diff may have, in bytes.
const LONGEST_DIFF: usize = 32 * 1024;
/// What any other text may have, in bytes.
const LONGEST_TEXT: usize = 4 * 1024;
const MOST_ITEMS: usize = 50;

impl Notice {
    /// The same, fit to be kept and sent.
    ///
    /// # Errors
    /// None that are known: what was a notice is one with shorter texts.
    pub(crate) fn bounded(&self) -> Result<Self, serde_json::Error> {
        let mut value = serde_json::to_value(self)?;
        bound(&mut value, LONGEST_TEXT);
        serde_json::from_value(value)
    }
}

fn bound(value: &mut Value, most: usize) {
    match value {
        Value::String(text) => *text = shortened(&clean(&secret::mask_text(text)), most),
        Value::Array(items) => {
            items.truncate(MOST_ITEMS);
            items.iter_mut().for_each(|item| bound(item, most));
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                bound(field, if name == "diff" { LONGEST_DIFF } else { most });
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notice::{News, samples};

    #[test]
    fn secrets_and_endless_texts_are_not_kept() {
        let mut notice = samples::approval_requested();
        if let News::ApprovalRequested(approval) = &mut notice.news {
            approval.prompt = format!("use {} \u{1b}[2J", secret::mark("token"));
            approval.from = vec!["x".to_owned(); 1_000];
            let change = approval.change.as_mut().unwrap();
            change.diff = "+ é\n".repeat(50_000);
            change.summary = "é".repeat(50_000);
        }
        let kept = notice.bounded().unwrap();
        let approval = kept.approval().unwrap();
        assert_eq!(approval.prompt, "use *** \u{FFFD}[2J");
        assert_eq!(approval.from.len(), MOST_ITEMS);
        let change = approval.change.as_ref().unwrap();
        assert!(change.diff.len() <= LONGEST_DIFF + 3 && change.diff.ends_with('…'));
        assert!(change.summary.len() <= LONGEST_TEXT + 3);
        assert_eq!(kept.bounded().unwrap().subject(), kept.subject());
    }
}
