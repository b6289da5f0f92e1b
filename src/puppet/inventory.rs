//! What a platform holds, counted: nodes, facts, catalogs and reports in the database, and everything of the CA. Taken
//! before an upgrade and compared after it. The commands only; where they run is for `execute`.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What the database holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Everything.
    pub all: Counts,
    /// What came since then: young enough for PuppetDB to keep it whatever it clears away.
    pub recent: Counts,
    /// RFC 3339.
    pub since: String,
}

/// How much there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Nodes.
    pub nodes: u64,
    /// Nodes with facts.
    pub facts: u64,
    /// Nodes with a catalog.
    pub catalogs: u64,
    /// Reports.
    pub reports: u64,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Everything: nobody has touched the database since.
    All,
    /// What is recent, exactly: PuppetDB may have cleared away what is old, and nobody has reported since.
    Recent,
    /// What is recent, at least: agents may have reported since.
    AtLeast,
}

impl Counts {
    /// For people.
    pub fn text(&self) -> String {
        let Counts { nodes, facts, catalogs, reports } = self;
        format!("{nodes} nodes, {facts} with facts, {catalogs} with a catalog, {reports} reports")
    }

    fn holds(&self, now: &Counts) -> bool {
        let Counts { nodes, facts, catalogs, reports } = *now;
        nodes >= self.nodes && facts >= self.facts && catalogs >= self.catalogs && reports >= self.reports
    }
}

impl Inventory {
    /// What differs now, in a line; nothing when all is there.
    pub fn differs(&self, now: &Inventory, part: Part) -> Option<String> {
        let (before, after, same) = match part {
            Part::All => (self.all, now.all, self.all == now.all),
            Part::Recent => (self.recent, now.recent, self.recent == now.recent),
            Part::AtLeast => (self.recent, now.recent, self.recent.holds(&now.recent)),
        };
        (!same).then(|| format!("before: {}; now: {}", before.text(), after.text()))
    }
}

/// From when on what came is recent, when it is kept for so many seconds.
pub fn since(now: Timestamp, kept_seconds: u64) -> Timestamp {
    let half = i64::try_from(kept_seconds / 2).unwrap_or(i64::MAX);
    now.saturating_sub(SignedDuration::from_secs(half)).unwrap_or(Timestamp::MIN)
}

/// The command that counts, in PostgreSQL's container.
pub fn count(since: Timestamp) -> Vec<String> {
    // Written by us: it cannot hold a quote.
    let recent = format!("producer_timestamp >= '{since}'");
    let has = |table: &str| format!("EXISTS (SELECT FROM {table} t WHERE t.certname = c.certname AND t.{recent})");
    let sql = format!(
        "SELECT (SELECT count(*) FROM certnames), (SELECT count(*) FROM factsets), (SELECT count(*) FROM catalogs), \
         (SELECT count(*) FROM reports), \
         (SELECT count(*) FROM certnames c WHERE {} OR {} OR {}), \
         (SELECT count(*) FROM factsets WHERE {recent}), (SELECT count(*) FROM catalogs WHERE {recent}), \
         (SELECT count(*) FROM reports WHERE {recent})",
        has("factsets"),
        has("catalogs"),
        has("reports")
    );
    let command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "puppetdb", "-w", "-X", "-A", "-t", "-q"];
    command.into_iter().chain(["-F", " ", "-v", "ON_ERROR_STOP=1", "-c", &sql]).map(String::from).collect()
}

/// Reads what [`count`] says.
///
/// # Errors
/// It is not eight numbers.
pub fn read(text: &str, since: Timestamp) -> Result<Inventory> {
    let numbers: Vec<u64> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    let [nodes, facts, catalogs, reports, recent_nodes, recent_facts, recent_catalogs, recent_reports] = numbers[..]
    else {
        return Err(Error::failed("the database cannot be counted").details([text.trim().to_owned()]));
    };
    Ok(Inventory {
        all: Counts { nodes, facts, catalogs, reports },
        recent: Counts { nodes: recent_nodes, facts: recent_facts, catalogs: recent_catalogs, reports: recent_reports },
        since: since.to_string(),
    })
}

/// The command that tells how many bytes the database has.
pub fn size() -> Vec<String> {
    let sql = "SELECT pg_database_size('puppetdb')";
    let command = ["psql", "-h", "/run/postgresql", "-U", "postgres", "-d", "postgres", "-w", "-X", "-A", "-t", "-q"];
    command.into_iter().chain(["-c", sql]).map(String::from).collect()
}

/// Everything of the CA in the volume at `/volumes/ca`, one thing a line: its certificate, every signed certificate and
/// every request with a hash, the inventory, and whatever is revoked.
const CA: &str = r#"
list() {
    cd /volumes/ca
    sha256sum ca_crt.pem
    for folder in signed requests; do
        [ ! -d "$folder" ] || find "$folder" -type f -name '*.pem' -exec sha256sum {} +
    done
    sed 's/^/inventory /' inventory.txt
    openssl crl -in ca_crl.pem -noout -text | sed -n 's/^ *Serial Number: */revoked /p'
}
umask 077
mkdir -p /volumes/state/upgrade
cd /volumes/state/upgrade
"#;

/// The command that writes the CA's inventory down, into the volume at `/volumes/state`; it says how many lines it has.
pub fn note_ca() -> Vec<String> {
    script("(list) > ca.new; sort -u ca.new > ca.sorted; rm ca.new; mv -f ca.sorted ca; wc -l < ca")
}

/// The command that says which of these lines are not there any more; more may have come.
pub fn compare_ca() -> Vec<String> {
    script("(list) > now.new; sort -u now.new > now; rm now.new; comm -23 ca now; rm now")
}

fn script(last: &str) -> Vec<String> {
    ["sh", "-euc", &format!("export LC_ALL=C{CA}{last}")].map(String::from).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(reports: u64) -> Counts {
        Counts { nodes: 3, facts: 3, catalogs: 2, reports }
    }

    fn inventory(all: u64, recent: u64) -> Inventory {
        Inventory { all: counts(all), recent: counts(recent), since: String::new() }
    }

    #[test]
    fn counts_are_read_and_compared() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let since = since(now, 7 * 86_400);
        assert_eq!(since.to_string(), "2026-11-18T00:00:00Z");
        let before = read("3 3 2 40 3 3 2 10\n", since).unwrap();
        assert_eq!((before.all, before.recent), (counts(40), counts(10)));
        assert!(read("3 3 2", since).is_err() && read("psql: error", since).is_err());

        assert_eq!(before.differs(&inventory(40, 10), Part::All), None);
        // PuppetDB cleared old reports away.
        assert_eq!(before.differs(&inventory(35, 10), Part::Recent), None);
        assert_eq!(
            before.differs(&inventory(35, 10), Part::All).unwrap(),
            "before: 3 nodes, 3 with facts, 2 with a catalog, 40 reports; now: 3 nodes, 3 with facts, 2 with a catalog, 35 reports"
        );
        assert!(before.differs(&inventory(41, 11), Part::Recent).is_some());
        assert_eq!(before.differs(&inventory(41, 11), Part::AtLeast), None);
        assert!(before.differs(&inventory(41, 9), Part::AtLeast).is_some());
    }
}
