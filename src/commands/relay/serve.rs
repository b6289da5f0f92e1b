//! `pupperware relay serve`.

use crate::cli::relay::serve::ServeArgs;
use crate::error::{Error, Result};
use crate::report::Report;

/// Serves until it is asked to end.
pub(super) async fn run(args: &ServeArgs, _report: &Report) -> Result<u8> {
    Err(Error::failed(format!("the server for {} is not built yet", args.listen)))
}
