//! `backup schedule`: what lets the machine's own scheduler make the backups. Printed, never installed.

use super::{absolute, default_folder};
use crate::cli::backup::{BackupScheduleArgs, Schedule, TimeOfDay};
use crate::cli::global::GlobalArgs;
use crate::commands::context::{Context, Extra};
use crate::error::{Error, Result};
use crate::report::{Report, terminal};

/// How long a backup waits for a change that is under way.
const PATIENCE: &str = "30m";

/// Prints one file's worth, and says where it goes.
pub(super) fn run(global: &GlobalArgs, args: &BackupScheduleArgs, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let command = command(&context, args)?;
    if let Some(strange) = command.iter().find(|word| word.contains(char::is_control)) {
        return Err(Error::usage(format!("{strange:?} cannot stand in a scheduler's file")));
    }
    let project = context.project();
    let unit = format!("/etc/systemd/system/pupperware-backup-{project}");
    let (text, place) = match args.print {
        Schedule::SystemdService => (service(project, &command), format!("put it into {unit}.service")),
        Schedule::SystemdTimer => (
            timer(project, args.at),
            format!("put it into {unit}.timer; then `systemctl enable --now pupperware-backup-{project}.timer`"),
        ),
        Schedule::Cron => (cron(args.at, &command), "put it into `crontab -e`, of a user who may use Docker".into()),
    };
    terminal::out(&text)?;
    report.note(place);
    let backup = &context.settings.config.backup;
    if backup.keep.is_none() {
        report.note("old backups are not removed: `backup.keep` is not set");
    }
    if backup.max_age.is_none() {
        report.note("nobody is told when backups cease: `backup.max_age` is not set, and `doctor` looks at it");
    }
    Ok(0)
}

/// The command, which means the same from every directory and without any variable.
fn command(context: &Context, args: &BackupScheduleArgs) -> Result<Vec<String>> {
    let program = std::env::current_exe()
        .map_err(|e| Error::failed("cannot tell where this program is").because(e))
        .and_then(|path| absolute(&path))?;
    let mut command = vec![program, "--project".into(), context.project().to_owned()];
    if let Some(file) = &context.settings.config_file {
        command.extend(["--config".into(), absolute(file)?]);
    }
    let endpoint = context.endpoint()?;
    // A scheduler has none of the variables that other places are found by.
    if endpoint.url != "unix:///var/run/docker.sock" {
        command.extend(["--host".into(), endpoint.url]);
    }
    let folder = args.to.clone().unwrap_or_else(|| default_folder(context));
    let folder = absolute(&folder)?;
    // A directory, whether it is there already or not.
    let folder = format!("{}/", folder.trim_end_matches('/'));
    command.extend(["--quiet", "backup", "create", "--to", &folder, "--wait-lock", PATIENCE].map(String::from));
    if context.settings.config.backup.keep.is_some() {
        command.push("--prune".into());
    }
    Ok(command)
}

/// A unit that runs once.
fn service(project: &str, command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| for_systemd(word)).collect();
    format!(
        "[Unit]\n\
         Description=Backup of the Puppet platform {project}\n\
         After=docker.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         ExecStart={}\n\
         UMask=0077\n",
        words.join(" ")
    )
}

/// The timer of the unit with the same name. A day on which the machine was off is made up for.
fn timer(project: &str, at: TimeOfDay) -> String {
    format!(
        "[Unit]\n\
         Description=Daily backup of the Puppet platform {project}\n\
         \n\
         [Timer]\n\
         OnCalendar=*-*-* {:02}:{:02}:00\n\
         RandomizedDelaySec=10m\n\
         Persistent=true\n\
         \n\
         [Install]\n\
         WantedBy=timers.target\n",
        at.hour, at.minute
    )
}

/// A line of a crontab. What goes to standard error is mailed: nothing, unless something is wrong.
fn cron(at: TimeOfDay, command: &[String]) -> String {
    let words: Vec<String> = command.iter().map(|word| for_cron(word)).collect();
    format!("{} {} * * * {} >/dev/null\n", at.minute, at.hour, words.join(" "))
}

/// True for what no shell and no unit file takes for anything else.
fn plain(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=@+,".contains(c))
}

/// A word of `ExecStart=`: quoted, with specifiers and variables that are meant as they stand.
fn for_systemd(word: &str) -> String {
    if plain(word) {
        return word.to_owned();
    }
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace('$', "$$");
    format!("\"{escaped}\"")
}

/// A word for a shell, in a file where a percent sign ends the line.
fn for_cron(word: &str) -> String {
    if plain(word) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''")).replace('%', "\\%")
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: TimeOfDay = TimeOfDay { hour: 3, minute: 7 };

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn words_are_what_they_were() {
        let command = words(&["/usr/bin/pupperware", "--to", "/srv/a b/100%/$x/\"q\"/it's/"]);
        let line = service("demo", &command);
        assert!(line.contains("ExecStart=/usr/bin/pupperware --to \"/srv/a b/100%%/$$x/\\\"q\\\"/it's/\"\n"), "{line}");
        assert_eq!(
            cron(AT, &command),
            "7 3 * * * /usr/bin/pupperware --to '/srv/a b/100\\%/$x/\"q\"/it'\\''s/' >/dev/null\n"
        );
    }

    /// By the judge himself, where he is.
    #[test]
    fn systemd_takes_both_units() {
        let folder = tempfile::tempdir().unwrap();
        let name = |kind: &str| folder.path().join(format!("pupperware-backup-demo.{kind}"));
        let program = std::env::current_exe().unwrap().display().to_string();
        std::fs::write(name("service"), service("demo", &words(&[&program, "--to", "/srv/a b/100%/"]))).unwrap();
        std::fs::write(name("timer"), timer("demo", AT)).unwrap();
        let judge =
            std::process::Command::new("systemd-analyze").arg("verify").args([name("service"), name("timer")]).output();
        match judge {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            judged => {
                let judged = judged.unwrap();
                let said = String::from_utf8_lossy(&judged.stderr).into_owned();
                assert!(judged.status.success() && !said.contains("pupperware"), "{said}");
            }
        }
    }
}
