//! What every command that works with a platform needs: settings, engine, release, desired and observed state.
//!
//! Each part is made only when a command asks for it, so `config validate` needs no engine and `status` no release.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::cli::global::GlobalArgs;
use crate::cli::release::{ManifestArgs, ReleaseArgs};
use crate::config::Config;
use crate::config::model::{Agents, Compilers};
use crate::config::sizing::{self, Machine, Sizing};
use crate::config::types::{Place, SigningKey};
use crate::desired::{self, Desired};
use crate::engine::connect::{self, Choice, Endpoint};
use crate::engine::{Engine, EngineInfo};
use crate::error::{Error, Result};
use crate::images::{self, Debian, DesiredImage};
use crate::observed::{self, Observed};
use crate::plan;
use crate::release::source::{Listed, Trust};
use crate::release::{self, Lineage, Manifest, Release};
use crate::report::{Report, terminal};
use crate::settings::{self, Given, Origin, Overrides, Restored, Settings, Sourced};

/// Settings and the way to report; everything else is made from it.
pub struct Context {
    /// Where events go.
    pub report: Report,
    /// Resolved settings.
    pub settings: Settings,
    /// `--yes`.
    pub yes: bool,
    /// Numbers that `scale` was asked for by this command.
    pub scale: plan::Scale,
    choice: Choice,
    working_dir: PathBuf,
    /// The manifest that the settings name, once it was fetched.
    listed: OnceLock<Listed>,
    /// The release that a backup is of, as that describes it.
    archived: OnceLock<Release>,
}

/// What is known before anything is sized: a machine that is too small for a platform can still build its images.
pub struct Supply {
    /// The engine.
    pub engine: Engine,
    /// What the engine's machine has.
    pub info: EngineInfo,
    /// The release that applies.
    pub release: Release,
    /// The Debian below its images.
    pub debian: Debian,
    /// Its images, in build order.
    pub images: Vec<DesiredImage>,
    /// The platform as it is.
    pub observed: Observed,
}

/// A platform with everything known about it.
pub struct Platform {
    /// The engine.
    pub engine: Engine,
    /// What the engine's machine has.
    pub info: EngineInfo,
    /// The release that applies.
    pub release: Release,
    /// Sizes that apply.
    pub sizing: Sizing,
    /// As it should be.
    pub desired: Desired,
    /// As it is.
    pub observed: Observed,
}

/// What a command adds to the global flags.
#[derive(Default)]
pub struct Extra<'a> {
    /// `--channel`, `--release`.
    pub release: Option<&'a ReleaseArgs>,
    /// `--manifest` and what it is known by.
    pub manifest: Option<&'a ManifestArgs>,
    /// `--with`.
    pub with: &'a [String],
    /// `--code`.
    pub code: Option<&'a Path>,
    /// The configuration comes from a backup, and is in no file yet.
    pub restored: Option<&'a Restored>,
    /// The configuration comes from a backup, and may be of another machine.
    pub elsewhere: bool,
    /// Numbers that `scale` was asked for.
    pub scale: plan::Scale,
}

impl Context {
    /// Reads the settings; warnings are reported.
    ///
    /// # Errors
    /// The configuration is wrong: all its errors at once.
    pub fn new(global: &GlobalArgs, extra: &Extra, report: &Report) -> Result<Self> {
        let working_dir = working_dir()?;
        let overrides = overrides(global, extra);
        let color = terminal::stderr_takes_color();
        let settings = settings::resolve(&overrides, &working_dir).map_err(|e| e.into_error(color))?;
        for warning in &settings.warnings {
            match &warning.suggestion {
                Some(hint) => report.warn_with_hint(format!("{}: {}", warning.path, warning.message), hint.clone()),
                None => report.warn(format!("{}: {}", warning.path, warning.message)),
            }
        }
        Ok(Context {
            report: report.clone(),
            settings,
            yes: global.yes,
            scale: extra.scale,
            choice: choice(global),
            working_dir,
            listed: OnceLock::new(),
            archived: OnceLock::new(),
        })
    }

