//! What a command answers, on stdout: a table for people, JSON or YAML for programs.

use serde::Serialize;

use super::table::Table;
use super::terminal;
use crate::error::{Error, Result};

/// The version of the documents' shapes. Fields may be added without a new one; none is renamed.
const SCHEMA_VERSION: u32 = 1;

/// How an answer is written (`-o`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Output {
    /// Aligned columns.
    #[default]
    Table,
    /// A JSON document.
    Json,
    /// A YAML document.
    Yaml,
}

/// Data that people can read as a table.
pub trait Tabular {
    /// The table.
    fn table(&self) -> Table;
}

/// A document for programs: `schema_version` and the fields of its body, which must be a struct or a map.
#[derive(Debug, Clone, Serialize)]
pub struct Document<T> {
    schema_version: u32,
    #[serde(flatten)]
    body: T,
}

impl<T> Document<T> {
    /// Wraps a body.
    pub fn new(body: T) -> Self {
        Document { schema_version: SCHEMA_VERSION, body }
    }
}

impl<T: Tabular> Tabular for Document<T> {
    fn table(&self) -> Table {
        self.body.table()
    }
}

/// Writes data to stdout in the format that was asked for.
pub fn print_data<T: Serialize + Tabular>(output: Output, data: &T) -> Result<()> {
    terminal::out(&render(output, data, terminal::stdout_width())?)
}

/// The text that [`print_data`] writes.
pub fn render<T: Serialize + Tabular>(output: Output, data: &T, width: Option<usize>) -> Result<String> {
    match output {
        Output::Table => Ok(data.table().render(width)),
        Output::Json => json(data),
        Output::Yaml => yaml(data),
    }
}

/// A JSON document as text, for data that has no table.
pub fn json<T: Serialize>(data: &T) -> Result<String> {
    let text = serde_json::to_string_pretty(data);
    text.map(|text| text + "\n").map_err(|error| Error::failed("cannot write the answer as JSON").because(error))
}

/// A YAML document as text, for data that has no table.
pub fn yaml<T: Serialize>(data: &T) -> Result<String> {
    serde_yaml::to_string(data).map_err(|error| Error::failed("cannot write the answer as YAML").because(error))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[derive(Serialize)]
    struct Channels {
        project: &'static str,
        channels: Vec<&'static str>,
    }

    impl Tabular for Channels {
        fn table(&self) -> Table {
            let mut table = Table::new(["CHANNEL"]);
            for channel in &self.channels {
                table.row([(*channel).into()]);
            }
            table
        }
    }

    fn text(output: Output) -> String {
        let data = Document::new(Channels { project: "demo", channels: vec!["lts", "stable"] });
        anstream::adapter::strip_str(&render(output, &data, None).unwrap()).to_string()
    }

    #[test]
    fn people_get_a_table() {
        assert_snapshot!(text(Output::Table), @"
        CHANNEL
        lts
        stable
        ");
    }

    #[test]
    fn programs_get_a_versioned_document() {
        assert_snapshot!(text(Output::Json), @r#"
        {
          "schema_version": 1,
          "project": "demo",
          "channels": [
            "lts",
            "stable"
          ]
        }
        "#);
        assert_snapshot!(text(Output::Yaml), @"
        schema_version: 1
        project: demo
        channels:
        - lts
        - stable
        ");
    }
}
