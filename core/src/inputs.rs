use crate::runbook::Input;
pub fn resolve(
    specs: &indexmap::IndexMap<String, Input>,
    given: &serde_json::Value,
) -> Result<serde_json::Value, Vec<String>> {
    let mut m = given.as_object().cloned().unwrap_or_default();
    for (k, i) in specs {
        if let (false, Some(d)) = (m.contains_key(k), &i.default) {
            m.insert(k.clone(), d.clone());
        }
    }
    Ok(m.into())
}
