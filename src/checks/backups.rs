//! Whether the last good backup is as young as the user wants it.

use std::time::Duration;

use jiff::Timestamp;

use super::Check;
use crate::config::types::Ttl;
use crate::observed::Observed;
use crate::report::words::age;

const ID: &str = "backup-age";

/// The check. Nobody is warned who has not said how old a backup may be.
pub(super) fn last(observed: &Observed, max_age: Option<Ttl>, now: Timestamp) -> Check {
    let record = observed.record.as_ref();
    let last = record.and_then(|r| r.backup.as_ref()).and_then(|b| b.finished_at.parse::<Timestamp>().ok());
    // A clock that was set back makes no backup older.
    let old = last.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
    let found =
        old.map_or("no good backup is on record".into(), |old| format!("the last good backup is {} old", age(old)));
    let hint = "write one with `pupperware backup create`; if one was scheduled, see what its scheduler says";
    match (max_age, old) {
        _ if record.is_none() => Check::ok("platform", ID, "there is no platform yet"),
        (None, _) => Check::ok("platform", ID, format!("{found}; `backup.max_age` is not set")),
        (Some(max), Some(old)) if old.as_secs() <= max.seconds() => Check::ok("platform", ID, found),
        (Some(max), Some(_)) => Check::warning("platform", ID, format!("{found}, older than {max}"), hint),
        (Some(_), None) => Check::warning("platform", ID, found, hint),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Severity;
    use super::*;
    use crate::config::types::Setting;
    use crate::observed::Record;
    use crate::observed::record::BackedUp;

    fn checked(finished_at: Option<&str>, max_age: Option<&str>) -> (Severity, String) {
        let mut record = Record::next(None, semver::Version::new(8, 0, 0), None);
        record.backup = finished_at.map(|at| BackedUp { file: "x".into(), finished_at: at.into(), verified_at: None });
        let observed = Observed { record: Some(record), ..Observed::default() };
        let max_age = max_age.map(|text| Ttl::parse(text).unwrap());
        let check = last(&observed, max_age, "2026-11-21T12:00:00Z".parse().unwrap());
        assert_eq!(check.hint.is_some(), check.severity == Severity::Warning);
        (check.severity, check.found)
    }

    #[test]
    fn only_who_wants_young_backups_is_warned_of_old_ones() {
        let old = Some("2026-11-20T09:00:00Z");
        assert_eq!(
            checked(old, Some("26h")),
            (Severity::Warning, "the last good backup is 27h old, older than 26h".into())
        );
        assert_eq!(checked(old, Some("27h")), (Severity::Ok, "the last good backup is 27h old".into()));
        assert_eq!(checked(old, None).0, Severity::Ok);
        assert_eq!(checked(None, Some("26h")), (Severity::Warning, "no good backup is on record".into()));
        assert_eq!(checked(Some("yesterday"), Some("26h")).0, Severity::Warning);
        assert_eq!(
            checked(None, None),
            (Severity::Ok, "no good backup is on record; `backup.max_age` is not set".into())
        );
    }

    #[test]
    fn a_clock_that_was_set_back_is_no_reason_to_warn() {
        let found = checked(Some("2026-11-21T13:00:00Z"), Some("26h"));
        assert_eq!(found, (Severity::Ok, "the last good backup is 0s old".into()));
    }

    #[test]
    fn where_nothing_is_nothing_is_missing() {
        let check = last(&Observed::default(), Some(Ttl::days(1)), Timestamp::now());
        assert_eq!((check.severity, check.found.as_str()), (Severity::Ok, "there is no platform yet"));
    }
}
