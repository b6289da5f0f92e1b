//! `upgrade`: to another release, on after a kill, and back.

use std::sync::LazyLock;

use insta::assert_snapshot;
use proptest::prelude::*;
use proptest::sample::Index;
use pupperware::desired::{DATABASE, Desired};
use pupperware::engine::found::ContainerState;
use pupperware::observed::record::Phase;
use pupperware::plan::backup::Order;
use pupperware::plan::{Plan, Upgrade, backup, forget, leave, losses, reconcile, restart, rollback, start, upgrade};
use pupperware::release::{Manifest, Release};

use crate::engine::Engine;
use crate::properties::{carry_out, carry_out_watched};
use crate::world::{failure, platform_of, text, without_keys};

const NEXT: &str = "postgres-data-17";
static WORLDS: LazyLock<[World; 6]> = LazyLock::new(World::all);
const COMPILERS: &str = "compilers: { replicas: 2 }";

/// The same platform of two releases.
struct World {
    from: Desired,
    to: Desired,
}

impl World {
    /// From the one release line to the other.
    fn major(yaml: &str) -> Self {
        let manifest = Manifest::embedded().unwrap();
        let of = |channel: &str, database| platform_of(yaml, manifest.in_channel(channel).unwrap(), database);
        World { from: of("lts", DATABASE), to: of("stable", NEXT) }
    }

    /// To a later release of the same line, with other packages of Puppet Server and the agent.
    fn minor() -> Self {
        World::later("", &["puppetserver", "agent"])
    }

    /// To a later release of the same line, with other packages in these components.
    fn later(yaml: &str, components: &[&str]) -> Self {
        let manifest = Manifest::embedded().unwrap();
        let release = manifest.in_channel("stable").unwrap();
        let mut later: Release = release.clone();
        later.version.minor += 1;
        for component in components {
            let arguments = &mut later.components.get_mut(*component).unwrap().arguments;
            arguments.insert("SNAPSHOT".into(), "later".into());
        }
        World { from: platform_of(yaml, release, DATABASE), to: platform_of(yaml, &later, DATABASE) }
    }

    /// Upgrades of every kind: with and without compilers, and within a line with more or fewer services that change.
    fn all() -> [Self; 6] {
        [
            World::major(""),
            World::minor(),
            World::major(COMPILERS),
            World::later(COMPILERS, &["puppetserver", "agent"]),
            World::later(COMPILERS, &["base"]),
            World::later("compilers: { replicas: 1 }", &["puppetdb", "puppetserver"]),
        ]
    }

    /// An engine that runs the old release, proved, with some reports.
    fn running(&self) -> Engine {
        let mut engine = Engine::with_images(&self.from).and_images(&self.to);
        engine.up(&self.from);
        (0..9).for_each(|_| engine.agent_reports());
        engine
    }

    fn upgrade(&self, engine: &Engine) -> Result<Plan, pupperware::error::Error> {
        let backup = Order { file: "/srv/before.pupperware".into(), ..Order::default() };
        let what = Upgrade {
            from: &self.from,
            to: &self.to,
            backup,
            channel: None,
            kept_seconds: 7 * 86_400,
            ignore_code: false,
            canary: "pupperware-canary-1".into(),
            before: None,
        };
        upgrade(&what, &engine.observed)
    }

    fn planned(&self, engine: &Engine) -> Plan {
        let plan = self.upgrade(engine).expect("nothing is refused");
        self.look_at(&plan);
        plan
    }

    fn back(&self, engine: &Engine) -> Plan {
        let plan = rollback(&self.from, &self.to, &engine.observed).expect("there is something to undo");
        self.look_at(&plan);
        plan
    }

    /// What holds for each of these plans.
    fn look_at(&self, plan: &Plan) {
        for step in &plan.steps {
            assert!(step.needs.iter().all(|need| *need < step.id), "{step:?}");
        }
        assert!(losses(plan).is_empty(), "no upgrade loses data");
        let old = format!("volume {}", self.from.database);
        assert!(!plan.steps.iter().any(|s| s.action.kind() == "remove_volume" && s.action.resource() == old));
        let last = plan.steps.last().expect("there is something to do");
        assert!(["commit_upgrade", "finish_rollback"].contains(&last.action.kind()), "{last:?}");
        // Whatever the order, it is the last: nothing is on record before everything was seen.
        for step in &plan.steps[..last.id] {
            assert!(after(plan, last.id, step.id), "the record does not wait for {step:?}");
        }
    }

    fn text(&self, plan: &Plan) -> String {
        without_keys(&self.from, text(&self.to, plan))
    }

    fn reports(engine: &Engine, key: &str) -> Option<u64> {
        engine.database(key).map(|d| d.reports)
    }

    /// The new release, with everything of the old one. The proof's report has come since.
    fn is_upgraded(&self, engine: &Engine, reports: u64) {
        engine.check(&self.to);
        let record = engine.observed.record.as_ref().unwrap();
        assert_eq!((record.release.to_string(), &record.upgrading), (self.to.release.clone(), &None));
        assert!(World::reports(engine, &self.to.database).unwrap() > reports);
        if self.from.database != self.to.database {
            let old = engine.database(&self.from.database).unwrap();
            assert_eq!((old.reports, old.schema), (reports, 7), "nobody wrote the old one");
        }
        assert!(reconcile(&self.to, &engine.observed).unwrap().is_empty(), "and nothing is left to do");
    }

    /// What was before, to the last report.
    fn is_back(&self, engine: &Engine, reports: u64) {
        engine.check(&self.from);
        let record = engine.observed.record.as_ref().unwrap();
        assert_eq!((record.release.to_string(), &record.upgrading), (self.from.release.clone(), &None));
        assert!(World::reports(engine, &self.from.database).unwrap() > reports);
        if self.from.database != self.to.database {
            assert_eq!(World::reports(engine, &self.to.database), None, "the copy is gone");
        }
        assert!(reconcile(&self.from, &engine.observed).unwrap().is_empty(), "and nothing is left to do");
    }
}

