//! Puts steps into a plan and remembers which step makes what, so that others can need it.

use std::collections::BTreeMap;

use super::{Action, Plan, Step};

/// A plan under construction.
#[derive(Default)]
pub(super) struct Builder {
    steps: Vec<Step>,
    /// The last step that writes the platform's record. Two at once would write the same one, and lose the other's part.
    recorded: Option<usize>,
    by_subject: BTreeMap<(&'static str, String), usize>,
}

impl Builder {
    /// Adds a step; `needs` may repeat.
    pub(super) fn add(&mut self, action: Action, cause: impl Into<String>, mut needs: Vec<usize>) -> usize {
        if action.writes_record() {
            needs.extend(self.recorded.replace(self.steps.len()));
        }
        needs.sort_unstable();
        needs.dedup();
        let id = self.steps.len();
        self.by_subject.insert((action.kind(), subject(&action)), id);
        self.steps.push(Step { id, action, cause: cause.into(), needs });
        id
    }

    /// The step of this kind for this subject, if the plan has one.
    pub(super) fn find(&self, kind: &'static str, subject: &str) -> Option<usize> {
        self.by_subject.get(&(kind, subject.to_owned())).copied()
    }

    /// All steps of a kind.
    pub(super) fn all(&self, kind: &str) -> Vec<usize> {
        self.steps.iter().filter(|s| s.action.kind() == kind).map(|s| s.id).collect()
    }

    /// Lets steps that wait for nothing need this one.
    pub(super) fn need(&mut self, steps: std::ops::RangeFrom<usize>, needed: usize) {
        for step in self.steps[steps].iter_mut().filter(|s| s.needs.is_empty()) {
            step.needs.push(needed);
        }
    }

    /// How many steps there are.
    pub(super) fn len(&self) -> usize {
        self.steps.len()
    }

    /// The finished plan.
    pub(super) fn finish(self) -> Plan {
        debug_assert!(self.steps.iter().all(|s| s.needs.iter().all(|n| *n < s.id)), "needs point backwards");
        Plan { steps: self.steps }
    }
}

/// What a step is looked up by: the name that other steps know.
fn subject(action: &Action) -> String {
    match action {
        Action::PullImage { component, .. } => component.clone(),
        Action::BuildImage { image } => image.component.clone(),
        Action::CreateNetwork { spec } => spec.name.clone(),
        Action::RemoveNetwork { name } => name.clone(),
        Action::CreateVolume { key, .. }
        | Action::RemoveVolume { key, .. }
        | Action::RestoreVolume { key, .. }
        | Action::PlaceFiles { key, .. } => key.clone(),
        Action::CreateContainer { spec, .. } => spec.name.clone(),
        Action::StartContainer { name, .. }
        | Action::WaitReady { name, .. }
        | Action::StopContainer { name, .. }
        | Action::RemoveContainer { name, .. } => name.clone(),
        Action::SignCertificate { certname, .. }
        | Action::RevokeCertificate { certname, .. }
        | Action::RemoveCertificate { certname, .. }
        | Action::MakeCanary { certname, .. }
        | Action::RecordRetired { certname, .. }
        | Action::PlaceToken { certname, .. } => certname.clone(),
        Action::PushCrl { copy, .. } | Action::VerifyRefusal { copy, .. } => copy.container.clone(),
        Action::FlushEnvironments { server, .. } => server.clone(),
        Action::Balance { balancer, .. } | Action::HoldRequests { balancer, .. } => balancer.clone(),
        Action::DrainCompiler { certname, .. } => certname.clone(),
        Action::RecordRotation { secret, .. } | Action::RenewSecret { secret, .. } => secret.clone(),
        Action::SetPassword { postgres } | Action::VerifyInventory { postgres, .. } => postgres.clone(),
        Action::MakeBase { .. }
        | Action::IssueCredentials { .. }
        | Action::MakeKeyPair { .. }
        | Action::CloseSsh { .. }
        | Action::WithdrawTokens { .. }
        | Action::ImportCa { .. }
        | Action::RecordIssued { .. }
        | Action::Prove { .. }
        | Action::RunAgent { .. }
        | Action::DeactivateNode { .. }
        | Action::StageCode { .. }
        | Action::SwitchCode { .. }
        | Action::CheckCode { .. }
        | Action::CompileCatalog { .. }
        | Action::CompareCatalogs { .. }
        | Action::RecordCode { .. }
        | Action::EnrolCompilers { .. }
        | Action::RecordScale { .. }
        | Action::RecordProof { .. }
        | Action::WriteBackup { .. }
        | Action::RecordBackup { .. }
        | Action::RecordVerification { .. }
        | Action::PlaceConfiguration { .. }
        | Action::MarkRestore { .. }
        | Action::SettleCa { .. }
        | Action::RestoreDatabase { .. }
        | Action::FinishRestore
        | Action::MarkUpgrade { .. }
        | Action::DrainQueue { .. }
        | Action::TakeInventory { .. }
        | Action::CopyDatabase { .. }
        | Action::VerifyCa { .. }
        | Action::CommitUpgrade { .. }
        | Action::FinishRollback { .. }
        | Action::ForgetUpgrade
        | Action::CallHook { .. }
        | Action::RemoveRecord { .. } => String::new(),
    }
}
