//! The platform's own server, for commands that name no other: they are carried out beside it, in its container, by the
//! engine. So nothing of it needs to be published, and no token comes to the user's machine.

use std::ops::ControlFlow;

use clap::ValueEnum;
use tokio::sync::watch;

use super::run::nodes_of;
use crate::cli::global::GlobalArgs;
use crate::cli::relay::decide::{ApproveArgs, DecisionArgs, DenyArgs};
use crate::cli::relay::run::RunArgs;
use crate::cli::relay::runs::RunsCommand;
use crate::cli::relay::token::{StateDir, TokenCommand};
use crate::cli::relay::{RelayArgs, RelayCommand};
use crate::commands::context::{Context, Extra};
use crate::engine::{ExecRequest, Terminal};
use crate::error::{Error, Kind, Result};
use crate::execute::cancel::Cancel;
use crate::observed::Observed;
use crate::report::output::Output;
use crate::report::{Report, terminal};

/// So many bytes of node names in one word: the kernel takes no longer ones than 128 KiB.
const LONGEST: usize = 64 << 10;
/// Where the server's folder is in its container.
const STATE: &str = "--state-dir=/var/lib/relay";

/// The command as the server's container is to carry it out; nothing for those that name a server, or need none.
pub(super) fn words(args: &RelayArgs) -> Result<Option<Vec<String>>> {
    let mut words: Vec<String> = vec!["pupperware".into(), "relay".into()];
    match &args.command {
        RelayCommand::Run(args) if args.server.relay_url.is_none() => {
            words.push("run".into());
            words.extend(run_words(args)?);
        }
        RelayCommand::Approve(ApproveArgs { decision }) if decision.server.relay_url.is_none() => {
            words.push("approve".into());
            words.extend(decision_words(decision));
        }
        RelayCommand::Deny(DenyArgs { decision }) if decision.server.relay_url.is_none() => {
            words.push("deny".into());
            words.extend(decision_words(decision));
        }
        RelayCommand::Runs(args) => {
            let (server, more) = match &args.command {
                RunsCommand::List(args) => {
                    let all = args.all.then(|| "--all".to_owned());
                    let list = ["list".to_owned(), output(args.output)];
                    (&args.server, list.into_iter().chain(all).collect())
                }
                RunsCommand::Show(args) => {
                    (&args.server, vec!["show".into(), args.id.to_string(), output(args.output)])
                }
                RunsCommand::Changes(args) => {
                    (&args.server, vec!["changes".into(), args.id.to_string(), output(args.output)])
                }
                RunsCommand::Cancel(args) => (&args.server, vec!["cancel".into(), args.id.to_string()]),
            };
            if server.relay_url.is_some() {
                return Ok(None);
            }
            words.push("runs".into());
            words.extend(more);
        }
        RelayCommand::Link(args) if args.server.state_dir.is_none() => {
            words.extend(["link".into(), args.name.clone(), format!("--lasts={}s", args.lasts.as_secs())]);
            words.push(format!("--connection={}", args.connection));
            words.extend(args.run.as_ref().map(|id| format!("--run={id}")));
            words.extend(args.base_url.as_ref().map(|url| format!("--base-url={url}")));
            words.push(STATE.into());
        }
        RelayCommand::Token(args) => {
            let (server, more) = token_words(&args.command);
            if server.state_dir.is_some() {
                return Ok(None);
            }
            words.push("token".into());
            words.extend(more);
            words.push(STATE.into());
        }
        _ => return Ok(None),
    }
    Ok(Some(words))
}

fn output(output: Output) -> String {
    format!("--output={}", output.to_possible_value().expect("each can be written").get_name())
}