/// True when the later step cannot begin before the earlier one is done.
fn after(plan: &Plan, later: usize, earlier: usize) -> bool {
    let mut reached = vec![false; plan.steps.len()];
    reached[later] = true;
    for id in (0..=later).rev().filter(|id| *id >= earlier) {
        if reached[id] {
            plan.steps[id].needs.iter().for_each(|need| reached[*need] = true);
        }
    }
    reached[earlier]
}

fn at(plan: &Plan, kind: &str, resource: &str) -> usize {
    let found = plan.steps.iter().position(|s| s.action.kind() == kind && s.action.resource().contains(resource));
    found.unwrap_or_else(|| panic!("no {kind} of {resource}"))
}

/// Within a line, compilers serve throughout: requests wait while PuppetDB restarts, the primary is replaced behind the
/// compilers' backs, and they one after the other.
#[test]
fn within_a_line_compilers_serve_throughout() {
    let world = World::later(COMPILERS, &["puppetdb", "puppetserver"]);
    let mut engine = world.running();
    let plan = world.planned(&engine);
    assert_snapshot!(world.text(&plan), @"
     0  compile and compare catalogs of all nodes  (the new release must compile what the old one does)
     1  write file /srv/before.pupperware  (so that all of it can be put back)  after 0
     2  remember the upgrade to 8.1.0  (so that it is finished, or undone, whatever happens)  after 1
     3  count database and certificate authority  (to be compared with afterwards)  after 2
     4  remember the switch to 8.1.0  (it has all data)  after 3
     5  wait for container demo-balancer-1  (not seen ready since it started)  after 4
     6  wait for container demo-postgres-1  (not seen ready since it started)  after 4
     7  let requests wait at container demo-balancer-1  (nothing is compiled without PuppetDB)  after 4,5
     8  stop container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:8-KEY)  after 4,7
     9  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:8-KEY)  after 4,8
    10  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:8-KEY)  after 4,9
    11  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:8-KEY)  after 4,9,10
    12  start container demo-puppetdb-1  (it is new)  after 4,6,11
    13  wait for container demo-puppetdb-1  (it starts)  after 4,12
    14  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (PuppetDB answers again)  after 4,6,7,13
    15  stop container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,5,14
    16  remove container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,15
    17  write configuration into volume puppetserver-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,16
    18  create container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,16,17
    19  count again database in demo-postgres-1  (it is all there under the new release)  after 4,6,13
    20  start container demo-puppetserver-1  (it is new)  after 4,18,19
    21  wait for container demo-puppetserver-1  (it starts)  after 4,20
    22  wait for container demo-agent-1  (not seen ready since it started)  after 4
    23  let finish compiler demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,5,14,21
    24  stop container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,23
    25  remove container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,24
    26  write configuration into volume compiler-1-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,25
    27  give keys and certificates to compilers demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,21,24,25,26
    28  create container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,25,27
    29  start container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,28
    30  wait for container demo-compiler-1  (it starts)  after 4,29
    31  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (those that serve stand in)  after 4,5,14,21,30
    32  let finish compiler demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,5,14,21,23,31
    33  stop container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,32
    34  remove container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,33
    35  write configuration into volume compiler-2-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,34
    36  give keys and certificates to compilers demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,21,27,33,34,35
    37  create container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,34,36
    38  start container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 4,37
    39  wait for container demo-compiler-2  (it starts)  after 4,38
    40  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 4,5,14,23,30,31,32,39
    41  look for everything of certificate authority  (every certificate and request is kept)  after 4,5,6,13,21,22,30,39
    42  apply a catalog with agent demo-agent-1  (release 8.1.0 is not proved as it runs now)  after 4,5,6,9,13,14,16,19,21,22,25,30,31,34,39,40,41
    43  make the canary certificate pupperware-canary-1  (the CA must be able to sign)  after 5,6,13,21,22,30,39,41
    44  revoke certificate pupperware-canary-1  (and to revoke)  after 43
    45  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 44
    46  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 44
    47  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 44
    48  give the revocation list to container demo-balancer-1  (revocations are worth what is known of them)  after 44
    49  give the revocation list to container demo-compiler-1  (revocations are worth what is known of them)  after 44
    50  give the revocation list to container demo-compiler-2  (revocations are worth what is known of them)  after 44
    51  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 45,46,47,48,49,50
    52  see the canary refused by container demo-compiler-1  (it has the new list)  after 45,46,47,48,49,50
    53  see the canary refused by container demo-compiler-2  (it has the new list)  after 45,46,47,48,49,50
    54  remove certificate pupperware-canary-1  (it has served)  after 51,52,53
    55  remember the release 8.1.0  (it is proved)  after 4,42,54
    ");
    engine.carry_out(&plan);
    engine.check(&world.to);
    assert!(reconcile(&world.to, &engine.observed).unwrap().is_empty());
}

