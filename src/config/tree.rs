//! YAML text -> located tree: every key, scalar, sequence and mapping with its place.
//!
//! The only file that knows the YAML parser. What a value *means* is not known here; that is `validate`.
//! Anchors are harmless, but aliases are refused: a configuration of this size needs none, and without
//! them no small text can grow into a large tree.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::problem::{Problem, Span, quote};

/// The deepest nesting of sequences and mappings.
pub const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it starts, and how long it is on that line.
    pub span: Span,
    /// What it is.
    pub data: Data,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    /// Text, and what it stands for when it was not quoted.
    Scalar {
        /// The text after YAML's escapes.
        text: String,
        /// Its type by the YAML 1.2 core schema; always `Text` when quoted.
        kind: Scalar,
    },
    /// Values in order.
    Sequence(Vec<Node>),
    /// Keys with values, in order, each key once.
    Mapping(Vec<Entry>),
    /// Something that was already reported. Readers pass over it silently.
    Refused,
}

/// The YAML 1.2 core schema's types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer,
    /// A number with a fraction or an exponent.
    Float,
    /// Everything else.
    Text,
}

/// One key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_span: Span,
    /// Its value.
    pub value: Node,
}

/// What was read: as much of a tree as there is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tree {
    /// The document; none when it is empty or when a syntax error hides its end.
    pub root: Option<Node>,
    /// Syntax errors, duplicate keys, aliases, tags, further documents. No order.
    pub problems: Vec<Problem>,
}

/// Reads the text. Never fails as a whole: what is wrong stands in the tree's problems.
pub fn parse(text: &str) -> Tree {
    let tabs = tab_problems(text);
    if !tabs.is_empty() {
        // The parser would report the first of them in its own words and stop.
        return Tree { root: None, problems: tabs };
    }
    let mut options = granit_parser::Options::default();
    options.disallow_directives = true;
    options.emit_unresolved_aliases = true;
    let mut builder = Builder::default();
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(Box::new(syntax(&error, text))),
        };
        match step {
            Ok(Flow::Go) => {}
            Ok(Flow::Stop) => break,
            Err(problem) => {
                builder.problems.push(*problem);
                builder.root = None;
                break;
            }
        }
    }
    let root = builder.root.filter(|n| !matches!(n.data, Data::Scalar { kind: Scalar::Null, .. }));
    Tree { root, problems: builder.problems }
}

enum Flow {
    Go,
    Stop,
}

enum Frame {
    Sequence { span: Span, items: Vec<Node> },
    Mapping { span: Span, entries: Vec<Entry>, key: Option<(String, Span)>, seen: HashMap<String, Span> },
}

