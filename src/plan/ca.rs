//! `ca`: what is done to which certificate, from what the CA lists. Pure.
//!
//! Issuing the platform's own certificates anew is `converge`'s, because whoever uses them must stop for it.

use super::builder::Builder;
use super::unfinished;
use super::{Action, Plan};
use crate::desired::{COMPILER, CrlCopy, Desired, PRIMARY, Reload, Replica};
use crate::error::{Error, Result};
use crate::observed::{Container, Observed};
use crate::puppet::ca::{CertName, Certificate, State};

/// What canaries' names begin with. One that an interrupted run left goes with the next revocation.
pub const CANARY: &str = "pupperware-canary-";

/// The primary, which must run: only it can be asked about certificates.
///
/// # Errors
/// It does not run.
pub fn primary<'d>(desired: &'d Desired, observed: &Observed) -> Result<&'d Replica> {
    unfinished::refuse(observed)?;
    let primary = desired.primary().ok_or_else(|| Error::failed("the platform has no primary"))?;
    if observed.containers.get(&primary.spec.name).is_some_and(Container::running) {
        return Ok(primary);
    }
    let project = &desired.project;
    let hint = if observed.containers.contains_key(&primary.spec.name) {
        format!("start it with `pupperware --project {project} start`")
    } else {
        format!("start the platform with `pupperware --project {project} up`")
    };
    Err(Error::failed(format!("{PRIMARY} does not run, and the certificate authority is in it")).hint(hint))
}

/// Signs these requests: names, and the fingerprint where exactly that request was looked at and approved.
///
/// # Errors
/// A name that asks for nothing, a request that changed since, or one that the CA would not sign.
pub fn sign(
    desired: &Desired,
    observed: &Observed,
    listed: &[Certificate],
    approved: &[(CertName, Option<String>)],
) -> Result<Plan> {
    let primary = primary(desired, observed)?;
    let mut plan = Builder::default();
    for (name, fingerprint) in approved {
        let found = find(listed, name)?;
        match found.state {
            State::Signed => continue,
            State::Revoked => {
                return Err(Error::refused(format!("the certificate of {name} is revoked"))
                    .hint(format!("remove it with `pupperware ca clean {name}`, and let the agent ask again")));
            }
            State::Pending => {}
        }
        if fingerprint.as_ref().is_some_and(|f| *f != found.fingerprint) {
            return Err(Error::refused(format!("{name} has made another request since it was looked at"))
                .hint("look again with `pupperware ca list`"));
        }
        let others: Vec<&str> =
            found.dns_alt_names.iter().map(String::as_str).filter(|n| *n != name.as_str()).collect();
        if !others.is_empty() {
            return Err(Error::refused(format!("{name} asks for other names, too: {}", others.join(", ")))
                .details(["with such a certificate it could pass for another machine, so the CA signs none".into()])
                .hint(format!("take `dns_alt_names` out of its puppet.conf, then `pupperware ca clean {name}`")));
        }
        let action = Action::SignCertificate { primary: primary.spec.name.clone(), certname: name.to_string() };
        plan.add(action, "asked to sign", vec![]);
    }
    Ok(plan.finish())
}

/// Revokes certificates, gives everybody the new list, and sees that a certificate on it is refused.
///
/// # Errors
/// An unknown name, one of the platform's own, a mere request, or a service that does not run.
pub fn revoke(
    desired: &Desired,
    observed: &Observed,
    listed: &[Certificate],
    names: &[CertName],
    canary: &str,
) -> Result<Plan> {
    let primary = primary(desired, observed)?;
    let found = chosen(desired, observed, listed, names)?;
    if let Some(asks) = found.iter().find(|c| c.state == State::Pending) {
        let name = &asks.certname;
        return Err(Error::usage(format!("{name} has no certificate yet, only a request"))
            .hint(format!("remove the request with `pupperware ca clean {name}`")));
    }
    let mut plan = Builder::default();
    revocation(&mut plan, desired, observed, &primary.spec.name, listed, &found, canary)?;
    Ok(plan.finish())
}