/// Between lines, no compiler can go on: they leave, the primary answers until it stops, too, and all come back in the end.
#[test]
fn between_lines_compilers_stop_with_the_primary() {
    let world = World::major(COMPILERS);
    let mut engine = world.running();
    let reports = World::reports(&engine, DATABASE).unwrap();
    let plan = world.planned(&engine);
    assert_snapshot!(world.text(&plan), @"
     0  compile and compare catalogs of all nodes  (the new release must compile what the old one does)
     1  write file /srv/before.pupperware  (so that all of it can be put back)  after 0
     2  remember the upgrade to 8.0.0  (so that it is finished, or undone, whatever happens)  after 1
     3  let finish compiler demo-compiler-1  (nobody may write while the data moves)  after 2
     4  stop container demo-compiler-1  (nobody may write while the data moves)  after 3
     5  let finish compiler demo-compiler-2  (nobody may write while the data moves)  after 2,3
     6  stop container demo-compiler-2  (nobody may write while the data moves)  after 5
     7  stop container demo-puppetserver-1  (nobody may write while the data moves)  after 2,4,6
     8  wait for the queue of container demo-puppetdb-1  (what it has received belongs to the data)  after 2,4,6,7
     9  stop container demo-puppetdb-1  (nobody may write while the data moves)  after 8
    10  count database and certificate authority  (to be compared with afterwards)  after 2,9
    11  create volume postgres-data-17  (PostgreSQL of the new release has files of its own)  after 10
    12  create container demo-postgres-next  (it takes the copy)  after 11
    13  start container demo-postgres-next  (it takes the copy)  after 12
    14  wait for container demo-postgres-next  (it starts)  after 13
    15  copy database puppetdb from demo-postgres-1 into demo-postgres-next  (the old volume is kept as it is)  after 14
    16  count again database in demo-postgres-next  (everything arrived)  after 15
    17  stop container demo-postgres-next  (it has the copy)  after 16
    18  remove container demo-postgres-next  (it has the copy)  after 17
    19  remember the switch to 8.0.0  (it has all data)  after 10,18
    20  stop container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 19
    21  remove container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 19,20
    22  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 19
    23  remove container demo-puppetserver-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19
    24  stop container demo-balancer-1  (image changes from pupperware/balancer:7-KEY to pupperware/balancer:8-KEY)  after 19
    25  remove container demo-balancer-1  (image changes from pupperware/balancer:7-KEY to pupperware/balancer:8-KEY)  after 19,24
    26  remove container demo-compiler-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,24
    27  remove container demo-compiler-2  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,24
    28  stop container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 19
    29  remove container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 19,28
    30  write configuration into volume postgres-config  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 19,21
    31  create container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 19,21,30
    32  start container demo-postgres-1  (it is new)  after 19,31
    33  wait for container demo-postgres-1  (it starts)  after 19,32
    34  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 19,22
    35  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 19,22,34
    36  start container demo-puppetdb-1  (it is new)  after 19,33,35
    37  wait for container demo-puppetdb-1  (it starts)  after 19,36
    38  write configuration into volume puppetserver-config  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,23
    39  create container demo-puppetserver-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,23,25,38
    40  count again database in demo-postgres-1  (it is all there under the new release)  after 19,33,37
    41  start container demo-puppetserver-1  (it is new)  after 19,39,40
    42  wait for container demo-puppetserver-1  (it starts)  after 19,41
    43  write configuration into volume balancer-config  (image changes from pupperware/balancer:7-KEY to pupperware/balancer:8-KEY)  after 19,25
    44  create container demo-balancer-1  (image changes from pupperware/balancer:7-KEY to pupperware/balancer:8-KEY)  after 19,23,25,43
    45  start container demo-balancer-1  (it is new)  after 19,44
    46  wait for container demo-balancer-1  (it starts)  after 19,45
    47  create container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 19,29
    48  start container demo-agent-1  (it is new)  after 19,47
    49  wait for container demo-agent-1  (it starts)  after 19,48
    50  write configuration into volume compiler-1-config  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,26
    51  write configuration into volume compiler-2-config  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,27
    52  give keys and certificates to compilers demo-compiler-1, demo-compiler-2  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,26,27,42,50,51
    53  create container demo-compiler-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,26,52
    54  start container demo-compiler-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,53
    55  wait for container demo-compiler-1  (it starts)  after 19,54
    56  create container demo-compiler-2  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,27,52
    57  start container demo-compiler-2  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 19,56
    58  wait for container demo-compiler-2  (it starts)  after 19,57
    59  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 19,46,55,58
    60  look for everything of certificate authority  (every certificate and request is kept)  after 14,19,33,37,42,46,49,55,58
    61  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 19,21,22,23,25,26,27,29,33,37,40,42,46,49,55,58,59,60
    62  make the canary certificate pupperware-canary-1  (the CA must be able to sign)  after 14,33,37,42,46,49,55,58,60
    63  revoke certificate pupperware-canary-1  (and to revoke)  after 62
    64  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 63
    65  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 63
    66  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 63
    67  give the revocation list to container demo-balancer-1  (revocations are worth what is known of them)  after 63
    68  give the revocation list to container demo-compiler-1  (revocations are worth what is known of them)  after 63
    69  give the revocation list to container demo-compiler-2  (revocations are worth what is known of them)  after 63
    70  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 64,65,66,67,68,69
    71  see the canary refused by container demo-compiler-1  (it has the new list)  after 64,65,66,67,68,69
    72  see the canary refused by container demo-compiler-2  (it has the new list)  after 64,65,66,67,68,69
    73  remove certificate pupperware-canary-1  (it has served)  after 70,71,72
    74  remember the release 8.0.0  (it is proved)  after 19,61,73
    ");
    engine.carry_out(&plan);
    world.is_upgraded(&engine, reports);
    let order = Order { file: "/srv/after.pupperware".into(), ..Order::default() };
    let back = leave(&world.from, &world.to, &engine.observed, &order).unwrap();
    assert_snapshot!(world.text(&back), @"
     0  write file /srv/after.pupperware  (what came since is only in it)
     1  remember the return from 8.0.0  (so that it is finished whatever happens)  after 0
     2  stop container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 1
     3  remove container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 1,2
     4  stop container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 1
     5  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 1,4
     6  stop container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1
     7  remove container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,6
     8  stop container demo-balancer-1  (image changes from pupperware/balancer:8-KEY to pupperware/balancer:7-KEY)  after 1
     9  remove container demo-balancer-1  (image changes from pupperware/balancer:8-KEY to pupperware/balancer:7-KEY)  after 1,8
    10  stop container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,8
    11  remove container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,10
    12  stop container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,8
    13  remove container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,12
    14  stop container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:7-KEY)  after 1
    15  remove container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:7-KEY)  after 1,14
    16  write configuration into volume postgres-config  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 1,3
    17  create container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 1,3,16
    18  start container demo-postgres-1  (it is new)  after 1,17
    19  wait for container demo-postgres-1  (it starts)  after 1,18
    20  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 1,5
    21  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 1,5,20
    22  count again database in demo-postgres-1  (it is all as it was)  after 1,19
    23  start container demo-puppetdb-1  (it is new)  after 1,21,22
    24  wait for container demo-puppetdb-1  (it starts)  after 1,23
    25  write configuration into volume puppetserver-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,7
    26  create container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,7,9,25
    27  start container demo-puppetserver-1  (it is new)  after 1,22,26
    28  wait for container demo-puppetserver-1  (it starts)  after 1,27
    29  write configuration into volume balancer-config  (image changes from pupperware/balancer:8-KEY to pupperware/balancer:7-KEY)  after 1,9
    30  create container demo-balancer-1  (image changes from pupperware/balancer:8-KEY to pupperware/balancer:7-KEY)  after 1,7,9,29
    31  start container demo-balancer-1  (it is new)  after 1,30
    32  wait for container demo-balancer-1  (it starts)  after 1,31
    33  create container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:7-KEY)  after 1,15
    34  start container demo-agent-1  (it is new)  after 1,33
    35  wait for container demo-agent-1  (it starts)  after 1,34
    36  write configuration into volume compiler-1-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,11
    37  write configuration into volume compiler-2-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,13
    38  give keys and certificates to compilers demo-compiler-1, demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,10,11,12,13,28,36,37
    39  create container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,11,38
    40  start container demo-compiler-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,39
    41  wait for container demo-compiler-1  (it starts)  after 1,40
    42  create container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,13,38
    43  start container demo-compiler-2  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:7-KEY)  after 1,42
    44  wait for container demo-compiler-2  (it starts)  after 1,43
    45  send requests through container demo-balancer-1: demo-compiler-1, demo-compiler-2  (these serve)  after 1,32,41,44
    46  apply a catalog with agent demo-agent-1  (release 7.0.0 is not proved as it runs now)  after 1,3,5,7,9,11,13,15,19,24,28,32,35,41,44,45
    47  remove volume postgres-data-17  (a copy; the database of before is in use again)  after 1,3,5,7,9,11,13,15,46
    48  remove the mark in record  (it is proved)  after 1,3,5,7,9,11,13,15,46,47
    ");
    engine.carry_out(&back);
    world.is_back(&engine, reports);
}

