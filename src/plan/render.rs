//! Plans for people and programs: a line a step, or the JSON shape that others may rely on.

use serde::Serialize;

use super::Plan;

/// A plan as JSON: `{schema_version, project, steps: [{id, kind, resource, cause, needs, data_loss}]}`.
#[derive(Debug, Clone, Serialize)]
pub struct PlanDocument {
    /// Format.
    pub schema_version: u32,
    /// Project.
    pub project: String,
    /// The steps.
    pub steps: Vec<StepDocument>,
}

/// A step as JSON.
#[derive(Debug, Clone, Serialize)]
pub struct StepDocument {
    /// Index in the plan.
    pub id: usize,
    /// What it does.
    pub kind: &'static str,
    /// What it works on.
    pub resource: String,
    /// Why.
    pub cause: String,
    /// Steps that come before.
    pub needs: Vec<usize>,
    /// True when something is lost that nobody can make again.
    pub data_loss: bool,
}

/// The plan's document.
pub fn document(project: &str, plan: &Plan) -> PlanDocument {
    let steps = plan.steps.iter().map(|s| StepDocument {
        id: s.id,
        kind: s.action.kind(),
        resource: s.action.resource(),
        cause: s.cause.clone(),
        needs: s.needs.clone(),
        data_loss: s.action.data_loss(),
    });
    PlanDocument { schema_version: 1, project: project.to_owned(), steps: steps.collect() }
}

/// A line a step: number, what, on what, why, and after which steps.
pub fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for step in &plan.steps {
        let needs = match step.needs.as_slice() {
            [] => String::new(),
            needs => format!("  after {}", needs.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
        };
        let loss = if step.action.data_loss() { "  DATA LOSS" } else { "" };
        let verb = verb(step.action.kind());
        out.push_str(&format!("{:>3}  {verb} {}  ({}){needs}{loss}\n", step.id, step.action.resource(), step.cause));
    }
    out
}

/// What people read for a kind; its object follows.
pub(super) fn verb(kind: &str) -> &str {
    match kind {
        "place_files" => "write configuration into",
        "wait_ready" => "wait for",
        "push_crl" => "give the revocation list to",
        "make_canary" => "make the canary",
        "verify_refusal" => "see the canary refused by",
        "stage_code" => "fetch and check",
        "switch_code" => "serve",
        "check_code" => "check",
        "flush_environments" => "flush the environments of",
        "compile_catalog" => "compile",
        "compare_catalogs" => "compile and compare",
        "enrol_compilers" => "give keys and certificates to",
        "balance" => "send requests through",
        "hold_requests" => "let requests wait at",
        "drain_compiler" => "let finish",
        "record_scale" => "remember",
        "record_issued"
        | "record_proof"
        | "record_code"
        | "record_rotation"
        | "record_backup"
        | "record_verification" => "remember",
        "place_configuration" => "write",
        "record_retired" => "forget",
        "set_password" => "set the database password in",
        "mark_restore" => "mark as half-restored in",
        "finish_restore" => "remove the mark in",
        "restore_volume" | "restore_database" => "put back",
        "mark_upgrade" => "remember the",
        "drain_queue" => "wait for the queue of",
        "take_inventory" => "count",
        "copy_database" => "copy",
        "compare_inventory" => "count again",
        "compare_ca" => "look for everything of",
        "commit_upgrade" => "remember the",
        "finish_rollback" => "remove the mark in",
        "call_hook" => "call the",
        "prove" => "apply a catalog with",
        // `create_network` and the like: the object says the rest.
        other => other.split('_').next().unwrap_or(other),
    }
}
