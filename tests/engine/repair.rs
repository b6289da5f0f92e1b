//! What is broken is mended by `up`, and nothing else is touched; what cannot be mended is refused with an explanation.

use crate::platform::{Platform, docker, turn};

/// Intent: a service that was killed or removed, or lost its volume, comes back from the same CA; changed settings
/// recreate only what they touch; changed names re-issue the server's certificate and keep the CA.
#[test]
#[ignore = "takes 5 minutes: `make engine-all` runs it"]
fn up_mends_what_is_broken_and_only_that() {
    let Some(_turn) = turn() else { return };
    let platform = Platform::new("");
    platform.up();
    let ca = platform.ca();

    // Killed by the engine: brought back, the others untouched.
    let others = ["postgres", "puppetserver"].map(|s| platform.touched(s));
    docker(&["kill", &platform.container("puppetdb")]);
    assert_eq!(platform.status()["proved"], false);
    platform.up();
    assert_eq!(["postgres", "puppetserver"].map(|s| platform.touched(s)), others);

    // PuppetDB's own volumes are lost: made again, with a certificate of the same CA.
    docker(&["rm", "--force", &platform.container("puppetdb")]);
    docker(&["volume", "rm", &platform.volume("puppetdb-config"), &platform.volume("puppetdb-data")]);
    platform.up();
    assert_eq!(platform.ca(), ca);

    // A changed setting touches its service only.
    let others = ["postgres", "puppetdb", "agent"].map(|s| platform.touched(s));
    let server = platform.touched("puppetserver");
    platform.configure("heap: 768m", "");
    platform.up();
    assert_eq!(["postgres", "puppetdb", "agent"].map(|s| platform.touched(s)), others);
    assert_ne!(platform.touched("puppetserver"), server);
    assert!(platform.inside("puppetserver", &["cat", "/etc/pupperware/jvm.options"]).contains("-Xmx768m"));

    // A changed name is in a new certificate of the same CA.
    let certificate = platform.server_certificate();
    platform.configure("heap: 768m\ndns_alt_names: [puppet.example.com]", "");
    platform.up();
    assert_eq!(platform.ca(), ca);
    assert_ne!(platform.server_certificate(), certificate);
    assert!(platform.server_certificate().contains("DNS:puppet.example.com"));
    assert_eq!(["postgres", "puppetdb"].map(|s| platform.touched(s)), [others[0].clone(), others[1].clone()]);

    // The CA is lost while its certificates live: refused, and nothing is changed.
    platform.ok(&["down"]);
    docker(&["volume", "rm", &platform.volume("ca")]);
    platform.run(&["up"]).expect(6).says("is missing, and certificates that it signed still exist");
    assert_eq!(docker(&["volume", "ls", "--quiet", "--filter", &format!("name={}", platform.volume("ca"))]), "");
}
