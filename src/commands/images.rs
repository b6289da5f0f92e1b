//! `pupperware images`: the component images of a release: build, pull, list, save to and load from one archive.

use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::change::{self, Change, Outcome};
use super::context::{Context, Extra, Supply};
use crate::cli::change::ChangeArgs;
use crate::cli::global::GlobalArgs;
use crate::cli::images::{ImagesArgs, ImagesCommand, ImagesLoadArgs, ImagesSaveArgs, SelectionArgs};
use crate::config::sizing::show_size;
use crate::config::types::Place;
use crate::desired::addons;
use crate::error::{Error, Result};
use crate::images::carried::{self, Carried};
use crate::images::{self, DesiredImage, Source};
use crate::journal::lock;
use crate::plan;
use crate::release::Manifest;
use crate::release::source::{self, Listed};
use crate::report::output::{Document, Output, Tabular, print_data};
use crate::report::table::{Cell, Table, Tone};
use crate::report::{Report, terminal};

#[derive(Debug, Serialize)]
struct Images {
    release: String,
    images: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    component: String,
    reference: String,
    present: bool,
    id: Option<String>,
    /// Bytes, shared layers included.
    size: Option<u64>,
    /// `name=version`, as the image's label says.
    packages: Vec<String>,
}

impl Tabular for Images {
    fn table(&self) -> Table {
        let mut table = Table::new(["COMPONENT", "STATE", "SIZE", "IMAGE", "PACKAGES"]);
        for row in &self.images {
            let (state, tone) = if row.present { ("here", Tone::Good) } else { ("missing", Tone::Warn) };
            table.row([
                row.component.as_str().into(),
                Cell::toned(state, tone),
                row.size.map_or("-".into(), |s| show_size(s >> 20 << 20).into()),
                row.reference.as_str().into(),
                row.packages.join(" ").into(),
            ]);
        }
        table
    }
}

/// Does what the sub-command says.
pub(super) async fn run(global: &GlobalArgs, args: &ImagesArgs, report: &Report) -> Result<u8> {
    match &args.command {
        ImagesCommand::Build(selection) | ImagesCommand::Pull(selection) => {
            let wanted: fn(&Source) -> bool = match &args.command {
                ImagesCommand::Build(_) => |source| matches!(source, Source::Build(_)),
                _ => |source| matches!(source, Source::Pull),
            };
            get(global, selection, wanted, report).await
        }
        ImagesCommand::List(selection) => {
            let (context, supply) = load_supply(global, selection, report).await?;
            list(&context, &supply, selection).await?;
            Ok(0)
        }
        ImagesCommand::Save(args) => save(global, args, report).await,
        ImagesCommand::Load(args) => load(global, args, report).await,
    }
}

async fn load_supply(global: &GlobalArgs, selection: &SelectionArgs, report: &Report) -> Result<(Context, Supply)> {
    if let Some(wrong) = selection.components.iter().find(|c| !images::COMPONENTS.contains(&c.as_str())) {
        return Err(Error::usage(format!("there is no component \"{wrong}\""))
            .hint(format!("there are {}", images::COMPONENTS.join(", "))));
    }
    let manifest = Some(&selection.release.manifest);
    let extra = Extra { release: Some(&selection.release), manifest, ..Extra::default() };
    let context = Context::new(global, &extra, report)?;
    context.fetch_manifest()?;
    let supply = context.supply_of_any_line().await?;
    Ok((context, supply))
}

/// The chosen images: those that were named, else all but those of services that were not asked for.
fn chosen<'p>(
    context: &'p Context,
    supply: &'p Supply,
    selection: &'p SelectionArgs,
) -> impl Iterator<Item = &'p DesiredImage> {
    let (all, config) = (selection.components.is_empty(), &context.settings.config);
    let named = move |component: &String| selection.components.contains(component);
    supply.images.iter().filter(move |i| named(&i.component) || (all && addons::wants(config, &i.component)))
}