#[derive(Default)]
struct Builder {
    stack: Vec<Frame>,
    root: Option<Node>,
    documents: usize,
    problems: Vec<Problem>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: granit_parser::Span) -> Result<Flow, Box<Problem>> {
        let place = locate(span);
        if let (Some(_), Some(tag)) = (event.tag(), span.tag_span()) {
            let message = "tags such as `!!str` are not supported";
            self.problems.push(
                Problem::error(locate(tag), self.path(), message)
                    .suggest("remove the tag; quote the value to make it text"),
            );
        }
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    let message = "a second document starts here; one file holds one configuration";
                    self.problems
                        .push(Problem::error(place, "", message).suggest("remove the `---` line and what follows it"));
                    return Ok(Flow::Stop);
                }
            }
            Event::Scalar(text, style, ..) => {
                let kind = if style == ScalarStyle::Plain { resolve(&text) } else { Scalar::Text };
                self.place(Node { span: place, data: Data::Scalar { text: text.into_owned(), kind } })?;
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                let problem = Problem::error(place, self.path(), "aliases are not supported")
                    .suggest("write the value again in its place; quote it if a leading `*` is meant");
                if self.wants_key() {
                    return Err(Box::new(problem));
                }
                self.problems.push(problem);
                self.place(Node { span: place, data: Data::Refused })?;
            }
            Event::SequenceStart(..) => {
                self.open(place, Frame::Sequence { span: place, items: Vec::new() })?;
            }
            Event::MappingStart(..) => {
                let (entries, seen) = (Vec::new(), HashMap::new());
                self.open(place, Frame::Mapping { span: place, entries, key: None, seen })?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.stack.pop() {
                    Some(Frame::Sequence { span, items }) => Node { span, data: Data::Sequence(items) },
                    Some(Frame::Mapping { span, entries, .. }) => Node { span, data: Data::Mapping(entries) },
                    None => return Ok(Flow::Go),
                };
                self.place(node)?;
            }
            _ => {}
        }
        Ok(Flow::Go)
    }

    fn open(&mut self, place: Span, frame: Frame) -> Result<(), Box<Problem>> {
        if self.wants_key() {
            return Err(Box::new(Problem::error(
                place,
                self.path(),
                "a key must be plain text, not a list or a mapping",
            )));
        }
        if self.stack.len() >= MAX_DEPTH {
            let message = format!("nested deeper than {MAX_DEPTH} levels");
            return Err(Box::new(Problem::error(place, "", message)));
        }
        self.stack.push(frame);
        Ok(())
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame::Mapping { key: None, .. }))
    }

    /// Puts a finished value where it belongs: a list, a mapping (as key or value), or the root.
    fn place(&mut self, node: Node) -> Result<(), Box<Problem>> {
        let path = self.path();
        match self.stack.last_mut() {
            None => self.root = Some(node),
            Some(Frame::Sequence { items, .. }) => items.push(node),
            Some(Frame::Mapping { entries, key, seen, .. }) => match key.take() {
                None => {
                    let Data::Scalar { text, .. } = node.data else {
                        return Ok(());
                    };
                    *key = Some((text, node.span));
                }
                Some((name, key_span)) => {
                    if let Some(first) = seen.get(&name) {
                        let message = format!("{} is given twice", quote(&name));
                        self.problems.push(
                            Problem::error(key_span, path, message)
                                .relate(*first, "first given here")
                                .suggest("remove one of the two"),
                        );
                    } else {
                        seen.insert(name.clone(), key_span);
                        entries.push(Entry { key: name, key_span, value: node });
                    }
                }
            },
        }
        Ok(())
    }

    /// The dotted path of what is being read.
    fn path(&self) -> String {
        let mut path = String::new();
        for frame in &self.stack {
            match frame {
                Frame::Sequence { items, .. } => path.push_str(&format!("[{}]", items.len())),
                Frame::Mapping { key: Some((key, _)), .. } => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.extend(key.chars().take(60).flat_map(char::escape_debug));
                }
                Frame::Mapping { key: None, .. } => {}
            }
        }
        path
    }
}

fn locate(span: granit_parser::Span) -> Span {
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Span {
        line: small(span.start.line().max(1)),
        column: small(span.start.col().saturating_add(1)),
        len: small(span.end.index().saturating_sub(span.start.index()).max(1)),
    }
}

fn syntax(error: &ScanError, text: &str) -> Problem {
    let mark = error.marker();
    // At the end of the text the parser may point at a line that does not exist.
    let last = text.lines().count().max(1);
    let small = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let span = if mark.line() > last {
        let width = text.lines().next_back().map_or(0, |l| l.chars().count());
        Span { line: small(last), column: small(width.saturating_add(1)), len: 1 }
    } else {
        Span { line: small(mark.line().max(1)), column: small(mark.col().saturating_add(1)), len: 1 }
    };
    let info = error.info();
    let mut chars = info.trim_end_matches('.').chars();
    let message: String = chars.next().into_iter().flat_map(char::to_lowercase).chain(chars).collect();
    Problem::error(span, "", format!("not valid YAML: {}", message.escape_debug()))
}

/// YAML forbids tabs in indentation; parsers differ in what they make of them, so they are found here, all at once.
fn tab_problems(text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (number, line) in (1u32..).zip(text.lines()) {
        let body = line.trim_start_matches([' ', '\t']);
        let indent = &line[..line.len() - body.len()];
        if let Some(at) = indent.find('\t').filter(|_| !body.is_empty() && !body.starts_with('#')) {
            let len = indent[at..].bytes().take_while(|b| *b == b'\t').count();
            let span = Span { line: number, column: at as u32 + 1, len: len as u32 };
            problems.push(Problem::error(span, "", "a tab is used for indentation").suggest("indent with spaces"));
        }
    }
    problems
}

/// The type of an unquoted scalar by the YAML 1.2 core schema.
fn resolve(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "true" | "True" | "TRUE" => return Scalar::Bool(true),
        "false" | "False" | "FALSE" => return Scalar::Bool(false),
        _ => {}
    }
    let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    let bare = text.strip_prefix(['-', '+']).unwrap_or(text);
    let prefixed = |prefix, radix| {
        text.strip_prefix(prefix).is_some_and(|s| !s.is_empty() && s.chars().all(|c| c.is_digit(radix)))
    };
    if digits(bare) || prefixed("0x", 16) || prefixed("0o", 8) {
        return Scalar::Integer;
    }
    // `f64` also reads words such as `infinity`, which are text in YAML.
    let special = matches!(bare, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN");
    let number = bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') && bare.parse::<f64>().is_ok();
    if special || number { Scalar::Float } else { Scalar::Text }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
