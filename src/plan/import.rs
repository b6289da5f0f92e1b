//! `ca import`: a CA that was made elsewhere, for a platform that has none yet. Pure.

use std::path::PathBuf;

use super::builder::Builder;
use super::images::{image_step, images_needed};
use super::issue::{scoped, task};
use super::restore::refuse_half_restored;
use super::{Action, Plan, lifecycle};
use crate::desired::{Desired, labels};
use crate::engine::FileEntry;
use crate::error::{Error, Result};
use crate::observed::Observed;

/// The volume that the CA goes into.
const CA: &str = "ca";
/// The volume that the order for it is written into.
const STATE: &str = "state";

/// What is imported.
#[derive(Debug, Clone)]
pub struct Import {
    /// Everything but the key, as the container finds it in the CA's volume.
    pub files: Vec<FileEntry>,
    /// The file of this machine with the key, which is read when it is put there.
    pub key: PathBuf,
    /// The next serial number, in hexadecimal digits.
    pub serial: String,
}

/// Puts a CA into the volume that `up` will find it in. A volume without a CA is fine: an import may have been
/// interrupted; one with another CA is left alone by the step itself, which can look.
///
/// # Errors
/// The platform has certificates of a CA already.
pub fn import(desired: &Desired, observed: &Observed, what: &Import) -> Result<Plan> {
    refuse_half_restored(observed)?;
    refuse_certificates(desired, observed)?;
    let mut plan = Builder::default();
    let mut needs = lifecycle::remove_tasks(&mut plan, observed);
    images_needed(&mut plan, desired, observed, &[], true);
    needs.extend(image_step(&plan, "provision"));
    for key in [CA, STATE] {
        let spec = desired.volumes[key].spec.clone();
        if !observed.volumes.contains_key(&spec.name) {
            let action = Action::CreateVolume { key: key.into(), spec };
            needs.push(plan.add(action, "no such volume", needs.clone()));
        }
    }
    let task = Box::new(task(desired, &scoped(desired, &[CA, STATE])));
    let Import { files, key, serial } = what.clone();
    plan.add(Action::ImportCa { task, serial, files, key }, "asked to import", needs);
    Ok(plan.finish())
}

/// Whoever trusts the CA that is there would be shut out.
fn refuse_certificates(desired: &Desired, observed: &Observed) -> Result<()> {
    let project = &desired.project;
    let there = |key: &&str| observed.volumes.contains_key(&labels::scoped(project, key));
    let certificates = &desired.credentials.certificates;
    let holders: Vec<&str> = certificates.iter().map(|c| c.volume.as_str()).filter(there).collect();
    if holders.is_empty() {
        return Ok(());
    }
    let lost: Vec<&str> = [CA].into_iter().filter(there).chain(holders.iter().copied()).collect();
    Err(Error::refused("the platform has a CA already, and a CA is imported before the first `up` only")
        .details([
            format!("certificates of it are in: {}", holders.join(", ")),
            "agents that it signed would trust the platform no longer".into(),
        ])
        .hint(format!(
            "keep a copy with `pupperware --project {project} backup create`; then give it up, and everybody's trust in it, with `pupperware --project {project} down --destroy-data {}`; the \
             database and the code stay",
            lost.join(" --destroy-data ")
        )))
}