#[test]
fn to_another_line_the_database_is_copied_and_the_old_one_kept() {
    let world = World::major("");
    let mut engine = world.running();
    let reports = World::reports(&engine, DATABASE).unwrap();
    let plan = world.planned(&engine);
    assert_snapshot!(world.text(&plan), @"
     0  compile and compare catalogs of all nodes  (the new release must compile what the old one does)
     1  write file /srv/before.pupperware  (so that all of it can be put back)  after 0
     2  remember the upgrade to 8.0.0  (so that it is finished, or undone, whatever happens)  after 1
     3  stop container demo-puppetserver-1  (nobody may write while the data moves)  after 2
     4  wait for the queue of container demo-puppetdb-1  (what it has received belongs to the data)  after 2,3
     5  stop container demo-puppetdb-1  (nobody may write while the data moves)  after 4
     6  count database and certificate authority  (to be compared with afterwards)  after 2,5
     7  create volume postgres-data-17  (PostgreSQL of the new release has files of its own)  after 6
     8  create container demo-postgres-next  (it takes the copy)  after 7
     9  start container demo-postgres-next  (it takes the copy)  after 8
    10  wait for container demo-postgres-next  (it starts)  after 9
    11  copy database puppetdb from demo-postgres-1 into demo-postgres-next  (the old volume is kept as it is)  after 10
    12  count again database in demo-postgres-next  (everything arrived)  after 11
    13  stop container demo-postgres-next  (it has the copy)  after 12
    14  remove container demo-postgres-next  (it has the copy)  after 13
    15  remember the switch to 8.0.0  (it has all data)  after 6,14
    16  stop container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 15
    17  remove container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 15,16
    18  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 15
    19  remove container demo-puppetserver-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 15
    20  stop container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 15
    21  remove container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 15,20
    22  write configuration into volume postgres-config  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 15,17
    23  create container demo-postgres-1  (image changes from pupperware/postgres:7-KEY to pupperware/postgres:8-KEY)  after 15,17,22
    24  start container demo-postgres-1  (it is new)  after 15,23
    25  wait for container demo-postgres-1  (it starts)  after 15,24
    26  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 15,18
    27  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:7-KEY to pupperware/puppetdb:8-KEY)  after 15,18,26
    28  start container demo-puppetdb-1  (it is new)  after 15,25,27
    29  wait for container demo-puppetdb-1  (it starts)  after 15,28
    30  write configuration into volume puppetserver-config  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 15,19
    31  create container demo-puppetserver-1  (image changes from pupperware/puppetserver:7-KEY to pupperware/puppetserver:8-KEY)  after 15,19,30
    32  count again database in demo-postgres-1  (it is all there under the new release)  after 15,25,29
    33  start container demo-puppetserver-1  (it is new)  after 15,31,32
    34  wait for container demo-puppetserver-1  (it starts)  after 15,33
    35  create container demo-agent-1  (image changes from pupperware/agent:7-KEY to pupperware/agent:8-KEY)  after 15,21
    36  start container demo-agent-1  (it is new)  after 15,35
    37  wait for container demo-agent-1  (it starts)  after 15,36
    38  look for everything of certificate authority  (every certificate and request is kept)  after 10,15,25,29,34,37
    39  apply a catalog with agent demo-agent-1  (release 8.0.0 is not proved as it runs now)  after 15,17,18,19,21,25,29,32,34,37,38
    40  make the canary certificate pupperware-canary-1  (the CA must be able to sign)  after 10,25,29,34,37,38
    41  revoke certificate pupperware-canary-1  (and to revoke)  after 40
    42  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 41
    43  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 41
    44  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 41
    45  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 42,43,44
    46  remove certificate pupperware-canary-1  (it has served)  after 45
    47  remember the release 8.0.0  (it is proved)  after 15,39,46
    ");
    // Nothing of the old release goes before the new one has all data, and agents write only when that was seen.
    let switched = at(&plan, "mark_upgrade", "switch");
    for step in plan.steps.iter().filter(|s| s.action.kind() == "remove_container") {
        let helper = step.action.resource().contains("postgres-next");
        assert!(helper || after(&plan, step.id, switched), "{step:?}");
    }
    let server = at(&plan, "start_container", "puppetserver");
    assert!(after(&plan, server, at(&plan, "compare_inventory", "demo-postgres-1")));
    engine.carry_out(&plan);
    world.is_upgraded(&engine, reports);
}