/// The same, and the CA forgets the names: their agents may ask anew. Mere requests are only forgotten.
///
/// # Errors
/// As [`revoke`], but requests are fine.
pub fn clean(
    desired: &Desired,
    observed: &Observed,
    listed: &[Certificate],
    names: &[CertName],
    canary: &str,
) -> Result<Plan> {
    let primary = &primary(desired, observed)?.spec.name;
    let (asking, certified): (Vec<&Certificate>, _) =
        chosen(desired, observed, listed, names)?.into_iter().partition(|c| c.state == State::Pending);
    let mut plan = Builder::default();
    if !certified.is_empty() {
        revocation(&mut plan, desired, observed, primary, listed, &certified, canary)?;
    }
    // Last: what the CA has forgotten cannot be revoked any more.
    let refused = plan.all("verify_refusal");
    for certificate in certified {
        remove(&mut plan, primary, &certificate.certname, "asked to clean", refused.clone());
    }
    for request in asking {
        remove(&mut plan, primary, &request.certname, "asked to clean", vec![]);
    }
    Ok(plan.finish())
}

/// Gives everybody the CA's list again, and sees that a certificate on it is refused.
///
/// # Errors
/// A service does not run.
pub fn crl(desired: &Desired, observed: &Observed, listed: &[Certificate], canary: &str) -> Result<Plan> {
    let primary = &primary(desired, observed)?.spec.name;
    let mut plan = Builder::default();
    revocation(&mut plan, desired, observed, primary, listed, &[], canary)?;
    Ok(plan.finish())
}

/// Lets one request of this name be signed by policy. `hash` is that of the token.
///
/// # Errors
/// The name is taken: the policy is asked about new requests only.
pub fn token(
    desired: &Desired,
    observed: &Observed,
    listed: &[Certificate],
    name: &CertName,
    hash: &str,
) -> Result<Plan> {
    let primary = primary(desired, observed)?;
    own(desired, observed, name)?;
    if let Some(found) = listed.iter().find(|c| c.certname == name.as_str()) {
        return Err(match found.state {
            State::Pending => Error::refused(format!("{name} has asked already, and waits to be signed"))
                .hint(format!("sign it with `pupperware ca sign {name}`")),
            State::Signed | State::Revoked => Error::refused(format!("{name} has a certificate already"))
                .hint(format!("when its machine is made anew, remove it with `pupperware ca clean {name}` first")),
        });
    }
    let mut plan = Builder::default();
    let action =
        Action::PlaceToken { primary: primary.spec.name.clone(), certname: name.to_string(), hash: hash.to_owned() };
    plan.add(action, "asked for a token", vec![]);
    Ok(plan.finish())
}

/// Steps that give these copies the CA's list.
pub(super) fn push(plan: &mut Builder, desired: &Desired, copies: &[CrlCopy], cause: &str, needs: &[usize]) {
    let Some(primary) = desired.primary() else { return };
    for copy in copies {
        let action = Action::PushCrl { primary: primary.spec.name.clone(), copy: copy.clone() };
        plan.add(action, cause, needs.to_vec());
    }
}

/// Copies as nobody has to pause for them: the key of what is revoked is gone. Who does not read the list now does later.
pub(super) fn without_pause(mut copies: Vec<CrlCopy>) -> Vec<CrlCopy> {
    for copy in copies.iter_mut().filter(|c| c.reload == Reload::Hangup) {
        copy.reload = Reload::Later;
    }
    copies
}

/// A certificate is signed, revoked, refused and forgotten, and nobody has to pause for it; the last step. The platform
/// runs when `needs` are done.
pub(super) fn tried(plan: &mut Builder, desired: &Desired, canary: &str, needs: Vec<usize>) -> Option<usize> {
    let primary = &desired.primary()?.spec.name;
    let copies = without_pause(desired.crl_copies());
    let action = Action::MakeCanary { primary: primary.clone(), certname: canary.into() };
    let made = plan.add(action, "the CA must be able to sign", needs);
    let action = Action::RevokeCertificate { primary: primary.clone(), certname: canary.into() };
    let revoked = plan.add(action, "and to revoke", vec![made]);
    push(plan, desired, &copies, "revocations are worth what is known of them", &[revoked]);
    let pushed = plan.all("push_crl");
    for copy in copies.into_iter().filter(|c| c.reload == Reload::Watches) {
        let action = Action::VerifyRefusal { primary: primary.clone(), certname: canary.into(), copy };
        plan.add(action, "it has the new list", pushed.clone());
    }
    let refused = plan.all("verify_refusal");
    Some(remove(plan, primary, canary, "it has served", refused))
}

