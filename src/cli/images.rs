//! `pupperware images`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::release::{ManifestArgs, ReleaseArgs};
use crate::report::output::Output;

/// Build, fetch and move the component images.
///
/// `up` does what is needed by itself; these are for preparing it, and for places without a network.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "Examples:\n  \
    pupperware images build puppetserver   build one component's image\n  \
    pupperware images save platform.tar    all images, to carry elsewhere\n  \
    pupperware images load platform.tar    and back in")]
pub struct ImagesArgs {
    /// What to do with them.
    #[command(subcommand)]
    pub command: ImagesCommand,
}

/// What to do with images.
#[derive(Debug, Clone, Subcommand)]
pub enum ImagesCommand {
    /// Build images on the engine
    #[command(after_long_help = "Examples:\n  \
        pupperware images build\n   pupperware images build puppetdb --channel lts")]
    Build(SelectionArgs),
    /// Fetch images from their registry
    #[command(after_long_help = "Examples:\n  pupperware images pull\n  pupperware images pull --channel lts")]
    Pull(SelectionArgs),
    /// Show the images of a release, and which are there
    #[command(after_long_help = "Examples:\n  pupperware images list\n  pupperware images list -o json")]
    List(SelectionArgs),
    /// Write images to a file, for an engine without a network
    #[command(after_long_help = "Examples:\n  pupperware images save platform.tar --channel lts")]
    Save(ImagesSaveArgs),
    /// Read images from a file that `save` wrote
    #[command(after_long_help = "Examples:\n  pupperware images load platform.tar")]
    Load(ImagesLoadArgs),
}

/// Which images, and how the result is printed.
#[derive(Debug, Clone, Args)]
pub struct SelectionArgs {
    /// The components [default: all; puppetboard and relay when configured].
    #[arg(value_name = "COMPONENT")]
    pub components: Vec<String>,
    /// Which release's images.
    #[command(flatten)]
    pub release: ReleaseArgs,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}

/// Write images to a file.
#[derive(Debug, Clone, Args)]
pub struct ImagesSaveArgs {
    /// The file to write, a tar archive.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Which images, and how the result is printed.
    #[command(flatten)]
    pub images: SelectionArgs,
}

/// Read images from a file.
///
/// The list of releases in it, if there is one, is kept in the file that the configuration names as the manifest, else in
/// releases.yaml beside the configuration. Where a hash or a key is named, it must be of that.
#[derive(Debug, Clone, Args)]
pub struct ImagesLoadArgs {
    /// The file to read.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What a list of releases in it is known by.
    #[command(flatten)]
    pub manifest: ManifestArgs,
    /// How to print the result.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t)]
    pub output: Output,
}
