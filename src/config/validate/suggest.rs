//! "Did you mean": the nearest known name.

use crate::config::keys;

/// What to say about an unknown key of a section (`""` for the top level).
pub fn unknown(name: &str, section: &str, known: &[&str]) -> Option<String> {
    if let Some(near) = nearest(name, known) {
        return Some(format!("did you mean `{near}`?"));
    }
    let full = |path: &&str| !section.is_empty() || path.contains('.');
    let paths = keys::KEYS.iter().map(|key| key.path).filter(full);
    let elsewhere: Vec<String> =
        paths.filter(|path| path.rsplit('.').next() == Some(name)).map(|path| format!("`{path}`")).collect();
    if !elsewhere.is_empty() && elsewhere.len() <= 3 {
        return Some(format!("did you mean {}?", elsewhere.join(" or ")));
    }
    let list: Vec<String> = known.iter().map(|k| format!("`{k}`")).collect();
    Some(format!("known here: {}", list.join(", ")))
}

/// The known name that needs the fewest edits, if they are few for its length.
fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    // Nothing near can be that long, and distance is quadratic.
    if name.len() > 64 {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace(['-', ' ', '.'], "_");
    let name = plain(name);
    known
        .iter()
        .map(|k| (distance(&name, k), *k))
        .filter(|(d, k)| *d <= (k.len() / 3).max(1))
        .min_by_key(|(d, _)| *d)
        .map(|(_, k)| k)
}

/// Insertions, deletions, replacements and swaps of neighbours that make one text from the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_found() {
        let known = ["publish", "dns_alt_names", "heap", "cpus"];
        for (typed, meant) in
            [("pubish", "publish"), ("dns-alt-names", "dns_alt_names"), ("haep", "heap"), ("CPUs", "cpus")]
        {
            assert_eq!(nearest(typed, &known), Some(meant));
        }
        assert_eq!(nearest("colour", &known), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), &known), None);
    }

    #[test]
    fn keys_of_other_sections_are_pointed_at() {
        let said = unknown("node_ttl", "puppetserver", &["heap"]).unwrap_or_default();
        assert_eq!(said, "did you mean `puppetdb.node_ttl`?");
        let said = unknown("autosign", "", &["project"]).unwrap_or_default();
        assert_eq!(said, "did you mean `puppetserver.autosign`?");
        assert_eq!(unknown("colour", "code", &["dir"]).as_deref(), Some("known here: `dir`"));
    }
}
