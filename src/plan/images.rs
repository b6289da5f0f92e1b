//! Which images a plan must get, each after the one that it stands on. Pure.

use super::builder::Builder;
use super::fate::Fate;
use super::{Action, Plan};
use crate::desired::{Desired, Replica};
use crate::images::{Debian, DesiredImage, Source, parent};
use crate::observed::Observed;

/// The plan that makes these components' images present, each with those below it (`images build`, `images pull`).
pub fn images(images: &[DesiredImage], debian: &Debian, observed: &Observed, components: &[String]) -> Plan {
    let mut plan = Builder::default();
    for image in images {
        if components.is_empty() || components.contains(&image.component) {
            get_image(&mut plan, images, debian, observed, &image.component);
        }
    }
    plan.finish()
}

/// The images of what is created, and the base when credentials are issued with it.
pub(super) fn images_needed(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    fates: &[(&Replica, Fate)],
    issue: bool,
) {
    let Desired { images, debian, .. } = desired;
    if issue {
        get_image(plan, images, debian, observed, "provision");
    }
    for (replica, fate) in fates {
        if matches!(fate, Fate::Create(_) | Fate::Recreate(_)) {
            get_image(plan, images, debian, observed, &replica.component);
        }
    }
}

/// Steps that make a component's image present, those below it first; none when it is.
pub(super) fn get_image(
    plan: &mut Builder,
    images: &[DesiredImage],
    debian: &Debian,
    observed: &Observed,
    component: &str,
) -> Option<usize> {
    let image = images.iter().find(|i| i.component == component)?;
    if observed.has_image(&image.reference) {
        return None;
    }
    if let Some(id) = plan.find("build_image", component).or_else(|| plan.find("pull_image", component)) {
        return Some(id);
    }
    let cause = "not on this engine";
    Some(match &image.source {
        Source::Pull => {
            let action = Action::PullImage { component: component.into(), reference: image.reference.clone() };
            plan.add(action, cause, vec![])
        }
        Source::Build(_) => {
            let below = match parent(component) {
                Some(parent) => get_image(plan, images, debian, observed, parent),
                None => {
                    let action = Action::MakeBase { debian: debian.clone() };
                    Some(plan.add(action, "the base image stands on it", vec![]))
                }
            };
            plan.add(Action::BuildImage { image: image.clone() }, cause, below.into_iter().collect())
        }
    })
}

/// The step that gets a component's image, if the plan has one.
pub(super) fn image_step(plan: &Builder, component: &str) -> Option<usize> {
    plan.find("build_image", component).or_else(|| plan.find("pull_image", component))
}
