//! What the Responses API remembers: the options and the input of a response, going on from one, naming items of one,
//! showing one again, and its stream from any point.

pub(crate) mod chain;
pub(crate) mod kept;
pub(crate) mod references;
pub(crate) mod shown;
pub(crate) mod stream;

use axum::extract::Path;
use schemas::id::JobId;

use crate::app::App;
use crate::auth::Caller;
use crate::error::ApiError;
use crate::lookup::{self, Found};

/// A response that its client may see.
pub(crate) struct Known {
    /// Its job's id.
    pub(crate) id: JobId,
    /// Its job.
    pub(crate) found: Found,
    /// What its client asked for.
    pub(crate) options: kept::Options,
}

/// The response named in a path, unless it was deleted or was never to be kept.
pub(crate) async fn find(app: &App, caller: &Caller, Path(text): Path<String>) -> Result<Known, ApiError> {
    let id = text.parse().map_err(|_| unknown(&text))?;
    known(app, caller, id).await
}

/// The response `id`.
pub(crate) async fn known(app: &App, caller: &Caller, id: JobId) -> Result<Known, ApiError> {
    let found = lookup::find(app, &caller.tenant, id).await?;
    let options = kept::options(app, id, &found).await?;
    if !options.store {
        return Err(unknown(&id.prefixed("resp_")));
    }
    Ok(Known { id, found, options })
}

fn unknown(id: &str) -> ApiError {
    let shown: String = id.chars().filter(char::is_ascii_graphic).take(64).collect();
    ApiError::not_found(format!("no response with the id `{shown}`"))
}
