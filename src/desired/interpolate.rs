//! `${NAME}` in Compose files: put in after parsing, scalar by scalar, so that no value can break the YAML.

use std::collections::BTreeMap;

use serde_yaml::Value;

/// Values by name. An empty value makes a scalar that is nothing but the variable null.
pub type Variables = BTreeMap<&'static str, String>;

/// Replaces every variable of every scalar, keys included.
///
/// # Errors
/// The name of the first variable that has no value.
pub fn interpolate(tree: &mut Value, variables: &Variables) -> Result<(), String> {
    match tree {
        Value::String(text) => {
            if let Some(value) = scalar(text, variables)? {
                *tree = value;
            }
        }
        Value::Sequence(items) => {
            for item in items {
                interpolate(item, variables)?;
            }
        }
        Value::Mapping(mapping) => {
            let entries = std::mem::take(mapping);
            for (mut key, mut value) in entries {
                interpolate(&mut key, variables)?;
                interpolate(&mut value, variables)?;
                mapping.insert(key, value);
            }
        }
        Value::Tagged(tagged) => interpolate(&mut tagged.value, variables)?,
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}

/// The scalar's new value; `None` when it has no variable.
fn scalar(text: &str, variables: &Variables) -> Result<Option<Value>, String> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        out.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let end = after.find('}').ok_or_else(|| after.to_owned())?;
        let name = &after[..end];
        out.push_str(variables.get(name).ok_or_else(|| name.to_owned())?);
        rest = &after[end + 1..];
    }
    let whole = rest.is_empty() && text.starts_with("${") && text.matches("${").count() == 1;
    out.push_str(rest);
    if whole && out.is_empty() {
        return Ok(Some(Value::Null));
    }
    // A scalar that is only a variable takes the variable's own type: `mem_limit: ${X}` is a number.
    if whole && let Ok(number @ Value::Number(_)) = serde_yaml::from_str(&out) {
        return Ok(Some(number));
    }
    Ok(Some(Value::String(out)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(text: &str) -> Result<Value, String> {
        let variables = Variables::from([("N", "512".into()), ("NAME", "a: b # c".into()), ("NONE", String::new())]);
        let mut tree = serde_yaml::from_str(text).unwrap();
        interpolate(&mut tree, &variables).map(|()| tree)
    }

    #[test]
    fn values_keep_their_type_and_cannot_break_out() {
        assert_eq!(put("x: ${N}").unwrap()["x"], Value::from(512));
        assert_eq!(put("x: \"v${N}\"").unwrap()["x"], Value::from("v512"));
        assert_eq!(put("x: ${NAME}").unwrap()["x"], Value::from("a: b # c"));
        assert_eq!(put("x: ${NONE}").unwrap()["x"], Value::Null);
        assert_eq!(put("agent-${N}: 1").unwrap()["agent-512"], Value::from(1));
    }

    #[test]
    fn an_unset_variable_is_named() {
        assert_eq!(put("x: ${OTHER}").unwrap_err(), "OTHER");
    }
}