#[test]
fn within_a_line_the_database_stays_where_it_is() {
    let world = World::minor();
    let mut engine = world.running();
    let plan = world.planned(&engine);
    assert_snapshot!(world.text(&plan), @"
     0  compile and compare catalogs of all nodes  (the new release must compile what the old one does)
     1  write file /srv/before.pupperware  (so that all of it can be put back)  after 0
     2  remember the upgrade to 8.1.0  (so that it is finished, or undone, whatever happens)  after 1
     3  stop container demo-puppetserver-1  (nobody may write while the data moves)  after 2
     4  wait for the queue of container demo-puppetdb-1  (what it has received belongs to the data)  after 2,3
     5  stop container demo-puppetdb-1  (nobody may write while the data moves)  after 4
     6  count database and certificate authority  (to be compared with afterwards)  after 2,5
     7  remember the switch to 8.1.0  (it has all data)  after 6
     8  remove container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 7
     9  stop container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:8-KEY)  after 7
    10  remove container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:8-KEY)  after 7,9
    11  wait for container demo-postgres-1  (not seen ready since it started)  after 7
    12  start container demo-puppetdb-1  (not running: stopped)  after 7,11
    13  wait for container demo-puppetdb-1  (it starts)  after 7,12
    14  write configuration into volume puppetserver-config  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 7,8
    15  create container demo-puppetserver-1  (image changes from pupperware/puppetserver:8-KEY to pupperware/puppetserver:8-KEY)  after 7,8,14
    16  count again database in demo-postgres-1  (it is all there under the new release)  after 7,11,13
    17  start container demo-puppetserver-1  (it is new)  after 7,15,16
    18  wait for container demo-puppetserver-1  (it starts)  after 7,17
    19  create container demo-agent-1  (image changes from pupperware/agent:8-KEY to pupperware/agent:8-KEY)  after 7,10
    20  start container demo-agent-1  (it is new)  after 7,19
    21  wait for container demo-agent-1  (it starts)  after 7,20
    22  look for everything of certificate authority  (every certificate and request is kept)  after 7,11,13,18,21
    23  apply a catalog with agent demo-agent-1  (release 8.1.0 is not proved as it runs now)  after 7,8,10,11,13,16,18,21,22
    24  make the canary certificate pupperware-canary-1  (the CA must be able to sign)  after 11,13,18,21,22
    25  revoke certificate pupperware-canary-1  (and to revoke)  after 24
    26  give the revocation list to container demo-postgres-1  (revocations are worth what is known of them)  after 25
    27  give the revocation list to container demo-puppetdb-1  (revocations are worth what is known of them)  after 25
    28  give the revocation list to container demo-puppetserver-1  (revocations are worth what is known of them)  after 25
    29  see the canary refused by container demo-puppetserver-1  (it has the new list)  after 26,27,28
    30  remove certificate pupperware-canary-1  (it has served)  after 29
    31  remember the release 8.1.0  (it is proved)  after 7,23,30
    ");
    engine.carry_out(&plan);
    engine.check(&world.to);
    assert!(reconcile(&world.to, &engine.observed).unwrap().is_empty());
}

