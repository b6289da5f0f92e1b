//! `pupperware config`: validate the file, show every setting with its origin, print the schema or the Compose stack.

use serde::Serialize;

use super::context::{Context, Extra, Platform};
use crate::cli::config::{ConfigArgs, ConfigCommand, ConfigFormat, ConfigShowArgs};
use crate::cli::global::GlobalArgs;
use crate::config::schema;
use crate::desired::export;
use crate::error::Result;
use crate::observed::Observed;
use crate::release::Lineage;
use crate::report::output::{Document, Output, Tabular, print_data, yaml};
use crate::report::table::Table;
use crate::report::{Report, terminal};
use crate::settings::{self, Row};

#[derive(Serialize)]
pub(super) struct Shown {
    config_file: Option<String>,
    settings: Vec<Row>,
}

impl Shown {
    pub(super) fn of(context: &Context, platform: &Platform) -> Self {
        Shown {
            config_file: context.settings.config_file.as_ref().map(|f| f.display().to_string()),
            settings: settings::show(&context.settings, &platform.sizing),
        }
    }
}

impl Tabular for Shown {
    fn table(&self) -> Table {
        let mut table = Table::new(["SETTING", "VALUE", "FROM", "WHY"]);
        for row in &self.settings {
            table.row([
                row.path.as_str().into(),
                row.value_text().into(),
                row.origin.to_string().into(),
                row.reason.as_deref().unwrap_or("").into(),
            ]);
        }
        table
    }
}

/// Does what the sub-command says; `show` when there is none.
pub(super) async fn run(global: &GlobalArgs, args: &ConfigArgs, report: &Report) -> Result<u8> {
    match &args.command {
        Some(ConfigCommand::Schema) => terminal::out(&schema::text())?,
        Some(ConfigCommand::Validate) => {
            let context = Context::new(global, &Extra::default(), report)?;
            // Known without an engine, and without a platform that it might not fit.
            context.fetch_manifest()?;
            context.release(&Lineage::New, &Observed::default())?;
            let file = context.settings.config_file.as_ref().map(|f| f.display().to_string());
            terminal::out(&format!("{}: valid\n", file.as_deref().unwrap_or("no configuration file, all defaults")))?;
        }
        Some(ConfigCommand::Show(args)) => show(global, args, report).await?,
        None => show(global, &args.show, report).await?,
    }
    Ok(0)
}

async fn show(global: &GlobalArgs, args: &ConfigShowArgs, report: &Report) -> Result<()> {
    let context = Context::new(global, &Extra::default(), report)?;
    // Sizes follow the engine's machine, so this needs the engine.
    let platform = context.platform().await?;
    let output = match args.format {
        ConfigFormat::Compose => return terminal::out(&yaml(&export::compose(&platform.desired))?),
        ConfigFormat::Table => Output::Table,
        ConfigFormat::Json => Output::Json,
        ConfigFormat::Yaml => Output::Yaml,
    };
    print_data(output, &Document::new(Shown::of(&context, &platform)))
}
