//! Catalogs on request: what Puppet Server is asked to compile a node's catalog without keeping anything of it.

use serde_json::{Value, json};

use super::api::Answer;

/// Where catalogs are compiled for others than who asks.
pub const PATH: &str = "/puppet/v4/catalog";

/// The request's body. Facts come from PuppetDB.
pub fn request(certname: &str, environment: &str) -> String {
    json!({
        "certname": certname,
        "environment": environment,
        "persistence": { "facts": false, "catalog": false },
        "options": { "prefer_requested_environment": true },
    })
    .to_string()
}

/// How many resources the catalog has.
///
/// # Errors
/// Why there is none, as the server says it.
pub fn resources(answer: &Answer) -> Result<usize, String> {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or_default();
    let resources = body.pointer("/catalog/resources").or_else(|| body.get("resources")).and_then(Value::as_array);
    match resources {
        Some(resources) if answer.ok() => Ok(resources.len()),
        _ => {
            let text = ["message", "msg", "error"].iter().find_map(|key| body.get(key)?.as_str());
            Err(text.map_or_else(|| format!("HTTP status {}: {}", answer.status, answer.body), ToOwned::to_owned))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_catalog_is_counted_and_a_failure_told() {
        let answer = |status, body: &str| Answer { status, body: body.into() };
        assert_eq!(resources(&answer(200, r#"{"catalog":{"resources":[{},{}]}}"#)), Ok(2));
        let failed = answer(500, r#"{"message":"Unknown resource type","issue_kind":"RUNTIME_ERROR"}"#);
        assert_eq!(resources(&failed), Err("Unknown resource type".into()));
        assert!(resources(&answer(403, "Forbidden")).unwrap_err().contains("403"));
    }
}
