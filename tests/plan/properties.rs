//! What holds for every plan of `up`, from every state that kills, failures and people can bring about.
//!
//! A history is random: plans of several configurations, each carried out in a random order that its needs allow and
//! killed anywhere, and between them things that happen to containers, networks, volumes and the record.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use proptest::prelude::*;
use proptest::sample::Index;
use pupperware::desired::{Desired, labels};
use pupperware::engine::found::ContainerState;
use pupperware::observed::Container;
use pupperware::plan::{Action, Plan, Step, reconcile, rotate};
use pupperware::release::Lineage;

use crate::engine::Engine;
use crate::world::platform;

/// The configurations that histories change between.
static PLATFORMS: LazyLock<Vec<Desired>> = LazyLock::new(|| {
    [
        "",
        "agents: { replicas: 3 }",
        "puppetserver: { dns_alt_names: [puppet.example.com], heap: 1g }",
        "puppetserver: { publish: 8141 }\nagents: { replicas: 2 }",
        "puppetdb: { memory: 2g }\npostgres: { memory: 1g }\nimages: { agent: registry.example.com/agent:8 }",
        "code: { control_repo: { url: \"https://git.example.com/control.git\" } }",
        "with: [puppetboard]\nagents: { replicas: 2 }",
        "compilers: { replicas: 2 }",
        "compilers: { replicas: 1, heap: 1g }",
        "compilers: { replicas: 2, jruby_instances: 2 }\npuppetdb: { memory: 2g }",
        "compilers: { replicas: 3 }\npuppetserver: { dns_alt_names: [puppet.example.com] }",
        "compilers: { replicas: 0, balancer: always }\ncode: { control_repo: { url: \"https://git.example.com/control.git\" } }",
    ]
    .map(platform)
    .into()
});

/// Something in a platform's history.
#[derive(Debug, Clone)]
enum Happening {
    /// `up` of a configuration, killed after some of its steps.
    Killed { platform: Index, order: u64, steps: Index, half: bool },
    /// `down` of everything, killed after some of its steps.
    Down { order: u64, steps: Index },
    /// `secrets rotate`, killed after some of its steps.
    Rotated { platform: Index, order: u64, steps: Index, half: bool },
    /// A container gets into a state.
    State { container: Index, state: ContainerState },
    /// The engine's own check finds a container unwell.
    Unhealthy(Index),
    /// A container is started again behind our back.
    StartedAgain(Index),
    /// A container is removed.
    Removed(Index),
    /// A container is taken off a network.
    Detached(Index, Index),
    /// A volume that no container has is removed.
    VolumeLost(Index),
    /// All volumes that no container has are removed: what pruning does.
    Pruned,
    /// A network without live members is removed.
    NetworkLost(Index),
    /// The record is removed.
    RecordLost,
    /// An image is removed.
    ImageLost(Index),
}

fn happening() -> impl Strategy<Value = Happening> {
    let index = any::<Index>;
    let state = prop_oneof![
        Just(ContainerState::Created),
        Just(ContainerState::Paused),
        Just(ContainerState::Restarting),
        Just(ContainerState::Exited),
        Just(ContainerState::Dead),
    ];
    prop_oneof![
        6 => (index(), any::<u64>(), index(), any::<bool>())
            .prop_map(|(platform, order, steps, half)| Happening::Killed { platform, order, steps, half }),
        1 => (any::<u64>(), index()).prop_map(|(order, steps)| Happening::Down { order, steps }),
        2 => (index(), any::<u64>(), index(), any::<bool>())
            .prop_map(|(platform, order, steps, half)| Happening::Rotated { platform, order, steps, half }),
        4 => (index(), state).prop_map(|(container, state)| Happening::State { container, state }),
        1 => index().prop_map(Happening::Unhealthy),
        1 => index().prop_map(Happening::StartedAgain),
        2 => index().prop_map(Happening::Removed),
        1 => (index(), index()).prop_map(|(container, network)| Happening::Detached(container, network)),
        3 => index().prop_map(Happening::VolumeLost),
        1 => Just(Happening::Pruned),
        2 => index().prop_map(Happening::NetworkLost),
        1 => Just(Happening::RecordLost),
        1 => index().prop_map(Happening::ImageLost),
    ]
}

/// One of some names, if there are any.
fn pick(index: Index, names: Vec<String>) -> Option<String> {
    (!names.is_empty()).then(|| index.get(&names).clone())
}