/// Revokes, pushes, verifies, and takes the canary away. A canary of its own for each run: that an older one is refused
/// says nothing about the new list.
fn revocation(
    plan: &mut Builder,
    desired: &Desired,
    observed: &Observed,
    primary: &str,
    listed: &[Certificate],
    certificates: &[&Certificate],
    canary: &str,
) -> Result<()> {
    let mut copies = desired.crl_copies();
    let runs = |c: &CrlCopy| observed.containers.get(&c.container).is_some_and(Container::running);
    // One that nobody reads keeps no certificate in.
    copies.retain(|c| runs(c) || c.reload != Reload::Unread);
    // A compiler that never came gets the list before it starts.
    copies.retain(|c| c.service != COMPILER || observed.containers.contains_key(&c.container));
    if let Some(down) = copies.iter().find(|c| !runs(c)) {
        return Err(Error::failed(format!("{} does not run, and could not take the revocation list", down.service))
            .hint(format!("start it with `pupperware --project {} start`", desired.project)));
    }
    let made = Action::MakeCanary { primary: primary.into(), certname: canary.into() };
    let made = plan.add(made, "what is revoked with it is seen to be refused", vec![]);
    let revoke = |plan: &mut Builder, certname: &str, cause: &str, needs| {
        let action = Action::RevokeCertificate { primary: primary.into(), certname: certname.into() };
        plan.add(action, cause, needs);
    };
    revoke(plan, canary, "made for it", vec![made]);
    for certificate in certificates.iter().filter(|c| c.state == State::Signed) {
        revoke(plan, &certificate.certname, "asked to revoke", vec![made]);
    }
    let left: Vec<&Certificate> = listed.iter().filter(|c| c.certname.starts_with(CANARY)).collect();
    for old in &left {
        revoke(plan, &old.certname, "left over from an interrupted run", vec![]);
    }
    let revoked = plan.all("revoke_certificate");
    push(plan, desired, &copies, "revocations are worth what is known of them", &revoked);
    let pushed = plan.all("push_crl");
    for copy in copies.into_iter().filter(|c| c.asked_at.is_some()) {
        let action = Action::VerifyRefusal { primary: primary.into(), certname: canary.into(), copy };
        plan.add(action, "it has the new list", pushed.clone());
    }
    let refused = plan.all("verify_refusal");
    remove(plan, primary, canary, "it has served", refused.clone());
    for old in left {
        remove(plan, primary, &old.certname, "left over from an interrupted run", refused.clone());
    }
    Ok(())
}

fn remove(plan: &mut Builder, primary: &str, certname: &str, cause: &str, needs: Vec<usize>) -> usize {
    let action = Action::RemoveCertificate { primary: primary.into(), certname: certname.into() };
    plan.add(action, cause, needs)
}

/// What the CA lists of these names, each once.
fn chosen<'c>(
    desired: &Desired,
    observed: &Observed,
    listed: &'c [Certificate],
    names: &[CertName],
) -> Result<Vec<&'c Certificate>> {
    let mut names: Vec<&CertName> = names.iter().collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            own(desired, observed, name)?;
            find(listed, name)
        })
        .collect()
}

fn find<'c>(listed: &'c [Certificate], name: &CertName) -> Result<&'c Certificate> {
    listed.iter().find(|c| c.certname == name.as_str()).ok_or_else(|| {
        Error::usage(format!("the CA knows no \"{name}\"")).hint("see whom it knows with `pupperware ca list`")
    })
}

/// The platform's own certificates are replaced, never just taken away: it would stop working. A compiler's go with it;
/// while it is not there, one of its name is a stranger's that it stands in the way of.
fn own(desired: &Desired, observed: &Observed, name: &CertName) -> Result<()> {
    let Some(replica) = desired.replicas.iter().find(|r| r.certname == name.as_str()) else { return Ok(()) };
    let compiler = replica.service == COMPILER;
    if compiler && !observed.containers.contains_key(&replica.spec.name) {
        return Ok(());
    }
    let refused = Error::refused(format!("{name} is the certificate of the platform's own {}", replica.service));
    Err(if compiler {
        refused.hint("it is revoked when the compiler goes: `pupperware scale compilers=N`")
    } else {
        refused.hint(format!("issue it anew, which revokes the old one: `pupperware ca reissue {}`", replica.service))
    })
}
