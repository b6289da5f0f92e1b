//! The bridge by way of Bolt. The tool itself is not here: a script says what Bolt says, line by line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use pupperware::relay::api::NodeStatus;

use crate::process::{Site, text};
use crate::server::FakeRelay;

/// A `bolt` that keeps its arguments and inventory, and does this.
fn site(script: &str) -> Site {
    let site = Site::new("ends 0");
    let bolt = site.path("bolt");
    let text = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > {0}/arguments\nwhile [ \"$1\" != --inventoryfile ]; do shift; done\n\
         cat \"$2\" >> {0}/inventories\necho >> {0}/inventories\necho '{{ \"items\": ['\n\
         says() {{ printf '{{\"target\":\"%s\",\"action\":\"command\",\"object\":\"x\",\"status\":\"failure\",\"value\":%s}}\\n' \"$1\" \"$2\"; }}\n\
         {script}\n",
        bolt.parent().unwrap().display()
    );
    fs::write(&bolt, text).unwrap();
    fs::set_permissions(&bolt, fs::Permissions::from_mode(0o755)).unwrap();
    let more = format!("backend: bolt\nbolt_path: '{}'\nparallelism: 2\n", bolt.display());
    site.with(&more)
}

#[test]
fn each_node_is_told_of_as_bolt_tells_it() {
    let site = site(
        r#"grep -q web03 "$2" || { says web01 '{"stdout":"","stderr":"","merged_output":"","exit_code":2}'; echo ,; }
        grep -q web03 "$2" && says web03 '{"merged_output":"Error: no\n","exit_code":6}'
        grep -q web02 "$2" && says web02 '{"_error":{"kind":"puppetlabs.tasks/connect-error","issue_code":"CONNECT_ERROR","msg":"no route"}}'
        echo '],'; echo '"target_count": 2, "elapsed_time": 1 }'; exit 1"#,
    );
    let relay = FakeRelay::start(false);
    let id = relay.book.ask(&["web01", "web02", "web03"], |_| {});
    let output = site.once(&relay.url());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let status = |node: &str| relay.book.node(&id, node).unwrap().status;
    assert_eq!(
        [status("web01"), status("web02"), status("web03")],
        [NodeStatus::Changed, NodeStatus::Unreachable, NodeStatus::Failed]
    );
    assert!(site.started().is_empty(), "ssh is not called beside Bolt");
    let inventories = fs::read_to_string(site.path("inventories")).unwrap();
    assert_eq!(inventories.lines().count(), 2, "two at once, then the third: {inventories}");
    let arguments = fs::read_to_string(site.path("arguments")).unwrap();
    assert!(!arguments.contains("web0"), "nodes are in the inventory only: {arguments}");
    let left: Vec<_> = fs::read_dir(site.path("state")).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with("bolt-")), "{left:?}");
}

#[test]
fn what_bolt_does_not_tell_of_is_failed_with_its_reason() {
    let site = site(
        r#"echo '],'; echo '"_error": '; echo '{"kind":"bolt/x","msg":"no such thing","details":{}}'; echo '}'; exit 1"#,
    );
    let relay = FakeRelay::start(false);
    let id = relay.book.ask(&["web01"], |_| {});
    assert!(site.once(&relay.url()).status.success());
    let node = relay.book.node(&id, "web01").unwrap();
    assert_eq!(node.status, NodeStatus::Failed);
    assert!(node.message.unwrap().as_str().contains("no such thing"));
}
