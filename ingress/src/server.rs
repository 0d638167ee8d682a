//! The HTTP/1.1 server: one task a connection, all of them bounded in number, in the time that a head may take, and in
//! the time that they get when the service stops.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use runtime::config::Config;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::error::chain;
use crate::metrics::HttpMetrics;
use crate::route::Counted;

/// Bytes of a head that the connection reads before it gives up, and of a body that it reads ahead.
const READ_BUFFER: usize = 64 * 1024;
const MOST_HEADERS: usize = 128;
/// A listener fails when the process has no file handle left: wait for one instead of spinning.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Serves `router` until `shutdown`, then gives open connections the grace of the configuration.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    config: &Config,
    metrics: &HttpMetrics,
    shutdown: &CancellationToken,
) {
    let server = Server::new(router, config, metrics.clone());
    let mut connections = JoinSet::new();
    let graceful = GracefulShutdown::new();
    while let Some((stream, permit)) = shutdown.run_until_cancelled(server.accept(&listener)).await {
        let connection = graceful.watch(server.connection(stream));
        let (counted, failed) = (Counted::new(metrics.connections.clone()), metrics.failed_connections.clone());
        connections.spawn(async move {
            let _held = (permit, counted);
            if let Err(error) = connection.await {
                failed.inc();
                tracing::debug!(error = chain(&error), "connection failed");
            }
        });
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    if timeout(config.shutdown.grace, graceful.shutdown()).await.is_err() {
        tracing::warn!(connections = connections.len(), "connections cut at the end of the shutdown grace");
    }
    connections.shutdown().await;
}

struct Server {
    http: http1::Builder,
    router: Router,
    room: Arc<Semaphore>,
    metrics: HttpMetrics,
}

impl Server {
    fn new(router: Router, config: &Config, metrics: HttpMetrics) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.ingress.header_timeout)
            .max_headers(MOST_HEADERS)
            .max_buf_size(READ_BUFFER);
        Self { http, router, room: Arc::new(Semaphore::new(config.ingress.max_connections)), metrics }
    }

    /// The next connection, once there is room for it. Until then it waits in the system's queue.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, Option<OwnedSemaphorePermit>) {
        let permit = Arc::clone(&self.room).acquire_owned().await.ok();
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    self.metrics.accepted_connections.inc();
                    return (stream, permit);
                }
                Err(error) => {
                    tracing::warn!(error = %error, "connection not accepted");
                    tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
                }
            }
        }
    }

    fn connection(&self, stream: TcpStream) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
        // Without it an answer's last packet may wait 40 ms for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "TCP_NODELAY not set");
        }
        self.http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(self.router.clone()))
    }
}
