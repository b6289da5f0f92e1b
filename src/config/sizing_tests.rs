//! Tests of the sizes: known machines, and the promises for all machines.

use proptest::prelude::*;

use super::*;
use crate::config::types::{Auto, Cpus, Setting};

fn on(cpus: u32, mib: u64) -> Result<Sizing> {
    size(&Config::default(), Machine { cpus, memory_bytes: mib * MIB })
}

fn table(sizing: &Sizing) -> String {
    let Sizing { puppetserver: s, puppetdb: d, postgres: p, warnings, .. } = sizing;
    let mut lines = vec![format!("instances {}: {}", s.jruby_instances.value, s.jruby_instances.reason)];
    for (name, figure) in [
        ("server heap", &s.heap),
        ("server memory", &s.memory),
        ("puppetdb heap", &d.heap),
        ("puppetdb memory", &d.memory),
        ("buffers", &p.shared_buffers),
        ("postgres memory", &p.memory),
    ] {
        lines.push(format!("{name} {}: {}", show_size(figure.value), figure.reason));
    }
    lines.extend(warnings.iter().map(|w| format!("warning: {w}")));
    lines.join("\n")
}

fn total(s: &Sizing) -> u64 {
    s.puppetserver.memory.value + s.puppetdb.memory.value + s.postgres.memory.value
}

#[test]
fn a_laptop() {
    insta::assert_snapshot!(table(&on(4, 8192).expect("sized")), @"
    instances 3: 3 of 4 cores; one is left for the other services
    server heap 2g: 512m, and 512m for each of 3 JRuby instances
    server memory 2648m: the heap and 600m beside it
    puppetdb heap 512m: good for some thousand nodes
    puppetdb memory 862m: the heap and 350m beside it
    buffers 248m: a quarter of the memory limit
    postgres memory 992m: a part of what the Puppet services leave
    ");
}

#[test]
fn a_small_machine_gets_the_least_and_a_warning() {
    insta::assert_snapshot!(table(&on(2, 1968).expect("sized")), @"
    instances 1: 1 of 2 cores; one is left for the other services
    server heap 512m: what is left of 1112m (1g would be comfortable)
    server memory 1112m: the heap and 600m beside it
    puppetdb heap 256m: what the machine leaves
    puppetdb memory 606m: the heap and 350m beside it
    buffers 48m: the least that works well
    postgres memory 176m: a part of what the Puppet services leave
    warning: Puppet Server gets a heap of only 512m for 1 JRuby instance, where 1g is comfortable
    warning: PuppetDB gets a heap of only 256m: the machine has 1968m, and 4g is comfortable
    ");
}

#[test]
fn less_than_that_is_refused_with_the_numbers() {
    let error = on(2, 1024).expect_err("too small");
    insta::assert_snapshot!(error.what, @"the machine is too small: the platform needs 1878m of memory, there is 1g");
}

#[test]
fn what_the_user_set_is_kept() {
    let mut config = Config::default();
    config.puppetserver.jruby_instances = Auto::parse("3").expect("a count");
    config.puppetserver.memory = Auto::parse("1500m").expect("a size");
    config.puppetdb.heap = Auto::parse("300m").expect("a size");
    config.postgres.shared_buffers = Auto::parse("64m").expect("a size");
    let sizing = size(&config, Machine { cpus: 2, memory_bytes: 4096 * MIB }).expect("sized");
    insta::assert_snapshot!(table(&sizing), @"
    instances 3: set in pupperware.yaml
    server heap 896m: what is left of 1500m (2g would be comfortable)
    server memory 1500m: set in pupperware.yaml
    puppetdb heap 300m: set in pupperware.yaml
    puppetdb memory 650m: the heap and 350m beside it
    buffers 64m: set in pupperware.yaml
    postgres memory 176m: the shared buffers and 112m beside it
    warning: Puppet Server gets a heap of only 896m for 3 JRuby instances, where 2g is comfortable
    ");
}

#[test]
fn a_share_of_processors_counts() {
    let mut config = Config::default();
    config.puppetserver.cpus = Cpus::parse("1.5").ok();
    let sizing = size(&config, Machine { cpus: 16, memory_bytes: 64 << 30 }).expect("sized");
    assert_eq!(sizing.puppetserver.jruby_instances.value, 1);
}

fn values(s: &Sizing) -> [u64; 7] {
    [
        u64::from(s.puppetserver.jruby_instances.value),
        s.puppetserver.heap.value,
        s.puppetserver.memory.value,
        s.puppetdb.heap.value,
        s.puppetdb.memory.value,
        s.postgres.shared_buffers.value,
        s.postgres.memory.value,
    ]
}

fn maybe<T: Setting + Clone + std::fmt::Debug>(mib: std::ops::Range<u64>) -> impl Strategy<Value = Auto<T>> {
    prop_oneof![
        2 => Just(Auto::Auto),
        1 => mib.prop_map(|m| Auto::Set(T::parse(&format!("{m}m")).expect("in range"))),
    ]
}

proptest! {
    #[test]
    fn more_memory_makes_nothing_smaller(cpus in 1u32..64, small in 1878u64..70_000, more in 0u64..70_000) {
        let (a, b) = (on(cpus, small).expect("sized"), on(cpus, small + more).expect("sized"));
        for (a, b) in values(&a).into_iter().zip(values(&b)) {
            prop_assert!(a <= b);
        }
    }

    #[test]
    fn more_processors_make_the_server_no_smaller(cpus in 1u32..64, more in 0u32..64, mib in 1878u64..70_000) {
        let (a, b) = (on(cpus, mib).expect("sized"), on(cpus + more, mib).expect("sized"));
        for (a, b) in values(&a).into_iter().zip(values(&b)).take(3) {
            prop_assert!(a <= b);
        }
    }

    #[test]
    fn memory_is_never_exceeded(
        cpus in 0u32..64,
        mib in 0u64..70_000,
        server_heap in maybe(256..8192),
        server_memory in maybe(128..8192),
        db_heap in maybe(256..4096),
        db_memory in maybe(128..4096),
        buffers in maybe(16..2048),
        pg_memory in maybe(128..4096),
    ) {
        let mut config = Config::default();
        config.puppetserver.heap = server_heap;
        config.puppetserver.memory = server_memory;
        config.puppetdb.heap = db_heap;
        config.puppetdb.memory = db_memory;
        config.postgres.shared_buffers = buffers;
        config.postgres.memory = pg_memory;
        if let Ok(sizing) = size(&config, Machine { cpus, memory_bytes: mib * MIB }) {
            prop_assert!(total(&sizing) <= mib * MIB, "{:?}", sizing);
            if let Some(heap) = server_heap.set() {
                prop_assert_eq!(sizing.puppetserver.heap.value, heap.bytes());
            }
            if let Some(limit) = server_memory.set() {
                prop_assert_eq!(sizing.puppetserver.memory.value, limit.bytes());
                prop_assert_eq!(sizing.puppetserver.memory.reason.as_str(), "set in pupperware.yaml");
            }
            if let Some(limit) = pg_memory.set() {
                prop_assert_eq!(sizing.postgres.memory.value, limit.bytes());
            }
        }
    }
}