    /// The settings that the next command without flags has.
    ///
    /// # Errors
    /// The file was made wrong meanwhile.
    pub fn without_flags(&self) -> Result<Settings> {
        let config = self.settings.config_file.clone();
        let config = config.map(|value| Sourced { value, given: Given::Flag("--config") });
        settings::resolve(&Overrides { config, ..Overrides::default() }, &self.working_dir)
            .map_err(|e| e.into_error(false))
    }

    /// The project's name.
    pub fn project(&self) -> &str {
        self.settings.config.project.as_str()
    }

    /// A connection to the engine, not yet tried.
    ///
    /// # Errors
    /// The address cannot be used.
    pub fn engine(&self) -> Result<Engine> {
        connect_to(&self.choice)
    }

    /// The engine's address, and who named it.
    ///
    /// # Errors
    /// A context that does not exist.
    pub fn endpoint(&self) -> Result<Endpoint> {
        connect::resolve(&self.choice, &|name| std::env::var(name).ok())
    }

    /// The folder of the configuration file, else the working directory.
    pub fn folder(&self) -> &Path {
        let beside = self.settings.config_file.as_deref().and_then(Path::parent);
        beside.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(&self.working_dir)
    }

    /// The engine and the platform as it is.
    ///
    /// # Errors
    /// The engine's.
    pub async fn observe(&self) -> Result<(Engine, Observed)> {
        let engine = self.engine()?;
        let observed = observed::snapshot(&engine, self.project(), &self.references()?).await?;
        Ok((engine, observed))
    }

    /// Reads the manifest that the settings name, if they do. Only what leads to a release asks for it: a platform knows
    /// by itself what it runs.
    ///
    /// # Errors
    /// It cannot be had, or is not to be trusted.
    pub fn fetch_manifest(&self) -> Result<()> {
        let releases = &self.settings.config.releases;
        let (Some(place), None) = (&releases.manifest, self.listed.get()) else { return Ok(()) };
        let manifest = release::source::load(&self.below(place), &self.trust(), jiff::Zoned::now().date())?;
        let _ = self.listed.set(manifest);
        Ok(())
    }

    /// What a manifest is known by, as the settings say.
    pub fn trust(&self) -> Trust {
        let releases = &self.settings.config.releases;
        Trust {
            sha256: releases.sha256.as_ref().map(|sum| sum.as_str().to_owned()),
            key: releases.public_key.as_ref().map(SigningKey::key),
        }
    }

    /// Where the manifest is that the settings name. What a flag names is relative to where it is typed.
    pub fn below(&self, place: &Place) -> Place {
        let folder = match self.settings.origins.of("releases.manifest") {
            Origin::Outside(_) => &self.working_dir,
            _ => self.folder(),
        };
        place.below(folder)
    }

    /// The manifest that the settings name, as it is written, once it was fetched.
    pub fn listed(&self) -> Option<&Listed> {
        self.listed.get()
    }

    /// Knows a release from now on as a backup describes it.
    pub fn learn(&self, release: &Release) {
        let _ = self.archived.set(release.clone());
    }

    /// The releases that are known: those of the manifest, of a backup, and of the platform.
    ///
    /// # Errors
    /// The manifest's.
    pub fn manifest(&self, observed: &Observed) -> Result<Manifest> {
        let listed = match self.listed.get() {
            Some(listed) => listed.manifest.clone(),
            None => Manifest::embedded()?,
        };
        let record = observed.record.as_ref();
        let own = [
            self.archived.get(),
            record.and_then(|r| r.upgraded.as_ref()).map(|u| &u.from),
            record.and_then(|r| r.upgrading.as_ref()).and_then(|u| u.definition.as_ref()),
            record.and_then(|r| r.lock.as_ref()).map(|l| &l.release),
        ];
        Ok(own.into_iter().flatten().fold(listed, Manifest::with))
    }

    /// The images that a platform of any release may need: which one applies is known only after a look.
    ///
    /// # Errors
    /// The manifest's.
    pub fn references(&self) -> Result<Vec<String>> {
        let releases = self.manifest(&Observed::default())?.releases;
        let images = releases.iter().map(|release| desired::images(&self.settings.config, release));
        Ok(images.collect::<Result<Vec<_>>>()?.into_iter().flatten().map(|image| image.reference).collect())
    }

