//! Steps about compilers: keys and certificates before they start, and what the balancer is told of them.

use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::{FromDer, X509CertificationRequest};

use super::Context;
use super::ca_steps::{ask, refused, remove, revoke, run, sign};
use crate::desired::credentials::PUPPET;
use crate::engine::spec::ContainerSpec;
use crate::engine::{ExecRequest, FileEntry};
use crate::error::{Error, Result};
use crate::puppet::ca;

/// The balancer's tool.
const BALANCE: &str = "/usr/local/bin/pupperware-balance";
/// Its exit code when requests are left after all that time.
const LEFT: i64 = 3;

/// Makes keys in a one-shot container, has the CA sign what has no good certificate, and has everything put into its place.
pub(super) async fn enrol(
    context: &Context,
    primary: &str,
    certnames: &[String],
    task: &ContainerSpec,
    request: &str,
) -> Result<Option<String>> {
    let engine = &context.engine;
    let name = &task.name;
    engine.remove_container(name).await?;
    engine.create_container(task).await?;
    let order = FileEntry { path: "provision.request".into(), content: request.into(), owner: (0, 0), mode: 0o600 };
    engine.put_files(name, "/volumes/state", &[order]).await?;
    pass(context, task).await?;
    let mut signed = 0;
    for certname in certnames {
        let number = certname.rsplit('-').next().unwrap_or_default();
        let ssl = format!("/volumes/compiler-{number}-ssl");
        let Some(request) = file(context, name, &format!("{ssl}/request.pem")).await? else { continue };
        let old = file(context, name, &format!("{ssl}/old.pem")).await?;
        let content = certificate(context, primary, certname, &request, old.as_deref()).await?;
        let owner = (PUPPET.into(), PUPPET.into());
        let entry = FileEntry { path: format!("certs/{certname}.pem"), content, owner, mode: 0o644 };
        engine.put_files(name, &ssl, &[entry]).await?;
        signed += 1;
    }
    if signed > 0 {
        pass(context, task).await?;
        for certname in certnames {
            let number = certname.rsplit('-').next().unwrap_or_default();
            if file(context, name, &format!("/volumes/compiler-{number}-ssl/request.pem")).await?.is_some() {
                return Err(Error::failed(format!(
                    "the certificate that the CA gave to {certname} does not fit its key"
                ))
                .hint(format!("remove it with `pupperware ca clean {certname}`, and do this again")));
            }
        }
    }
    engine.remove_container(name).await?;
    Ok(Some(format!("{signed} signed, {} kept", certnames.len() - signed)))
}

/// Lets the one-shot container run once more.
async fn pass(context: &Context, task: &ContainerSpec) -> Result<()> {
    let engine = &context.engine;
    engine.start_container(&task.name).await?;
    match engine.wait_exit(&task.name).await? {
        0 => Ok(()),
        code => {
            let lines = engine.last_lines(&task.name, 30).await;
            Err(Error::failed(format!("the compilers' keys could not be made (exit code {code})")).details(lines))
        }
    }
}

async fn file(context: &Context, container: &str, path: &str) -> Result<Option<Vec<u8>>> {
    let files = context.engine.get_files(container, path).await?;
    Ok(files.and_then(|files| files.into_iter().next()).map(|(_, content)| content))
}

/// The certificate of this request, signed now or by an interrupted run. `old` is the one that it takes the place of.
async fn certificate(
    context: &Context,
    primary: &str,
    certname: &str,
    request: &[u8],
    old: Option<&[u8]>,
) -> Result<String> {
    let engine = &context.engine;
    let path = ca::certificate_path(certname);
    let known = ask(engine, primary, "GET", &path, None).await?;
    if known.ok() {
        if same_key(request, known.body.as_bytes()) {
            return Ok(known.body);
        }
        if old.is_none_or(|old| der(old) != der(known.body.as_bytes())) {
            return Err(Error::refused(format!(
                "the CA has a certificate of the name {certname}, and it is not this compiler's"
            ))
            .details(["whoever has its key would be taken for the compiler, so it is not used".into()])
            .hint(format!(
                "see whose it is with `pupperware ca list`, and remove it with `pupperware ca clean {certname}`"
            )));
        }
        revoke(context, primary, certname).await?;
        remove(context, primary, certname).await?;
    }
    let body = Some(("text/plain", request.to_vec()));
    let answer = ask(engine, primary, "PUT", &ca::request_path(certname), body).await?;
    if !answer.ok() && !waits(context, primary, certname, request).await? {
        return Err(refused(format!("the CA does not take the request of {certname}"), &answer).hint(format!(
            "if another request of that name waits there, remove it with `pupperware ca clean {certname}`"
        )));
    }
    sign(context, primary, certname).await?;
    let answer = ask(engine, primary, "GET", &path, None).await?;
    if answer.ok() {
        return Ok(answer.body);
    }
    Err(refused(format!("the CA does not hand out the certificate of {certname}"), &answer))
}

