//! The build contexts of `images/<component>/`, embedded, so that the program can build without its source tree.
//!
//! `build.rs` lists the files; a new one in those folders is embedded without being named anywhere.

use crate::engine::FileEntry;
use crate::error::{Error, Result};

/// Component -> files (path in the context, content).
type Contexts = &'static [(&'static str, &'static [(&'static str, &'static str)])];

const CONTEXTS: Contexts = include!(concat!(env!("OUT_DIR"), "/image_contexts.rs"));

/// The files of a component's context. Scripts are executable.
///
/// # Errors
/// No such component.
pub fn files(component: &str) -> Result<Vec<FileEntry>> {
    let (_, files) = CONTEXTS
        .iter()
        .find(|(name, _)| *name == component)
        .ok_or_else(|| Error::failed(format!("there is no component {component}")))?;
    Ok(files
        .iter()
        .map(|(path, content)| FileEntry {
            path: (*path).into(),
            content: (*content).into(),
            owner: (0, 0),
            mode: if content.starts_with("#!") { 0o755 } else { 0o644 },
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bare path, as Puppet's packages have it, costs seconds of every start: docs/concepts/slow-seed.md.
    #[test]
    fn the_jvms_take_their_seed_from_a_url() {
        for component in ["puppetserver", "puppetdb"] {
            let files = files(component).unwrap();
            let options = &files.iter().find(|f| f.path == "java.options").unwrap().content;
            let source = options.lines().find_map(|l| l.strip_prefix("-Djava.security.egd=")).unwrap();
            assert_eq!(source, "file:/dev/urandom", "{component}");
        }
    }

    /// By default a JVM asks a service's old address for 30 s after that has started again, and agents get no catalog.
    #[test]
    fn the_jvms_follow_a_service_to_its_new_address() {
        for component in ["puppetserver", "puppetdb"] {
            let files = files(component).unwrap();
            let options = &files.iter().find(|f| f.path == "java.options").unwrap().content;
            for (option, wanted) in [("-Dsun.net.inetaddr.ttl=", "1"), ("-Dsun.net.inetaddr.negative.ttl=", "0")] {
                assert_eq!(options.lines().find_map(|l| l.strip_prefix(option)), Some(wanted), "{component}: {option}");
            }
        }
    }

    /// A pattern that the JVM cannot read ends every start of Puppet Server. And what is left out of the optimising
    /// compiler's work must not be what compiles a catalog: such code would not be inlined any more.
    #[test]
    fn the_optimising_compiler_is_told_what_to_leave_alone() {
        let files = files("puppetserver").unwrap();
        let file = |path: &str| &files.iter().find(|f| f.path == path).unwrap().content;
        let named = "-XX:CompilerDirectivesFile=/usr/share/pupperware/compiler.json";
        assert!(file("java.options").lines().any(|l| l == named));

        let json: String = file("compiler.json").lines().filter(|l| !l.trim_start().starts_with("//")).collect();
        let patterns: Vec<&str> = json.split('"').skip(1).step_by(2).collect();
        assert!(patterns.len() > 20, "{patterns:?}");
        for pattern in patterns {
            let class = pattern.strip_suffix(".*").unwrap_or_else(|| panic!("{pattern}: all methods of classes"));
            let prefix = class.strip_suffix('*').unwrap_or(class);
            assert!(!prefix.contains(['*', '.']), "{pattern}: a star only at the end, slashes between packages");
            for runs in [
                "org/jruby/ir/interpreter/",
                "org/jruby/ir/instructions/",
                "org/jruby/ir/targets/indy/",
                "org/jruby/runtime/callsite/",
                "org/jruby/RubyString",
                "java/lang/invoke/",
                "clojure/lang/RT",
            ] {
                assert!(!runs.starts_with(prefix), "{pattern} is about {runs}");
            }
        }
    }

    /// A process for every look took a tenth of a core from each service that was waited for.
    #[test]
    fn waiting_starts_no_processes() {
        for component in crate::images::COMPONENTS {
            for script in files(component).unwrap().iter().filter(|f| f.path.starts_with("pupperware-ready")) {
                let waits = script.content.contains("--wait");
                assert_eq!(waits, script.content.contains("\nready "), "{component}: the base's own way of waiting");
                assert!(!script.content.contains("sleep"), "{component}");
            }
        }
    }

    #[test]
    fn every_component_has_a_dockerfile_and_its_scripts_can_run() {
        for component in crate::images::COMPONENTS {
            let files = files(component).unwrap();
            assert!(files.iter().any(|f| f.path == "Dockerfile"), "{component}");
            let mut scripts = files.iter().filter(|f| f.content.starts_with("#!"));
            assert!(scripts.all(|f| f.mode == 0o755), "{component}");
        }
    }
}
