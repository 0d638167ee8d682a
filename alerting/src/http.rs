//! The HTTP clients of alerting.

use std::time::Duration;

use crate::error::AlertingError;

/// A client for calls to what others run: bounded in time, and never led elsewhere, which would take secrets along.
pub(crate) fn client(connect: Duration, whole: Duration) -> Result<reqwest::Client, AlertingError> {
    let client = reqwest::Client::builder().connect_timeout(connect).timeout(whole).tcp_nodelay(true);
    let client = client.redirect(reqwest::redirect::Policy::none()).build();
    client.map_err(|error| AlertingError::Client(error.without_url()))
}