/// True when exactly this request waits at the CA: an interrupted run handed it in. Another one of that name is a stranger's,
/// and is never signed.
async fn waits(context: &Context, primary: &str, certname: &str, request: &[u8]) -> Result<bool> {
    let answer = ask(&context.engine, primary, "GET", &ca::request_path(certname), None).await?;
    let key = |pem: &[u8]| request_key(pem);
    Ok(answer.ok() && key(answer.body.as_bytes()).is_some_and(|waiting| Some(waiting) == key(request)))
}

fn der(pem: &[u8]) -> Option<Vec<u8>> {
    parse_x509_pem(pem).ok().map(|(_, pem)| pem.contents)
}

/// The public key that a request is for.
fn request_key(pem: &[u8]) -> Option<Vec<u8>> {
    let der = der(pem)?;
    let (_, request) = X509CertificationRequest::from_der(&der).ok()?;
    Some(request.certification_request_info.subject_pki.raw.to_vec())
}

/// True when a certificate is for the key of this request.
fn same_key(request: &[u8], certificate: &[u8]) -> bool {
    let of_certificate = |pem: &[u8]| {
        let (_, pem) = parse_x509_pem(pem).ok()?;
        Some(pem.parse_x509().ok()?.public_key().raw.to_vec())
    };
    let key = request_key(request);
    key.is_some() && key == of_certificate(certificate)
}

/// Tells the balancer that exactly these take requests.
pub(super) async fn balance(context: &Context, balancer: &str, members: &[String]) -> Result<()> {
    let command = [BALANCE, "members"].map(String::from).into_iter().chain(members.iter().cloned()).collect();
    let request = ExecRequest { container: balancer.into(), command, ..ExecRequest::default() };
    run(&context.engine, &request, "the balancer does not take the list of compilers").await.map(|_| ())
}

/// Lets requests wait, and those under way end. Where that does not work, some may fail that would have waited: no reason to
/// leave what was begun half done.
pub(super) async fn hold(context: &Context, balancer: &str, seconds: u32) -> Result<()> {
    let command = [BALANCE, "hold", &seconds.to_string()].map(String::from).to_vec();
    let request = ExecRequest { container: balancer.into(), command, ..ExecRequest::default() };
    let output = context.engine.exec(&request, &mut |_| {}).await?;
    match output.code {
        0 => {}
        LEFT => {
            let left = output.stdout.trim();
            context.report.warn(format!("within {seconds} s, not all requests came to their end: {left}"));
        }
        code => context.report.warn(format!(
            "the balancer does not let requests wait (exit code {code}), so some may fail while PuppetDB restarts: {}",
            output.stderr.lines().next().unwrap_or_default()
        )),
    }
    Ok(())
}

/// Lets a compiler finish what it has. What is not over in time ends with it.
pub(super) async fn drain(context: &Context, balancer: &str, certname: &str, seconds: u32) -> Result<()> {
    let command = [BALANCE, "drain", certname, &seconds.to_string()].map(String::from).to_vec();
    let request = ExecRequest { container: balancer.into(), command, ..ExecRequest::default() };
    let output = context.engine.exec(&request, &mut |_| {}).await?;
    match output.code {
        0 => Ok(()),
        LEFT => {
            let left = output.stdout.trim();
            context.report.warn(format!("{certname} did not finish within {seconds} s, and goes nevertheless: {left}"));
            Ok(())
        }
        code => Err(Error::failed(format!("the balancer does not let {certname} go (exit code {code})"))
            .details(output.stderr.lines().map(ToOwned::to_owned))
            .hint(format!("restart it with `pupperware --project {} restart balancer`", context.project))),
    }
}