async fn get(
    global: &GlobalArgs,
    selection: &SelectionArgs,
    wanted: impl Fn(&Source) -> bool,
    report: &Report,
) -> Result<u8> {
    let (context, supply) = load_supply(global, selection, report).await?;
    let components: Vec<String> =
        chosen(&context, &supply, selection).filter(|i| wanted(&i.source)).map(|i| i.component.clone()).collect();
    if components.is_empty() {
        context.report.note(format!(
            "release {} has no image to get this way; `pupperware images list` shows where each comes from",
            supply.release.version
        ));
        return Ok(0);
    }
    let change =
        Change { command: "images", engine: &supply.engine, release: supply.release.version.clone(), channel: None };
    let args = ChangeArgs {
        dry_run: false,
        timings: false,
        output: Output::Table,
        timeout: std::time::Duration::from_secs(3600),
        wait_lock: None,
    };
    let plan =
        |observed: &crate::observed::Observed| Ok(plan::images(&supply.images, &supply.debian, observed, &components));
    match change::run(&context, &change, &args, &supply.observed, async |o| plan(o)).await? {
        Outcome::Nothing => context.report.note("nothing to do: all images are here"),
        Outcome::Done(_) | Outcome::Shown(_) => {}
    }
    list(&context, &supply, selection).await?;
    Ok(0)
}

async fn list(context: &Context, supply: &Supply, selection: &SelectionArgs) -> Result<()> {
    let mut rows = Vec::new();
    for image in chosen(context, supply, selection) {
        let found = supply.engine.find_image(&image.reference).await?;
        let packages = found.as_ref().and_then(|f| f.labels.get(images::PACKAGES_LABEL)).map(String::as_str);
        rows.push(Row {
            component: image.component.clone(),
            reference: image.reference.clone(),
            present: found.is_some(),
            packages: packages.unwrap_or_default().split_whitespace().map(ToOwned::to_owned).collect(),
            id: found.as_ref().map(|f| f.id.clone()),
            size: found.as_ref().map(|f| f.size),
        });
    }
    print_data(selection.output, &Document::new(Images { release: supply.release.version.to_string(), images: rows }))
}

/// One archive with everything that a machine without a network needs, the image of never-started containers too.
async fn save(global: &GlobalArgs, args: &ImagesSaveArgs, report: &Report) -> Result<u8> {
    let (context, supply) = load_supply(global, &args.images, report).await?;
    let wanted: Vec<&DesiredImage> = chosen(&context, &supply, &args.images).collect();
    let missing: Vec<&str> =
        wanted.iter().filter(|i| !supply.observed.has_image(&i.reference)).map(|i| i.component.as_str()).collect();
    if !missing.is_empty() {
        return Err(Error::failed(format!("not on this engine: {}", missing.join(", ")))
            .hint("make them first with `pupperware images build`"));
    }
    lock::ensure_anchor(&supply.engine).await?;
    let anchor = lock::anchor_image();
    let mut references: Vec<&str> = wanted.iter().map(|i| i.reference.as_str()).collect();
    references.push(&anchor);
    let list = list_to_carry(&context, &supply)?;
    let with = if list.is_empty() { "" } else { ", and the list of releases," };
    context.report.note(format!("saving {} images{with} to {}", references.len(), args.file.display()));
    let size = supply.engine.save_images(&references, &list, &args.file).await?;
    terminal::out(&format!("{}: {}\n", args.file.display(), show_size(size >> 20 << 20)))?;
    Ok(0)
}

/// The list that tells of the release: the one that the settings name, as it is written; else one of our own where the
/// program at the other end would not know the release.
fn list_to_carry(context: &Context, supply: &Supply) -> Result<Vec<u8>> {
    if let Some(listed) = context.listed() {
        return carried::before_listed(listed);
    }
    let known = Manifest::embedded()?;
    match known.exactly(&supply.release.version) {
        Ok(release) if *release == supply.release => Ok(vec![]),
        _ => carried::before(&known.with(&supply.release).text()?, None),
    }
}