#[test]
fn what_failed_is_undone() {
    let world = World::major("");
    let mut engine = world.running();
    let reports = World::reports(&engine, DATABASE).unwrap();
    let plan = world.planned(&engine);
    // The new PuppetDB runs, and does not get ready.
    plan.steps[..at(&plan, "wait_ready", "puppetdb")].iter().for_each(|s| engine.apply(&s.action));
    let back = world.back(&engine);
    assert_snapshot!(world.text(&back), @"
     0  remember the return from 8.0.0  (so that it is finished whatever happens)
     1  stop container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 0
     2  remove container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 0,1
     3  stop container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 0
     4  remove container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 0,3
     5  write configuration into volume postgres-config  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 0,2
     6  create container demo-postgres-1  (image changes from pupperware/postgres:8-KEY to pupperware/postgres:7-KEY)  after 0,2,5
     7  start container demo-postgres-1  (it is new)  after 0,6
     8  wait for container demo-postgres-1  (it starts)  after 0,7
     9  write configuration into volume puppetdb-config  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 0,4
    10  create container demo-puppetdb-1  (image changes from pupperware/puppetdb:8-KEY to pupperware/puppetdb:7-KEY)  after 0,4,9
    11  count again database in demo-postgres-1  (it is all as it was)  after 0,8
    12  start container demo-puppetdb-1  (it is new)  after 0,10,11
    13  wait for container demo-puppetdb-1  (it starts)  after 0,12
    14  write configuration into volume puppetserver-config  (for its first start)  after 0
    15  create container demo-puppetserver-1  (no container)  after 0,14
    16  start container demo-puppetserver-1  (it is new)  after 0,11,15
    17  wait for container demo-puppetserver-1  (it starts)  after 0,16
    18  create container demo-agent-1  (no container)  after 0
    19  start container demo-agent-1  (it is new)  after 0,18
    20  wait for container demo-agent-1  (it starts)  after 0,19
    21  look for everything of certificate authority  (every certificate and request is kept)  after 0,8,13,17,20
    22  apply a catalog with agent demo-agent-1  (release 7.0.0 is not proved as it runs now)  after 0,2,4,8,13,17,20,21
    23  remove volume postgres-data-17  (a copy; the database of before is in use again)  after 0,2,4,22
    24  remove the mark in record  (it is proved)  after 0,2,4,22,23
    ");
    engine.carry_out(&back);
    world.is_back(&engine, reports);
}

/// Killed after every single step, and in the middle of each: the same command goes on, or back, as one likes. Nothing
/// else touches the platform meanwhile.
#[test]
fn a_killed_upgrade_goes_on_or_back_wherever_it_was_killed() {
    for world in &*WORLDS {
        let running = world.running();
        let reports = World::reports(&running, DATABASE).unwrap();
        let whole = world.planned(&running);
        let (marked, committed) = (at(&whole, "mark_upgrade", "upgrade to"), whole.steps.len() - 1);
        for killed_after in 0..committed {
            for half in [false, true] {
                let mut engine = running.clone();
                whole.steps[..=killed_after].iter().for_each(|step| engine.apply(&step.action));
                if half {
                    engine.apply_half(&whole.steps[killed_after + 1].action);
                }
                let record = engine.observed.record.as_ref().unwrap();
                assert_eq!(record.release.to_string(), world.from.release, "it is on record only in the end");
                if killed_after < marked {
                    assert!(rollback(&world.from, &world.to, &engine.observed).is_err());
                    engine.up(&world.from);
                    continue;
                }
                let refused = reconcile(&world.from, &engine.observed).unwrap_err();
                assert_eq!(refused.kind.exit_code(), 6);
                assert!(refused.hint.unwrap().contains("pupperware upgrade --rollback"));
                assert!(start(&engine.observed, &[]).is_err() && restart(&engine.observed, &[]).is_err());
                assert!(backup(&world.from, &engine.observed, &Order::default()).is_err());

                let mut undone = engine.clone();
                undone.carry_out(&world.back(&undone));
                world.is_back(&undone, reports);

                engine.carry_out(&world.planned(&engine));
                engine.check(&world.to);
                assert!(reconcile(&world.to, &engine.observed).unwrap().is_empty());
                if world.from.database != world.to.database {
                    world.is_upgraded(&engine, reports);
                }
            }
        }
    }
}

/// The new server served agents before the program was killed: what they reported is no difference.
#[test]
fn agents_that_reported_meanwhile_do_not_stop_it() {
    let world = World::major("");
    let mut engine = world.running();
    let plan = world.planned(&engine);
    plan.steps[..at(&plan, "prove", "agent")].iter().for_each(|s| engine.apply(&s.action));
    engine.agent_reports();
    engine.carry_out(&world.planned(&engine));
    engine.check(&world.to);
}

#[test]
fn an_interrupted_return_is_finished_by_itself_only() {
    let world = World::major("");
    let running = world.running();
    let reports = World::reports(&running, DATABASE).unwrap();
    let plan = world.planned(&running);
    let mut failed = running.clone();
    plan.steps[..at(&plan, "prove", "agent")].iter().for_each(|s| failed.apply(&s.action));
    let back = world.back(&failed);
    for killed_after in 0..back.steps.len() - 1 {
        let mut engine = failed.clone();
        back.steps[..=killed_after].iter().for_each(|step| engine.apply(&step.action));
        let upgrading = engine.observed.record.as_ref().unwrap().upgrading.as_ref().unwrap();
        if upgrading.phase == Phase::Undoing {
            let refused = world.upgrade(&engine).unwrap_err();
            assert!(refused.what.contains("return from 8.0.0 to 7.0.0"), "{refused}");
        }
        engine.carry_out(&world.back(&engine));
        world.is_back(&engine, reports);
    }
}

/// Back from an upgrade that is over, killed after every step: what came since is saved first, and the same command ends it.
#[test]
fn an_upgrade_that_is_over_can_be_left() {
    for world in &*WORLDS {
        let mut engine = world.running();
        let reports = World::reports(&engine, DATABASE).unwrap();
        engine.carry_out(&world.planned(&engine));
        (0..3).for_each(|_| engine.agent_reports());
        let order = Order { file: "/srv/after.pupperware".into(), ..Order::default() };
        let leaving = |engine: &Engine| {
            let plan = leave(&world.from, &world.to, &engine.observed, &order).expect("there is a way back");
            world.look_at(&plan);
            assert_eq!(plan.steps[0].action.kind(), "write_backup");
            assert!(plan.steps[1..].iter().all(|s| after(&plan, s.id, 0)), "what came since is saved before all else");
            plan
        };
        let plan = leaving(&engine);
        for killed_after in 0..plan.steps.len() {
            let mut killed = engine.clone();
            plan.steps[..=killed_after].iter().for_each(|step| killed.apply(&step.action));
            let record = killed.observed.record.clone().unwrap();
            if record.upgrading.is_some() {
                assert!(leave(&world.from, &world.to, &killed.observed, &order).is_err());
                killed.carry_out(&world.back(&killed));
            } else if record.upgraded.is_some() {
                killed.carry_out(&leaving(&killed));
            }
            world.is_back(&killed, reports);
            assert_eq!(killed.observed.record.as_ref().unwrap().upgraded, None, "it cannot be left twice");
        }
    }
}

/// The database of before goes when somebody says so, and with it the way back.
#[test]
fn a_way_back_can_be_given_up() {
    let world = World::major("");
    let mut engine = world.running();
    engine.carry_out(&world.planned(&engine));
    let plan = forget(&world.to, &engine.observed).unwrap();
    assert_snapshot!(world.text(&plan), @"
    0  remove volume postgres-data  (the database of before an upgrade, which has copied it)
    1  forget way back from the last upgrade  (its data of before is gone)  after 0
    ");
    engine.carry_out(&plan);
    engine.check(&world.to);
    assert!(reconcile(&world.to, &engine.observed).unwrap().is_empty());
    assert!(forget(&world.to, &engine.observed).unwrap().is_empty());
    assert!(leave(&world.from, &world.to, &engine.observed, &Order::default()).is_err());
}

/// An upgrade that failed leaves the way back from the one before it.
#[test]
fn a_failed_upgrade_keeps_the_earlier_way_back() {
    let world = World::major("");
    let mut engine = world.running();
    engine.carry_out(&world.planned(&engine));
    let before = engine.observed.record.clone().unwrap().upgraded;
    let later = World::minor();
    let next = World { from: world.to.clone(), to: platform_of("", &later.to.definition, NEXT) };
    engine = engine.and_images(&next.to);
    let plan = next.planned(&engine);
    plan.steps[..at(&plan, "wait_ready", "puppetserver")].iter().for_each(|s| engine.apply(&s.action));
    engine.carry_out(&next.back(&engine));
    engine.check(&next.from);
    assert_eq!(engine.observed.record.unwrap().upgraded, before);
}

#[test]
fn refusals_name_the_next_command() {
    let world = World::major("");
    let engine = world.running();
    assert_snapshot!(failure(&rollback(&world.from, &world.to, &engine.observed).unwrap_err()), @"
    exit 6: no upgrade is under way, and none is on record, so there is none to undo
    hint: a backup of before can be put back under another name: `pupperware backup restore FILE --as NAME`
    ");
    let mut unwell = engine.clone();
    unwell.set("demo-puppetdb-1", ContainerState::Exited, "Exited (1) 1 minute ago");
    assert_snapshot!(failure(&world.upgrade(&unwell).unwrap_err()), @"
    exit 6: demo is not as it should be, or not proved, so it is not upgraded
    hint: mend it with `pupperware up`; `pupperware up --dry-run` shows what is wrong
    ");

    let mut strange = engine.clone();
    let spec = world.to.volumes[NEXT].spec.clone();
    strange.apply(&pupperware::plan::Action::CreateVolume { key: NEXT.into(), spec });
    assert_snapshot!(failure(&world.upgrade(&strange).unwrap_err()), @"
    exit 6: there is a volume demo_postgres-data-17 already, and the database would be copied into it
    hint: if nobody needs what is in it, remove it with `docker volume rm demo_postgres-data-17`
    ");

    let plan = world.planned(&engine);
    let mut killed = engine.clone();
    plan.steps[..=at(&plan, "mark_upgrade", "switch")].iter().for_each(|s| killed.apply(&s.action));
    assert_snapshot!(failure(&reconcile(&world.from, &killed.observed).unwrap_err()), @"
    exit 6: the platform is between two releases: its upgrade from 7.0.0 to 8.0.0 was interrupted
    hint: finish it with `pupperware upgrade`, or go back with `pupperware upgrade --rollback`
    ");
    // Another release than the one it was on its way to.
    let other = World::minor();
    assert_snapshot!(failure(&other.upgrade(&killed).unwrap_err()), @"
    exit 6: the platform is between two releases: its upgrade from 7.0.0 to 8.0.0 was interrupted
    hint: finish it with `pupperware upgrade`, or go back with `pupperware upgrade --rollback`
    ");

    let mut lost = killed.clone();
    lost.remove_volume("demo_postgres-data-17");
    assert_snapshot!(failure(&world.upgrade(&lost).unwrap_err()), @"
    exit 6: the platform is between two releases: its upgrade from 7.0.0 to 8.0.0 was interrupted
      the volume postgres-data-17 is missing
    hint: go back with `pupperware upgrade --rollback`, then upgrade again
    ");
    lost.carry_out(&world.back(&lost));
    world.is_back(&lost, 1);

    let mut gone = killed.clone();
    gone.lose_volume(DATABASE);
    assert_snapshot!(failure(&rollback(&world.from, &world.to, &gone.observed).unwrap_err()), @"
    exit 6: the volume demo_postgres-data, with the database of before, is missing
      the backup of before the upgrade is /srv/before.pupperware
    hint: give up what is left and put the backup back: `pupperware --yes down --destroy-data ALL`, then `pupperware backup restore /srv/before.pupperware`
    ");
}

/// Everything else that there is: more agents, code from a repository, an image of one's own.
#[test]
fn the_rest_of_the_configuration_stays() {
    let world =
        World::major("agents: { replicas: 2 }\ncode: { control_repo: { url: \"https://git.example.com/c.git\" } }");
    let mut engine = world.running();
    let reports = World::reports(&engine, DATABASE).unwrap();
    let plan = world.planned(&engine);
    assert!(!plan.steps.iter().any(|s| matches!(s.action.kind(), "stage_code" | "issue_credentials")));
    engine.carry_out(&plan);
    world.is_upgraded(&engine, reports);
}

/// What happens between an upgrade's beginning and its end.
#[derive(Debug, Clone)]
enum Turn {
    /// `upgrade`, killed after some of its steps.
    Forward { order: u64, steps: Index, half: bool },
    /// `upgrade --rollback`, killed after some of its steps.
    Back { order: u64, steps: Index, half: bool },
    /// Agents report, where a server runs.
    Report,
    /// `down`, of containers and networks.
    Down,
    /// The engine lost a container.
    Removed(Index),
    /// The machine started again: what was not stopped on purpose runs.
    Restarted,
}

fn turn() -> impl Strategy<Value = Turn> {
    let index = any::<Index>;
    prop_oneof![
        4 => (any::<u64>(), index(), any::<bool>()).prop_map(|(order, steps, half)| Turn::Forward { order, steps, half }),
        2 => (any::<u64>(), index(), any::<bool>()).prop_map(|(order, steps, half)| Turn::Back { order, steps, half }),
        2 => Just(Turn::Report),
        1 => Just(Turn::Down),
        1 => index().prop_map(Turn::Removed),
        1 => Just(Turn::Restarted),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Wherever somebody looks: an agent that comes is served, or waits. Only where the balancer itself is replaced, and while
    /// it is, agents are turned away.
    #[test]
    fn nobody_is_turned_away_within_a_line(order in any::<u64>(), parts in 1_usize..16) {
        let of = |part: &(usize, &'static str)| (parts & (1 << part.0) != 0).then_some(part.1);
        let components = ["puppetserver", "puppetdb", "postgres", "balancer"].into_iter().enumerate();
        let components: Vec<&str> = components.collect::<Vec<_>>().iter().filter_map(of).collect();
        let world = World::later(COMPILERS, &components);
        let running = world.running();
        let forward = world.planned(&running);
        let mut over = running.clone();
        over.carry_out(&forward);
        let saved = Order { file: "/srv/after.pupperware".into(), ..Order::default() };
        let back = leave(&world.from, &world.to, &over.observed, &saved).unwrap();
        for (before, plan) in [(running, forward), (over, back)] {
            let replaced = plan.steps.iter().any(|s| s.action.resource() == "container demo-balancer-1"
                && s.action.kind() == "stop_container");
            prop_assert_eq!(replaced, components.contains(&"balancer"));
            let mut engine = before.clone();
            carry_out_watched(&mut engine, &plan, order, (plan.steps.len(), false), |engine| {
                let why = engine.turns_away();
                let allowed = why.as_deref().is_none_or(|why| replaced && why == "there is no balancer");
                assert!(allowed, "{why:?}");
            });
        }
    }

    /// The model engine panics where two servers have one volume, a database is read by another line, or it is copied
    /// while somebody writes. Beside that: no report of before is ever missing, and the record tells what runs.
    #[test]
    fn whatever_happens_an_upgrade_ends_whole_or_undone(
        turns in prop::collection::vec(turn(), 0..8),
        order in any::<u64>(),
        forward in any::<bool>(),
        which in any::<Index>(),
    ) {
        let world = which.get(&*WORLDS);
        let minor = world.from.database == world.to.database;
        let mut engine = world.running();
        let reports = World::reports(&engine, DATABASE).unwrap();
        for turn in &turns {
            let record = engine.observed.record.clone().unwrap();
            let (marked, over) = (record.upgrading.is_some(), record.release.to_string() == world.to.release);
            match turn {
                Turn::Forward { order, steps, half } if !over => {
                    if let Ok(plan) = world.upgrade(&engine) {
                        world.look_at(&plan);
                        carry_out(&mut engine, &plan, *order, steps.index(plan.steps.len() + 1), *half);
                    }
                }
                Turn::Back { order, steps, half } if marked => {
                    let plan = world.back(&engine);
                    carry_out(&mut engine, &plan, *order, steps.index(plan.steps.len() + 1), *half);
                }
                Turn::Report => engine.agent_reports(),
                Turn::Down => engine.carry_out(&pupperware::plan::down(&engine.observed.clone(), &[]).unwrap()),
                Turn::Removed(index) => {
                    let names: Vec<String> = engine.observed.services().map(|(n, _)| n.clone()).collect();
                    if !names.is_empty() {
                        let name: &String = index.get(&names);
                        engine.remove_container(name);
                    }
                }
                Turn::Restarted => {
                    let names: Vec<String> =
                        engine.observed.services().filter(|(_, c)| c.running()).map(|(n, _)| n.clone()).collect();
                    names.iter().for_each(|name| engine.starts_again(name));
                }
                Turn::Forward { .. } | Turn::Back { .. } => {}
            }
            let record = engine.observed.record.as_ref().unwrap();
            let key = if record.release.to_string() == world.to.release { &world.to } else { &world.from };
            prop_assert!(World::reports(&engine, &key.database).unwrap() >= reports, "the release on record has all data");
            let old = engine.database(DATABASE).unwrap();
            prop_assert!(minor || old.schema == 7, "the new PuppetDB never touches the old database");
        }
        let record = engine.observed.record.clone().unwrap();
        let over = record.release.to_string() == world.to.release;
        if record.upgrading.is_none() {
            let desired = if over { &world.to } else { &world.from };
            let plan = reconcile(desired, &engine.observed).expect("nothing is refused");
            carry_out(&mut engine, &plan, order, plan.steps.len(), false);
            engine.check(desired);
        } else {
            let plan = match world.upgrade(&engine) {
                Ok(plan) if forward => plan,
                _ => world.back(&engine),
            };
            carry_out(&mut engine, &plan, order, plan.steps.len(), false);
            let forward = plan.steps.last().unwrap().action.kind() == "commit_upgrade";
            let desired = if forward { &world.to } else { &world.from };
            engine.check(desired);
            prop_assert!(reconcile(desired, &engine.observed).unwrap().is_empty());
        }
    }
}
