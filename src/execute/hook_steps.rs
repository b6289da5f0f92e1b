//! The step that calls the user's hook.

use crate::config::types::Place;
use crate::error::{Error, Result};
use crate::hook::{self, Occasion};

/// Calls it, beside everything else that goes on.
pub(super) async fn call(place: &Place, occasion: &Occasion) -> Result<()> {
    let (place, occasion) = (place.clone(), occasion.clone());
    let called = tokio::task::spawn_blocking(move || hook::call(&place, &occasion)).await;
    let called = called.map_err(|e| Error::failed("the hook was given up").because(e))?;
    called.map_err(|error| error.hint("nothing was changed; when the hook's reason is gone, type the command again"))
}