    /// Everything that needs no sizes.
    ///
    /// # Errors
    /// The engine's, an unknown release, data of an unknown stream.
    pub async fn supply(&self) -> Result<Supply> {
        let (engine, info, observed) = self.look().await?;
        self.supplied(engine, info, observed)
    }

    /// The same for images alone, which may be of another release line than the platform that runs.
    ///
    /// # Errors
    /// As [`Context::supply`].
    pub async fn supply_of_any_line(&self) -> Result<Supply> {
        let (engine, info, observed) = self.look().await?;
        let config = &self.settings.config;
        let named = config.channel().is_some() || config.release().is_some();
        let lineage = if named { Lineage::New } else { observed.lineage() };
        self.supplied_with(self.release(&lineage, &observed)?, engine, info, observed)
    }

    /// The engine, what its machine has, and the platform as it is.
    ///
    /// # Errors
    /// The engine's.
    pub async fn look(&self) -> Result<(Engine, EngineInfo, Observed)> {
        let looked = self.look_once().await?;
        let named = self.settings.config.releases.manifest.is_some() && self.listed.get().is_none();
        if named && looked.2.record.is_none() {
            // There is no platform that would know what it runs.
            self.fetch_manifest()?;
            return self.look_once().await;
        }
        Ok(looked)
    }

    async fn look_once(&self) -> Result<(Engine, EngineInfo, Observed)> {
        let engine = self.engine()?;
        let info = async { engine.info().await.map_err(Error::from) };
        let references = self.references()?;
        let (info, observed) = tokio::try_join!(info, observed::snapshot(&engine, self.project(), &references))?;
        Ok((engine, info, observed))
    }

    /// The same, of an engine that was asked already.
    ///
    /// # Errors
    /// An unknown release.
    pub fn supplied(&self, engine: Engine, info: EngineInfo, observed: Observed) -> Result<Supply> {
        self.supplied_with(self.release(&observed.lineage(), &observed)?, engine, info, observed)
    }

    fn supplied_with(&self, release: Release, engine: Engine, info: EngineInfo, observed: Observed) -> Result<Supply> {
        let debian = images::debian(&release)?;
        let images = desired::images(&self.settings.config, &release)?;
        Ok(Supply { engine, info, release, debian, images, observed })
    }

    /// Everything.
    ///
    /// # Errors
    /// As [`Context::supply`], and a machine that is too small.
    pub async fn platform(&self) -> Result<Platform> {
        let Supply { engine, info, release, observed, .. } = self.supply().await?;
        let (sizing, desired) = self.desired(&release, machine(&info), &observed)?;
        Ok(Platform { engine, info, release, sizing, desired, observed })
    }

    /// Everything, for data of this lineage where the engine has none.
    ///
    /// # Errors
    /// As [`Context::platform`].
    pub async fn platform_of(&self, lineage: Lineage) -> Result<Platform> {
        let (engine, info, observed) = self.look().await?;
        let lineage = match observed.lineage() {
            Lineage::New => lineage,
            there => there,
        };
        let release = self.release(&lineage, &observed)?;
        let (sizing, desired) = self.desired(&release, machine(&info), &observed)?;
        Ok(Platform { engine, info, release, sizing, desired, observed })
    }

    /// The platform as it should be, of this release on this machine, with its database where it was observed.
    ///
    /// # Errors
    /// A machine that is too small.
    pub fn desired(&self, release: &Release, machine: Machine, observed: &Observed) -> Result<(Sizing, Desired)> {
        let config = self.scaled(observed);
        let sizing = sizing::size(&config, machine)?;
        let database = observed.database(&release.version, &desired::next_database(release));
        let desired = desired::build(&config, release, &sizing, &self.origin(), &database)?;
        Ok((sizing, desired))
    }

    /// The configuration with the numbers that `scale` was asked for: now, else on record.
    pub fn scaled(&self, observed: &Observed) -> Config {
        let mut config = self.settings.config.clone();
        let known = observed.record.as_ref().map(|r| r.scale).unwrap_or_default();
        if let Some(count) = self.scale.compilers.or(known.compilers).and_then(Compilers::new) {
            config.compilers.replicas = count;
        }
        if let Some(count) = self.scale.agents.or(known.agents).and_then(Agents::new) {
            config.agents.replicas = count;
        }
        config
    }

