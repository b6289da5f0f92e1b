//! The rules: pure functions from evidence to findings, one file a theme.
//!
//! Each theme lists its rules; together they are the table that `docs/reference/audit.md` is made from.

pub mod access;
pub mod certificates;
pub mod containers;
pub mod database;
pub mod exposure;
pub mod files;
pub mod images;
pub mod mounts;
pub mod secrets;
#[cfg(test)]
mod tests;

use super::model::{Evidence, Finding, Rule};

/// Rules about one thing.
pub struct Theme {
    /// For people.
    pub title: &'static str,
    /// Its rules.
    pub rules: &'static [&'static Rule],
    /// Finds where they are broken.
    pub check: fn(&Evidence) -> Vec<Finding>,
}

/// All themes, in the order of the reference.
pub const THEMES: [Theme; 9] = [
    exposure::THEME,
    containers::THEME,
    mounts::THEME,
    secrets::THEME,
    files::THEME,
    certificates::THEME,
    access::THEME,
    database::THEME,
    images::THEME,
];

/// Every rule.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    THEMES.iter().flat_map(|theme| theme.rules.iter().copied())
}
