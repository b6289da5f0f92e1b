//! Where a run is to happen.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::names::{BadName, NodeName};
use super::run::MAX_NODES;

/// Exactly one of these. All but `nodes` are for back-ends that can resolve them, that is the PE orchestrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// These nodes.
    Nodes(Nodes),
    /// The nodes that a PuppetDB query (AST or PQL) finds. Passed on as it is, never put together from parts.
    Query(serde_json::Value),
    /// The identifier of a node group.
    NodeGroup(String),
    /// An application or one of its instances.
    Application(String),
}

impl Scope {
    /// The nodes, when the scope names them.
    pub fn nodes(&self) -> Option<&[NodeName]> {
        match self {
            Scope::Nodes(nodes) => Some(nodes.as_slice()),
            Scope::Query(_) | Scope::NodeGroup(_) | Scope::Application(_) => None,
        }
    }

    /// The wire name of the kind.
    pub fn kind(&self) -> &'static str {
        match self {
            Scope::Nodes(_) => "nodes",
            Scope::Query(_) => "query",
            Scope::NodeGroup(_) => "node_group",
            Scope::Application(_) => "application",
        }
    }
}

/// Between one and [`MAX_NODES`] nodes, each once, in the order given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<NodeName>")]
pub struct Nodes(Vec<NodeName>);

impl Nodes {
    /// The nodes.
    pub fn as_slice(&self) -> &[NodeName] {
        &self.0
    }
}

impl TryFrom<Vec<NodeName>> for Nodes {
    type Error = BadName;

    fn try_from(mut nodes: Vec<NodeName>) -> Result<Self, BadName> {
        let mut seen = HashSet::new();
        nodes.retain(|node| seen.insert(node.clone()));
        match nodes.len() {
            0 => Err(BadName::new("`nodes` is empty")),
            count if count > MAX_NODES => {
                Err(BadName::new(format!("a run has at most {MAX_NODES} nodes, this has {count}")))
            }
            _ => Ok(Nodes(nodes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_kind() {
        let parse = |text: &str| serde_json::from_str::<Scope>(text);
        let nodes = parse(r#"{"nodes":["B.example.com","a","b.example.com"]}"#).unwrap();
        assert_eq!(serde_json::to_string(&nodes).unwrap(), r#"{"nodes":["b.example.com","a"]}"#);
        assert!(parse(r#"{"query":["=","certname","a"]}"#).is_ok());
        assert!(parse(r#"{"node_group":"00000000-0000-4000-8000-000000000000"}"#).is_ok());
        assert!(parse(r#"{"application":"App[x]"}"#).is_ok());
        for bad in [
            r#"{}"#,
            r#"{"nodes":[]}"#,
            r#"{"nodes":["a"],"query":"x"}"#,
            r#"{"nodes":["-x"]}"#,
            r#"{"all":true}"#,
            "null",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ten_thousand_nodes_and_no_more() {
        let name = |n: usize| format!("n{n}").parse::<NodeName>().unwrap();
        assert!(Nodes::try_from((0..MAX_NODES).map(name).collect::<Vec<_>>()).is_ok());
        assert!(Nodes::try_from((0..=MAX_NODES).map(name).collect::<Vec<_>>()).is_err());
    }
}