async fn load(global: &GlobalArgs, args: &ImagesLoadArgs, report: &Report) -> Result<u8> {
    let extra = Extra { manifest: Some(&args.manifest), ..Extra::default() };
    let context = Context::new(global, &extra, report)?;
    let engine = context.engine()?;
    let list = List::of(&context, &args.file)?;
    let mut loaded = Vec::new();
    engine
        .load_images(&args.file, &mut |line| {
            if let Some(reference) = line.strip_prefix("Loaded image: ") {
                loaded.push(reference.to_owned());
            }
        })
        .await
        .map_err(|error| {
            Error::failed(format!("{} cannot be loaded: {error}", args.file.display()))
                .hint("is it what `pupperware images save FILE` wrote, and whole?")
        })?;
    if loaded.is_empty() {
        return Err(Error::failed(format!("{} holds no images", args.file.display()))
            .hint("make such an archive with `pupperware images save FILE`"));
    }
    let releases = list.map(|list| list.keep(&context)).transpose()?;
    print_data(args.output, &Document::new(Loaded { loaded, releases }))?;
    Ok(0)
}

/// A list of releases that came with images, genuine as far as the settings tell, and where it is kept.
struct List {
    listed: Listed,
    path: PathBuf,
}

impl List {
    /// Looks at it before anything is loaded.
    fn of(context: &Context, archive: &Path) -> Result<Option<Self>> {
        let Some(Carried { text, signature }) = carried::of(archive)? else { return Ok(None) };
        let trust = context.trust();
        let name = format!("the list of releases in {}", archive.display());
        let listed = source::check(&name, text, signature, &trust, jiff::Zoned::now().date())?;
        let path = match context.settings.config.releases.manifest.as_ref().map(|place| context.below(place)) {
            Some(Place::File(path)) => path,
            _ => context.folder().join("releases.yaml"),
        };
        let other = std::fs::read_to_string(&path).is_ok_and(|there| there != listed.text);
        if other && trust.sha256.is_none() && trust.key.is_none() {
            return Err(Error::refused(format!("{} is there, and {name} is another", path.display())).hint(
                "move it away, or tell by `--manifest-sha256` or `--manifest-key` that the one in the archive is genuine",
            ));
        }
        Ok(Some(List { listed, path }))
    }

    /// Writes it beside the configuration, and tells how it is used.
    fn keep(self, context: &Context) -> Result<String> {
        let path = self.path.display().to_string();
        write(&self.path, &self.listed.text)?;
        if let (Some(signature), Place::File(beside)) =
            (&self.listed.signature, source::signature_of(&Place::File(self.path.clone())))
        {
            write(&beside, signature)?;
        }
        if context.settings.config.releases.manifest.is_none() {
            let sum = source::hash(self.listed.text.as_bytes());
            context.report.note(format!(
                "the list of releases is kept in {path}; name it in pupperware.yaml: `releases: {{ manifest: {path}, sha256: {sum} }}`"
            ));
        }
        Ok(path)
    }
}

/// Replaces a file by one that is whole.
fn write(path: &Path, text: &str) -> Result<()> {
    let cannot = |e: std::io::Error| Error::failed(format!("cannot write {}", path.display())).because(e);
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(cannot)?;
    file.write_all(text.as_bytes()).map_err(cannot)?;
    file.persist(path).map_err(|e| cannot(e.error))?;
    Ok(())
}

#[derive(Debug, Serialize)]
struct Loaded {
    loaded: Vec<String>,
    /// Where the list of releases is kept that came with them.
    releases: Option<String>,
}

impl Tabular for Loaded {
    fn table(&self) -> Table {
        let mut table = Table::new(["LOADED"]);
        for reference in &self.loaded {
            table.row([reference.as_str().into()]);
        }
        table
    }
}