fn token_words(command: &TokenCommand) -> (&StateDir, Vec<String>) {
    match command {
        TokenCommand::Create(args) => {
            let name = args.name.to_string();
            let scopes = args.scopes.iter().map(|scope| format!("--scope={}", scope.as_str()));
            let create = ["create".to_owned(), name, format!("--connection={}", args.connection)];
            (&args.server, create.into_iter().chain(scopes).collect())
        }
        TokenCommand::List(args) => {
            let all = args.all.then(|| "--all".to_owned());
            (&args.server, ["list".to_owned(), output(args.output)].into_iter().chain(all).collect())
        }
        TokenCommand::Rotate(args) => (&args.server, vec!["rotate".into(), args.id.to_string()]),
        TokenCommand::Revoke(args) => (&args.server, vec!["revoke".into(), args.id.to_string()]),
    }
}

fn decision_words(decision: &DecisionArgs) -> impl Iterator<Item = String> {
    let reason = decision.reason.as_ref().map(|reason| format!("--reason={reason}"));
    [decision.id.to_string()].into_iter().chain(reason)
}

fn run_words(args: &RunArgs) -> Result<Vec<String>> {
    let mut words = vec![output(args.output)];
    let mut list = String::new();
    for node in nodes_of(args)?.as_slice() {
        if list.len() + node.as_str().len() > LONGEST {
            words.push(format!("--nodes={}", std::mem::take(&mut list)));
        }
        if !list.is_empty() {
            list.push(',');
        }
        list.push_str(node.as_str());
    }
    words.push(format!("--nodes={list}"));
    for (set, flag) in [
        (args.noop, "--noop"),
        (args.no_noop, "--no-noop"),
        (args.debug, "--debug"),
        (args.trace, "--trace"),
        (args.evaltrace, "--evaltrace"),
        (args.needs_approval, "--needs-approval"),
        (args.preview, "--preview"),
        (args.not_by_requester, "--not-by-requester"),
    ] {
        words.extend(set.then(|| flag.to_owned()));
    }
    let numbers = [
        (args.parallelism, "parallelism"),
        (args.max_failures, "max-failures"),
        (args.canary, "canary"),
        (args.batch, "batch"),
    ];
    let numbers = numbers.iter().filter_map(|(number, name)| Some(format!("--{name}={}", (*number)?)));
    words.extend(numbers);
    words.extend(args.environment.as_ref().map(|name| format!("--environment={name}")));
    words.extend(args.description.as_ref().map(|text| format!("--description={text}")));
    words.extend(args.approve_within.map(|time| format!("--approve-within={}s", time.as_secs())));
    words.extend(args.deadline.map(|time| format!("--deadline={}s", time.as_secs())));
    if args.wait {
        words.push("--wait".into());
        words.push(format!("--timeout-after-missed-heartbeats={}", args.timeout_after_missed_heartbeats));
        words.extend(args.timeout.map(|time| format!("--timeout={}s", time.as_secs())));
    }
    Ok(words)
}

/// Carries it out; its exit code becomes ours.
pub(super) async fn run(global: &GlobalArgs, command: Vec<String>, report: &Report) -> Result<u8> {
    let context = Context::new(global, &Extra::default(), report)?;
    let (engine, observed) = context.observe().await?;
    let container = server(&observed, context.project())?;
    let request = ExecRequest { container, command, ..ExecRequest::default() };
    let (_, size) = watch::channel((24, 80));
    let terminal = Terminal { tty: false, stdin: false, size };
    let cancel = Cancel::listen();
    let print = &mut |is_stderr: bool, bytes: &[u8]| {
        if is_stderr {
            terminal::err_bytes(bytes);
        } else if let Err(error) = terminal::out_bytes(bytes) {
            return ControlFlow::Break(error);
        }
        ControlFlow::Continue(())
    };
    let ended = tokio::select! {
        ended = engine.exec_attached(&request, terminal, print) => ended?,
        () = cancel.requested() => {
            return Err(cancel.error().hint("a run that was asked for goes on; `pupperware relay runs list` shows it"));
        }
    };
    match ended {
        ControlFlow::Continue(code) => u8::try_from(code)
            .map_err(|_| Error::new(Kind::Failed, format!("the command ended with the exit code {code}"))),
        ControlFlow::Break(error) => Err(error),
    }
}

