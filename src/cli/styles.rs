//! The colours of help texts and usage errors; the same meanings as in `report::style`.

use clap::builder::Styles;

use crate::report::style::{BAD, GOOD, HEADER, HINT, WARN};

/// For every command.
pub(super) const STYLES: Styles = Styles::styled()
    .header(HEADER.underline())
    .usage(HEADER.underline())
    .literal(HINT)
    .valid(GOOD)
    .invalid(WARN)
    .error(BAD);