    /// The release that applies: the one that was named, or that the platform runs.
    ///
    /// # Errors
    /// There is no such release, or it is not one that the platform can go to.
    pub fn release(&self, lineage: &Lineage, observed: &Observed) -> Result<Release> {
        let manifest = self.manifest(observed)?;
        let config = &self.settings.config;
        let channel = config.channel().map(ToString::to_string);
        Ok(release::choose(&manifest, channel.as_deref(), config.release(), lineage)?.clone())
    }

    fn origin(&self) -> desired::Origin {
        let file = self.settings.config_file.as_ref().map(|f| f.display().to_string());
        desired::Origin {
            working_dir: self.working_dir.display().to_string(),
            config_file: file.unwrap_or_else(|| self.working_dir.join("pupperware.yaml").display().to_string()),
        }
    }
}

/// The engine and the project's name without the rest of the configuration, which is wrong; nothing when the name is
/// in doubt.
///
/// # Errors
/// The engine's address cannot be used.
pub fn without_settings(global: &GlobalArgs) -> Result<Option<(String, Engine)>> {
    match settings::project(&overrides(global, &Extra::default()), &working_dir()?) {
        Some(project) => Ok(Some((project.to_string(), connect_to(&choice(global))?))),
        None => Ok(None),
    }
}

fn working_dir() -> Result<PathBuf> {
    std::env::current_dir().map_err(|e| Error::failed("cannot tell the working directory").because(e))
}

fn choice(global: &GlobalArgs) -> Choice {
    Choice { host: global.host.clone(), context: global.context.clone() }
}

fn connect_to(choice: &Choice) -> Result<Engine> {
    connect::connect(connect::resolve(choice, &|name| std::env::var(name).ok())?)
}

fn overrides(global: &GlobalArgs, extra: &Extra) -> Overrides {
    Overrides {
        config: sourced(global.config.clone(), "--config", "PUPPERWARE_CONFIG"),
        project: sourced(global.project.clone(), "--project", "PUPPERWARE_PROJECT"),
        channel: sourced(extra.release.and_then(|r| r.channel.clone()), "--channel", "PUPPERWARE_CHANNEL"),
        release: sourced(
            extra.release.and_then(|r| r.release.as_ref().map(ToString::to_string)),
            "--release",
            "PUPPERWARE_RELEASE",
        ),
        manifest: sourced(extra.manifest.and_then(|m| m.manifest.clone()), "--manifest", "PUPPERWARE_MANIFEST"),
        manifest_sha256: sourced(
            extra.manifest.and_then(|m| m.manifest_sha256.clone()),
            "--manifest-sha256",
            "PUPPERWARE_MANIFEST_SHA256",
        ),
        manifest_key: sourced(
            extra.manifest.and_then(|m| m.manifest_key.clone()),
            "--manifest-key",
            "PUPPERWARE_MANIFEST_KEY",
        ),
        with: sourced((!extra.with.is_empty()).then(|| extra.with.join(",")), "--with", "PUPPERWARE_WITH"),
        code_dir: sourced(extra.code.map(Path::to_path_buf), "--code", "PUPPERWARE_CODE"),
        restored: extra.restored.cloned(),
        elsewhere: extra.elsewhere,
    }
}

/// What sizes follow.
pub fn machine(info: &EngineInfo) -> Machine {
    Machine { cpus: info.cpus, memory_bytes: info.memory_bytes }
}

/// A value with whether a flag or a variable gave it. clap has merged the two; equal to the variable means from it.
fn sourced<T: AsRef<std::ffi::OsStr>>(
    value: Option<T>,
    flag: &'static str,
    variable: &'static str,
) -> Option<Sourced<T>> {
    let value = value?;
    let from_env = std::env::var_os(variable).is_some_and(|v| v == value.as_ref());
    Some(Sourced { given: if from_env { Given::Env(variable) } else { Given::Flag(flag) }, value })
}
