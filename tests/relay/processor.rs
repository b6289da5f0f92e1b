//! Our report processor for Puppet, as Ruby runs it: alone, and with the real server. Puppet itself is a double; the
//! engine's scenario has it run in a real one.

use std::path::{Path, PathBuf};
use std::process::Output;

use hyper::Method;
use pupperware::relay::server::book::Rules;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::served::{Served, token};

/// Ruby, where there is one: `scripts/prerequisites test` installs it.
fn ruby() -> Option<Command> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join("ruby")).find(|file| file.is_file());
    if found.is_none() {
        let _ = std::io::Write::write_all(&mut std::io::stderr(), b"skipped: there is no Ruby here\n");
    }
    let mut command = Command::new(found?);
    command.kill_on_drop(true);
    Some(command)
}

fn integration() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("integrations/puppet")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Slow, absent, refusing and full: what `relay_test.rb` names.
#[tokio::test]
async fn its_own_tests_pass() {
    let Some(mut ruby) = ruby() else { return };
    let output = ruby.arg("-w").arg(integration().join("test/relay_test.rb")).output().await.unwrap();
    assert!(output.status.success() && said(&output).contains(" 0 failures, 0 errors"), "{}", said(&output));
}

/// A report becomes an event, once, however often it is sent; a large one becomes several.
#[tokio::test]
async fn a_report_is_an_event_of_the_real_server() {
    let Some(mut ruby) = ruby() else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let served = Served::start(&state, Rules::default()).await;
    let trigger = token(&state, "puppetserver", &["trigger"]).await;
    std::fs::write(folder.path().join("token"), trigger).unwrap();
    let settings = json!({"url": format!("http://{}", served.address), "token_file": folder.path().join("token")});
    std::fs::write(folder.path().join("relay.yaml"), settings.to_string()).unwrap();
    let program = r"
        here = ARGV[0]
        require 'puppet/reports/relay'
        { confdir: here, config: '/nowhere', vardir: here }.each { |name, value| Puppet[name] = value }
        send = lambda do |transaction, resources|
          Report.new(transaction, resources).extend(Puppet::Reports.report(:relay)).process
        end
        2.times { send.call('t1', [Report.resource('File', '/etc/motd', corrective_change: true)]) }
        send.call('big', (1..3000).map { |n| Report.resource('File', %(/srv/#{n}/#{'x' * 200})) })
        sleep 0.1 until Dir.children(File.join(here, 'relay-spool')).empty? && Dir.exist?(File.join(here, 'sent'))
    ";
    let library = integration();
    let child = ruby
        .arg("-I")
        .arg(library.join("test/stub"))
        .arg("-I")
        .arg(library.join("lib"))
        .args(["-e", program])
        .arg(folder.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let reader = token(&state, "reader", &["run"]).await;
    let events = loop {
        let list = served.call(Method::GET, "/api/events?after=0", &reader, None).await.body;
        let events = list["events"].as_array().unwrap().clone();
        let parts = events.iter().find_map(|event| event["data"]["parts"].as_u64());
        if parts.is_some_and(|parts| events.len() as u64 == parts + 1) {
            break events;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // The second of the two must have been sent, too, before they can be said to count once.
    std::fs::create_dir(folder.path().join("sent")).unwrap();
    let output = child.wait_with_output().await.unwrap();
    assert!(output.status.success(), "{}", said(&output));
    let list = served.call(Method::GET, "/api/events?after=0", &reader, None).await.body;
    assert_eq!(list["events"].as_array().unwrap().len(), events.len(), "the same report counts once");
    let first = events.iter().find(|event| event["key"] == "t1").unwrap();
    assert_eq!(first["data"]["resource_statuses"]["File[/etc/motd]"]["corrective_change"], json!(true));
    assert_eq!(first["data"]["host"], "web01.example.com");
    let large = events.iter().filter(|event| event["data"]["transaction_uuid"] == "big");
    let told = large.map(|event| event["data"]["resource_statuses"].as_object().map_or(0, serde_json::Map::len));
    assert_eq!(told.sum::<usize>(), 3000);
    assert!(events.iter().all(|event| event["data"]["job_id"] == Value::Null));
    served.stop().await;
}
