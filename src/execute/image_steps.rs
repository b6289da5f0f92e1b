//! Steps that make images present: pull, base, build.

use std::collections::BTreeMap;

use super::Context;
use crate::desired::labels;
use crate::engine::spec::ContainerSpec;
use crate::engine::{BuildRequest, Cause, FileEntry};
use crate::error::{Error, Result};
use crate::images::{self, Debian, DesiredImage, Source, base, context as build_context};

/// Pulls an image that the release or the user names.
pub(super) async fn pull(context: &Context, id: usize, component: &str, reference: &str) -> Result<()> {
    let progress = &mut |text: &str| context.progress(id, text);
    context.engine.pull_image(reference, progress).await.map_err(|e| {
        Error::from(e).hint(format!(
            "check the reference and that its registry answers; without one, leave out `images.{component}` to build it here, or load it with `pupperware images load FILE`"
        ))
    })
}

/// Gets the Debian below the base image.
pub(super) async fn make_base(context: &Context, id: usize, debian: &Debian) -> Result<Option<String>> {
    let engine = &context.engine;
    if engine.find_image(&debian.reference).await?.is_some() {
        return Ok(Some("already here".into()));
    }
    let (repo, tag) = debian.reference.rsplit_once(':').unwrap_or((&debian.reference, "latest"));
    let progress = &mut |text: &str| context.progress(id, text);
    progress(&format!("pulling {}", debian.pull));
    match engine.pull_image(&debian.pull, progress).await {
        Ok(()) => {
            engine.tag_image(&debian.pull, repo, tag).await?;
            return Ok(Some(format!("pulled {}", debian.pull)));
        }
        Err(e) if e.cause == Cause::DiskFull => return Err(e.into()),
        Err(e) => tracing::info!(error = %e, "no registry gives {}; making it with mmdebstrap", debian.pull),
    }
    if !base::tool_present() {
        return Err(base::missing_tool(&debian.suite));
    }
    progress(&format!("making Debian {} with {}", debian.suite, base::TOOL));
    let folder = tempfile::tempdir().map_err(|e| Error::failed("cannot make a temporary directory").because(e))?;
    let tar = folder.path().join("root.tar");
    base::make(&debian.suite, &tar, progress).await?;
    progress("importing it");
    engine.import_root_fs(&tar, repo, tag).await?;
    Ok(Some(format!("made with {}", base::TOOL)))
}

/// Builds a component image and labels it with the versions of what is inside. Images are shared by all projects of an
/// engine: another one may have built it since the plan was made.
pub(super) async fn build(context: &Context, id: usize, image: &DesiredImage) -> Result<Option<String>> {
    let Source::Build(build) = &image.source else {
        return Err(Error::failed(format!("{} is not built here", image.reference)));
    };
    let _turn = context.builds.acquire().await.map_err(|e| Error::failed("no turn to build").because(e))?;
    let engine = &context.engine;
    if engine.find_image(&image.reference).await?.is_some() {
        return Ok(Some("already here".into()));
    }
    let component = &image.component;
    // The project's own, lest another one takes it away. The lock lets only one process of the project build; what a
    // killed one left is replaced by the next.
    let unlabelled = format!("pupperware/{component}:building-{}-{}", build.key, context.project);
    let request = BuildRequest {
        tag: unlabelled.clone(),
        context: build_context::files(component)?,
        program: if component == images::RELAY { Some((PROGRAM, this_program()?)) } else { None },
        arguments: build.arguments.clone(),
    };
    // The steps of the Dockerfile are news; what the package manager says is kept for a failure.
    let progress = &mut |text: &str| {
        if let Some((step, rest)) = text.strip_prefix("Step ").and_then(|t| t.split_once(" : ")) {
            let short: String = rest.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(60).collect();
            context.progress(id, &format!("step {step}: {short}"));
        }
    };
    engine.build_image(&request, progress).await.map_err(|e| failed_build(component, e))?;
    let packages = packages(context, component, &unlabelled).await?;
    // A second build adds the labels that only the first could tell; it makes no layer. All in one instruction: each
    // one costs seconds on an engine whose file system is in user space.
    let labels = [
        (images::COMPONENT_LABEL, component),
        (images::KEY_LABEL, &build.key),
        (images::RELEASE_LABEL, &build.release),
        (images::PACKAGES_LABEL, &packages),
    ];
    let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    let content = format!("FROM {unlabelled}\nLABEL {}\n", labels.join(" "));
    let dockerfile = FileEntry { path: "Dockerfile".into(), content, owner: (0, 0), mode: 0o644 };
    let request = BuildRequest {
        tag: image.reference.clone(),
        context: vec![dockerfile],
        program: None,
        arguments: BTreeMap::new(),
    };
    engine.build_image(&request, progress).await.map_err(|e| failed_build(component, e))?;
    engine.remove_image(&unlabelled).await?;
    Ok(packages.split(' ').find(|p| p.starts_with(component.as_str())).map(ToOwned::to_owned))
}

/// What the program is called in its own image.
const PROGRAM: &str = "pupperware";

/// This very program, which the bridge and its server run, too.
fn this_program() -> Result<Vec<u8>> {
    let other = |what: &str| {
        Error::failed(what.to_owned())
            .hint("make the image on a Linux machine, and name it with `images.relay` in pupperware.yaml")
    };
    if !cfg!(target_os = "linux") {
        return Err(other("the relay image has this program in it, and this one is not for Linux"));
    }
    std::env::current_exe().and_then(std::fs::read).map_err(|e| other("this program cannot read itself").because(e))
}

fn failed_build(component: &str, error: crate::engine::EngineError) -> Error {
    let mut lines = error.message.lines().map(ToOwned::to_owned);
    let first = lines.next().unwrap_or_default();
    let mut out = Error::failed(format!("building the {component} image failed: {first}")).details(lines);
    out.hint = error.hint.or_else(|| {
        Some("a package mirror may be out of reach; `pupperware up` goes on with the steps that are done".into())
    });
    out
}

/// What the image says is in it.
async fn packages(context: &Context, component: &str, image: &str) -> Result<String> {
    let spec = ContainerSpec {
        name: format!("{}-look-{component}", context.project),
        hostname: "look".into(),
        image: image.into(),
        command: Some(vec!["/never-started".into()]),
        labels: labels::common(&context.project, "task"),
        ..ContainerSpec::default()
    };
    context.engine.remove_container(&spec.name).await?;
    context.engine.create_container(&spec).await?;
    let files = context.engine.get_files(&spec.name, images::PACKAGES_FILE).await;
    context.engine.remove_container(&spec.name).await?;
    let text =
        files?.and_then(|f| f.into_iter().next()).map(|(_, content)| String::from_utf8_lossy(&content).into_owned());
    text.map(|t| images::packages_label(&t)).ok_or_else(|| {
        Error::failed(format!("the {component} image does not list its packages in {}", images::PACKAGES_FILE))
            .hint("it stands on an image that is not ours; leave out `images.base`, or name one that pupperware built")
    })
}