/// The server's container.
fn server(observed: &Observed, project: &str) -> Result<String> {
    let found = observed.services().find(|(_, c)| c.label(crate::desired::labels::SERVICE) == "relay");
    match found {
        Some((name, container)) if container.running() => Ok(name.clone()),
        Some(_) => Err(Error::failed("the platform's Relay server does not run")
            .hint(format!("start it with `pupperware --project {project} start`"))),
        None => Err(Error::usage(format!("no server is named, and the platform {project} has none"))
            .hint("name one with `--relay-url` and `--token-file`, or have one: `relay.enabled`, and `pupperware up`")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RelayArgs,
    }

    fn said(line: &str) -> Option<String> {
        let parsed = Line::try_parse_from(std::iter::once("x").chain(line.split(' '))).unwrap();
        words(&parsed.args).unwrap().map(|words| words.join(" "))
    }

    /// What the container's own command line makes of it is what was asked for here.
    #[test]
    fn a_command_arrives_as_it_was_meant() {
        let all = "run --nodes a,b --noop --debug --trace --evaltrace --environment dev --description why \
                   --parallelism 2 --max-failures 3 --canary 1 --batch 4 --deadline 1h --wait --timeout 5m -o json \
                   --needs-approval --not-by-requester --approve-within 2h";
        let there = said(all).unwrap();
        insta::assert_snapshot!(there, @"pupperware relay run --output=json --nodes=a,b --noop --debug --trace --evaltrace --needs-approval --not-by-requester --parallelism=2 --max-failures=3 --canary=1 --batch=4 --environment=dev --description=why --approve-within=7200s --deadline=3600s --wait --timeout-after-missed-heartbeats=3 --timeout=300s");
        assert_eq!(said(there.strip_prefix("pupperware relay ").unwrap()), Some(there));
        for line in [
            "run --output=table --nodes=a --needs-approval --preview",
            "runs list --output=table --all",
            "runs show 8e659097-254a-4b27-bb93-88efea9a9f0e --output=json",
            "runs changes 8e659097-254a-4b27-bb93-88efea9a9f0e --output=table",
            "runs cancel 8e659097-254a-4b27-bb93-88efea9a9f0e",
            "approve 8e659097-254a-4b27-bb93-88efea9a9f0e --reason=CHG-4711",
            "deny 8e659097-254a-4b27-bb93-88efea9a9f0e",
        ] {
            assert_eq!(said(line), Some(format!("pupperware relay {line}")));
        }
        for line in [
            "token create ci --connection=default --scope=run --scope=approve",
            "token list --output=json --all",
            "token rotate 1f2e3d4c",
            "token revoke 1f2e3d4c",
            "link kim --lasts=3600s --connection=default --run=8e659097-254a-4b27-bb93-88efea9a9f0e",
        ] {
            assert_eq!(said(line), Some(format!("pupperware relay {line} {STATE}")));
        }
        assert_eq!(said(&format!("token list {STATE}")), None);
        assert_eq!(said("run --nodes a --relay-url https://relay --token-file /t"), None);
        assert_eq!(said("bridge"), None);
    }

    #[test]
    fn ten_thousand_nodes_fit_into_words_that_the_kernel_takes() {
        let nodes: Vec<String> = (0..10_000).map(|n| format!("node{n:05}.dc1.example.com")).collect();
        let words = said(&format!("run --nodes {}", nodes.join(","))).unwrap();
        let lists: Vec<&str> = words.split(' ').filter_map(|word| word.strip_prefix("--nodes=")).collect();
        assert!(lists.len() > 1 && lists.iter().all(|list| list.len() <= LONGEST + 300 && !list.ends_with(',')));
        assert_eq!(lists.join(","), nodes.join(","));
    }
}