fn happens(engine: &mut Engine, happening: &Happening) {
    let services = |engine: &Engine| engine.observed.services().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    // The CA's is kept, for its loss is refused. So are those of agents and compilers that may be gone for now: whoever
    // loses one of them cleans its certificate too, as for any other node.
    let kept = [
        "demo_ca",
        "demo_agent-2",
        "demo_agent-3",
        "demo_compiler-1-ssl",
        "demo_compiler-2-ssl",
        "demo_compiler-3-ssl",
    ];
    let unused = |engine: &Engine| {
        let names = engine.observed.volumes.keys().filter(|v| !kept.contains(&v.as_str()));
        names.filter(|v| engine.users_of(v).next().is_none()).cloned().collect::<Vec<_>>()
    };
    match happening {
        Happening::Killed { platform, order, steps, half } => {
            let desired = platform.get(&PLATFORMS);
            engine.lock();
            let plan = planned(desired, engine);
            carry_out(engine, &plan, *order, steps.index(plan.steps.len() + 1), *half);
        }
        Happening::Down { order, steps } => {
            let plan = pupperware::plan::down(&engine.observed, &[]).expect("down is never refused");
            carry_out(engine, &plan, *order, steps.index(plan.steps.len() + 1), false);
        }
        Happening::Rotated { platform, order, steps, half } => {
            engine.lock();
            // Refused while a service does not run.
            if let Ok(plan) = rotate(platform.get(&PLATFORMS), &engine.observed, "puppetdb-password") {
                carry_out(engine, &plan, *order, steps.index(plan.steps.len() + 1), *half);
            }
        }
        Happening::State { container, state } => {
            if let Some(name) = pick(*container, services(engine)) {
                // Only a container that was never started is in this state.
                let possible = *state != ContainerState::Created || !engine.container(&name).alive();
                if possible {
                    engine.set(&name, *state, state.name());
                }
            }
        }
        Happening::Unhealthy(container) => {
            if let Some(name) = pick(*container, services(engine)).filter(|name| engine.container(name).running()) {
                engine.container(&name).health = "unhealthy".into();
            }
        }
        Happening::StartedAgain(container) => {
            if let Some(name) = pick(*container, services(engine)).filter(|name| engine.container(name).running()) {
                engine.starts_again(&name);
            }
        }
        Happening::Removed(container) => {
            if let Some(name) = pick(*container, engine.observed.containers.keys().cloned().collect()) {
                engine.remove_container(&name);
            }
        }
        Happening::Detached(container, network) => {
            if let Some(name) = pick(*container, services(engine)) {
                let networks = &mut engine.container(&name).found.networks;
                if !networks.is_empty() {
                    networks.remove(network.index(networks.len()));
                }
            }
        }
        Happening::VolumeLost(volume) => {
            if let Some(name) = pick(*volume, unused(engine)) {
                engine.remove_volume(&name);
            }
        }
        Happening::Pruned => {
            for name in unused(engine) {
                engine.remove_volume(&name);
            }
            engine.lose_record();
        }
        Happening::NetworkLost(network) => {
            if let Some(name) = pick(*network, engine.observed.networks.keys().cloned().collect()) {
                let used = |c: &Container| c.alive() && c.found.networks.contains(&name);
                if !engine.observed.containers.values().any(used) {
                    engine.lose_network(&name);
                }
            }
        }
        Happening::RecordLost => engine.lose_record(),
        Happening::ImageLost(image) => {
            if let Some(name) = pick(*image, engine.observed.images.iter().cloned().collect()) {
                engine.observed.images.remove(&name);
            }
        }
    }
}

/// A plan of `up`, after a look at its shape.
fn planned(desired: &Desired, engine: &Engine) -> Plan {
    let plan = reconcile(desired, &engine.observed).expect("nothing is refused while the CA is there");
    let shape = Shape::of(&plan);
    for (id, step) in plan.steps.iter().enumerate() {
        assert_eq!(step.id, id);
        assert!(step.needs.iter().all(|need| *need < id), "needs point backwards: {step:?}");
        assert!(!step.action.data_loss(), "{step:?}");
        let keeps = match &step.action {
            // Of a service that is not wanted any more: nothing that could not be issued again.
            Action::RemoveVolume { key, .. } => {
                ["puppetboard-config", "balancer-config"].contains(&key.as_str()) || key.starts_with("compiler-")
            }
            action => !matches!(action, Action::RemoveRecord { .. }),
        };
        assert!(keeps, "{step:?}");
    }
    shape.no_step_twice();
    shape.the_primary_is_down_while_its_ca_issues(desired, engine);
    shape.nothing_starts_before_what_it_needs(desired);
    shape.helpers_of_a_killed_run_go_first();
    shape.the_proof_comes_last();
    shape.the_record_is_written_by_one_at_a_time();
    plan
}

