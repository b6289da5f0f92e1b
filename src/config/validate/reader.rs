//! Reading typed values out of the tree, section by section, collecting what is wrong and what there could be.
//!
//! Which settings there are stands in the module above; nothing here knows one by name.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::suggest;
use crate::config::problem::{Problem, Span, quote};
use crate::config::tree::{Data, Entry, Node, Scalar};
use crate::config::types::Setting;

/// One setting that the validator reads: the source of the JSON Schema.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Dotted path.
    pub path: String,
    /// What may stand there, in words.
    pub expected: String,
    /// What may stand there, as JSON Schema.
    pub schema: Value,
}

/// What a pass over the tree collects.
#[derive(Debug, Default)]
pub struct Context {
    /// Errors and warnings, in no order.
    pub problems: Vec<Problem>,
    /// Where each given setting's value stands, by dotted path.
    pub given: BTreeMap<String, Span>,
    /// Every setting that was asked for, given or not.
    pub shapes: Vec<Shape>,
}

/// The keys of one mapping, each taken out as it is read.
pub struct Section<'c> {
    context: &'c mut Context,
    path: &'static str,
    entries: Vec<Entry>,
    known: Vec<&'static str>,
}

impl<'c> Section<'c> {
    /// The top level of the file, or a section of it. Nothing, and an empty section, have no keys.
    pub fn new(context: &'c mut Context, path: &'static str, node: Option<Node>) -> Self {
        let entries = match node {
            Some(Node { data: Data::Mapping(entries), .. }) => entries,
            None | Some(Node { data: Data::Refused | Data::Scalar { kind: Scalar::Null, .. }, .. }) => Vec::new(),
            Some(node) => {
                context.problems.push(mismatch(&node, path, "a section with keys of its own"));
                Vec::new()
            }
        };
        Section { context, path, entries, known: Vec::new() }
    }

    /// Takes a key's value out as it is.
    pub fn take(&mut self, name: &'static str) -> Option<Node> {
        self.known.push(name);
        let at = self.entries.iter().position(|entry| entry.key == name)?;
        Some(self.entries.remove(at).value)
    }

    /// Takes a key's value out and notes what may stand there.
    pub fn take_setting(&mut self, name: &'static str, expected: String, schema: Value) -> Option<Node> {
        let path = self.join(name);
        self.context.shapes.push(Shape { path: path.clone(), expected, schema });
        let node = self.take(name)?;
        self.context.given.insert(path, node.span);
        Some(node)
    }

    /// A scalar of this type; none when absent or wrong.
    pub fn read<T: Setting>(&mut self, name: &'static str) -> Option<T> {
        let node = self.take_setting(name, T::expected(), T::schema())?;
        let path = self.join(name);
        scalar(self.context, &node, &path)
    }

    /// A list of scalars of this type; none when absent or no list. Wrong items are reported and left out.
    pub fn read_list<T: Setting>(&mut self, name: &'static str) -> Option<Vec<(T, Span)>> {
        let schema = json!({ "type": "array", "items": T::schema() });
        let node = self.take_setting(name, format!("a list; each item {}", T::expected()), schema)?;
        let path = self.join(name);
        list(self.context, node, &path, "a list")
    }

    /// What is collected.
    pub fn context(&mut self) -> &mut Context {
        self.context
    }

    /// Reports every key that was not read.
    pub fn finish(self) {
        for Entry { key, key_span, .. } in self.entries {
            let message = format!("unknown key {}", quote(&key));
            let suggestion = suggest::unknown(&key, self.path, &self.known);
            self.context.problems.push(Problem::error(key_span, self.path, message).maybe_suggest(suggestion));
        }
    }

    fn join(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}

/// A scalar of this type.
pub fn scalar<T: Setting>(context: &mut Context, node: &Node, path: &str) -> Option<T> {
    let Data::Scalar { text, kind } = &node.data else {
        if node.data != Data::Refused {
            context.problems.push(mismatch(node, path, &T::expected()));
        }
        return None;
    };
    let fits = match kind {
        Scalar::Text => true,
        Scalar::Integer => T::TAKES_INTEGER,
        Scalar::Float => T::TAKES_FLOAT,
        Scalar::Bool(_) => T::TAKES_BOOL,
        Scalar::Null => false,
    };
    let parsed = T::parse(text);
    if !fits && (parsed.is_ok() || matches!(kind, Scalar::Null | Scalar::Bool(_))) {
        let mut problem = mismatch(node, path, &T::expected());
        if parsed.is_ok() && !text.is_empty() {
            problem.suggestion = Some(format!("quote it to make it text: `\"{text}\"`"));
        }
        context.problems.push(problem);
        return None;
    }
    match parsed {
        Ok(value) => Some(value),
        Err(refusal) => {
            let suggestion = refusal.suggestion.or_else(|| Some(format!("write {}", T::expected())));
            context.problems.push(Problem::error(node.span, path, refusal.reason).maybe_suggest(suggestion));
            None
        }
    }
}

/// A list of scalars of this type, with the place of each.
pub fn list<T: Setting>(context: &mut Context, node: Node, path: &str, expected: &str) -> Option<Vec<(T, Span)>> {
    match node.data {
        Data::Sequence(items) => Some(
            items
                .iter()
                .enumerate()
                .filter_map(|(at, item)| Some((scalar(context, item, &format!("{path}[{at}]"))?, item.span)))
                .collect(),
        ),
        Data::Refused => None,
        _ => {
            let mut problem = mismatch(&node, path, expected);
            if let Data::Scalar { text, kind: Scalar::Text } = &node.data
                && T::parse(text).is_ok()
            {
                let item = if text.starts_with('*') { format!("\"{text}\"") } else { text.clone() };
                problem.suggestion = Some(format!("write `[{item}]`"));
            }
            context.problems.push(problem);
            None
        }
    }
}

/// "expected this, found that".
pub fn mismatch(node: &Node, path: &str, expected: &str) -> Problem {
    let found = match &node.data {
        Data::Sequence(_) => "a list".to_owned(),
        Data::Mapping(_) => "a mapping".to_owned(),
        Data::Refused => "something refused".to_owned(),
        Data::Scalar { text, kind } => match kind {
            Scalar::Null => "nothing".to_owned(),
            Scalar::Bool(value) => format!("the boolean `{value}`"),
            Scalar::Integer | Scalar::Float => format!("the number {}", quote(text)),
            Scalar::Text => format!("the text {}", quote(text)),
        },
    };
    let problem = Problem::error(node.span, path, format!("expected {expected}, found {found}"));
    match &node.data {
        Data::Scalar { kind: Scalar::Null, .. } => problem.suggest("remove the key, or give it a value"),
        _ => problem,
    }
}