/// A step without what is written by it.
fn named(step: &Step) -> String {
    format!("{} {} {}, after {:?}", step.id, step.action.kind(), step.action.resource(), step.needs)
}

/// A plan with everything that comes before each step in every order.
struct Shape<'p> {
    plan: &'p Plan,
    before: Vec<BTreeSet<usize>>,
}

impl<'p> Shape<'p> {
    fn of(plan: &'p Plan) -> Self {
        let mut before: Vec<BTreeSet<usize>> = vec![];
        for step in &plan.steps {
            let inherited = step.needs.iter().flat_map(|need| before[*need].iter().copied().chain([*need]));
            let all = inherited.collect();
            before.push(all);
        }
        Shape { plan, before }
    }

    fn steps(&self, kind: &'static str) -> impl Iterator<Item = &'p Step> {
        self.plan.steps.iter().filter(move |s| s.action.kind() == kind)
    }

    fn precedes(&self, first: &Step, then: &Step) {
        let (early, late) = (named(first), named(then));
        assert!(self.before[then.id].contains(&first.id), "not in every order: {early} before {late}");
    }

    fn no_step_twice(&self) {
        let mut seen = BTreeSet::new();
        for step in &self.plan.steps {
            // What was issued is recorded twice: as open before, as it is after. A list is pushed after each revocation.
            let what = (step.action.kind(), step.action.resource(), step.cause.as_str());
            let key = if matches!(what.0, "record_issued" | "push_crl" | "balance") {
                what.clone()
            } else {
                (what.0, what.1.clone(), "")
            };
            assert!(seen.insert(key), "{what:?} is there twice");
        }
    }

    fn the_primary_is_down_while_its_ca_issues(&self, desired: &Desired, engine: &Engine) {
        let name = &desired.primary().expect("there is a primary").spec.name;
        let alive = engine.observed.containers.get(name).is_some_and(Container::alive);
        for issue in self.steps("issue_credentials") {
            let Action::IssueCredentials { request, .. } = &issue.action else { unreachable!() };
            if !request.lines().any(|l| l.starts_with("ca ")) {
                continue;
            }
            let is = |action: &Action| matches!(action, Action::StopContainer { name: n, .. } if n == name);
            let stopped = self.plan.steps.iter().find(|s| is(&s.action));
            assert!(stopped.is_some() || !alive, "the primary is not stopped: {issue:?}");
            if let Some(stopped) = stopped {
                self.precedes(stopped, issue);
            }
            for start in self.steps("start_container").filter(|_| !self.makes_the_ca()) {
                if matches!(&start.action, Action::StartContainer { name: n, .. } if n == name) {
                    self.precedes(issue, start);
                }
            }
        }
    }

    /// Then every service is new, and waits by itself for its credentials.
    fn makes_the_ca(&self) -> bool {
        self.steps("create_volume").any(|s| matches!(&s.action, Action::CreateVolume { key, .. } if key == "ca"))
    }

    fn nothing_starts_before_what_it_needs(&self, desired: &Desired) {
        for start in self.steps("start_container") {
            let Action::StartContainer { name, .. } = &start.action else { unreachable!() };
            let replica = desired.replicas.iter().find(|r| &r.spec.name == name).expect("only what is wanted starts");
            for step in &self.plan.steps {
                let needed = match &step.action {
                    Action::CreateVolume { key, .. } | Action::PlaceFiles { key, .. } => replica.volumes.contains(key),
                    Action::CreateNetwork { spec } => {
                        replica.networks.iter().any(|key| labels::scoped(&desired.project, key) == spec.name)
                    }
                    Action::CreateContainer { spec, .. } => &spec.name == name,
                    Action::StopContainer { name: n, .. } | Action::RemoveContainer { name: n, .. } => n == name,
                    Action::IssueCredentials { .. } => !self.makes_the_ca(),
                    Action::RenewSecret { .. } => true,
                    _ => false,
                };
                if needed {
                    self.precedes(step, start);
                }
            }
            let waited = self.steps("wait_ready").find(|s| s.action.resource() == start.action.resource());
            let waited = waited.expect("what starts is waited for");
            self.precedes(start, waited);
            for issue in self.steps("issue_credentials") {
                self.precedes(issue, waited);
            }
        }
        for create in self.steps("create_container") {
            let Action::CreateContainer { spec, .. } = &create.action else { unreachable!() };
            let image = self.plan.steps.iter().find(|s| match &s.action {
                Action::PullImage { reference, .. } => reference == &spec.image,
                Action::BuildImage { image } => image.reference == spec.image,
                _ => false,
            });
            if let Some(image) = image {
                self.precedes(image, create);
            }
        }
    }

    fn helpers_of_a_killed_run_go_first(&self) {
        for place in self.steps("place_files") {
            let Action::PlaceFiles { key, .. } = &place.action else { unreachable!() };
            let helper = format!("container demo-place-{key}");
            for removed in self.steps("remove_container").filter(|s| s.action.resource() == helper) {
                self.precedes(removed, place);
            }
        }
        for issue in self.steps("issue_credentials") {
            let provision = self.steps("remove_container").find(|s| s.action.resource() == "container demo-provision");
            if let Some(removed) = provision {
                self.precedes(removed, issue);
            }
        }
    }

    /// Two at once would write the same record, and lose the other's part.
    fn the_record_is_written_by_one_at_a_time(&self) {
        let writers: Vec<&Step> = self.plan.steps.iter().filter(|s| s.action.kind().starts_with("record_")).collect();
        for pair in writers.windows(2) {
            self.precedes(pair[0], pair[1]);
        }
    }

    fn the_proof_comes_last(&self) {
        let Some(last) = self.plan.steps.last() else { return };
        assert_eq!(last.action.kind(), "record_proof");
        assert_eq!(self.before[last.id].len(), last.id, "steps that the record of the proof does not wait for");
    }
}

/// Does the first `count` steps of a plan in one of the orders that its needs allow, and perhaps half of the next.
pub fn carry_out(engine: &mut Engine, plan: &Plan, order: u64, count: usize, half: bool) {
    carry_out_watched(engine, plan, order, (count, half), |_| {});
}

/// The same under the eyes of somebody who looks after each step.
pub fn carry_out_watched(
    engine: &mut Engine,
    plan: &Plan,
    mut order: u64,
    (count, half): (usize, bool),
    mut look: impl FnMut(&Engine),
) {
    let mut waiting: Vec<&Step> = plan.steps.iter().collect();
    let mut done = BTreeSet::new();
    let mut next = || {
        let ready: Vec<usize> =
            (0..waiting.len()).filter(|i| waiting[*i].needs.iter().all(|n| done.contains(n))).collect();
        if ready.is_empty() {
            return None;
        }
        // A linear congruential generator: an order that shrinks and repeats with its seed.
        order = order.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let pick = usize::try_from(order >> 33).expect("31 bits") % ready.len();
        let step = waiting.remove(ready[pick]);
        done.insert(step.id);
        Some(step)
    };
    for _ in 0..count {
        match next() {
            Some(step) => engine.apply(&step.action),
            None => return,
        }
        look(engine);
    }
    if let Some(step) = next().filter(|_| half) {
        engine.apply_half(&step.action);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_whole_run_makes_and_proves_the_platform_whatever_happened(
        history in prop::collection::vec(happening(), 0..12),
        wanted in any::<Index>(),
        order in any::<u64>(),
        locked in any::<bool>(),
    ) {
        let desired = wanted.get(&PLATFORMS);
        let mut engine = Engine::empty(desired);
        for happening in &history {
            happens(&mut engine, happening);
        }
        if locked {
            engine.lock();
        }
        let lineage = engine.observed.lineage();
        prop_assert!(matches!(lineage.stream(), None | Some(8)) && lineage != Lineage::Unknown, "{lineage:?}");
        let plan = planned(desired, &engine);
        carry_out(&mut engine, &plan, order, plan.steps.len(), false);
        engine.check(desired);
        let again = planned(desired, &engine);
        prop_assert!(again.is_empty(), "a second run would still do: {:#?}", again.steps.iter().map(named).collect::<Vec<_>>());
    }

    #[test]
    fn starting_killed_and_started_again_ends_in_the_same(
        wanted in any::<Index>(),
        before in any::<Index>(),
        kills in prop::collection::vec((any::<u64>(), any::<Index>(), any::<bool>()), 1..6),
        order in any::<u64>(),
    ) {
        let desired = wanted.get(&PLATFORMS);
        let mut engine = Engine::empty(desired);
        engine.up(before.get(&PLATFORMS));
        for (order, steps, half) in kills {
            let plan = planned(desired, &engine);
            carry_out(&mut engine, &plan, order, steps.index(plan.steps.len() + 1), half);
        }
        let plan = planned(desired, &engine);
        carry_out(&mut engine, &plan, order, plan.steps.len(), false);
        engine.check(desired);
        prop_assert!(planned(desired, &engine).is_empty());
    }
}
