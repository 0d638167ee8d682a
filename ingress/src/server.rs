//! The HTTP/1.1 server: one task a connection, all of them bounded in number, in the time that a head may take and that
//! an answer may lie unread, and in the time that they get when the service stops.

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
use crate::stall::Unstalled;

type Connection = http1::Connection<TokioIo<Unstalled<TcpStream>>, TowerToHyperService<Router>>;

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
    write_timeout: Duration,
    metrics: HttpMetrics,
}

impl Server {
    fn new(router: Router, config: &Config, metrics: HttpMetrics) -> Self {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(config.ingress.header_timeout)
            .max_headers(MOST_HEADERS)
            .max_buf_size(READ_BUFFER);
        let room = Arc::new(Semaphore::new(config.ingress.max_connections));
        Self { http, router, room, write_timeout: config.ingress.write_timeout, metrics }
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

    fn connection(&self, stream: TcpStream) -> Connection {
        // Without it an answer's last packet may wait 40 ms for the client's acknowledgement.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(error = %error, "TCP_NODELAY not set");
        }
        let stream = TokioIo::new(Unstalled::new(stream, self.write_timeout));
        self.http.serve_connection(stream, TowerToHyperService::new(self.router.clone()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;

    use axum::routing::get;
    use prometheus::Registry;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;

    use super::*;
    use crate::metrics::IngressMetrics;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";

    struct Running {
        address: SocketAddr,
        metrics: HttpMetrics,
        shutdown: CancellationToken,
        server: JoinSet<()>,
    }

    /// A server whose only handler tells that it was reached and answers once it is let go.
    async fn start(settings: &[(&str, &str)], reached: &Arc<Notify>, go: &Arc<Notify>) -> Running {
        let settings: BTreeMap<String, String> =
            settings.iter().map(|(name, value)| (format!("PORTBROKER_{name}"), (*value).to_owned())).collect();
        let config = runtime::config::load(None, &settings).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let metrics = IngressMetrics::register(&Registry::new()).unwrap().http;
        let shutdown = CancellationToken::new();
        let (reached, go) = (Arc::clone(reached), Arc::clone(go));
        let handler = move || async move {
            reached.notify_one();
            go.notified().await;
            "whole"
        };
        // More than the system takes for a peer that does not read.
        let large = || async { vec![b' '; 64 << 20] };
        let router = Router::new().route("/", get(handler)).route("/large", get(large));
        let (counted, stop) = (metrics.clone(), shutdown.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { serve(listener, router, &config, &counted, &stop).await });
        Running { address, metrics, shutdown, server }
    }

    async fn answer(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        while !text.ends_with(b"whole") && stream.read_buf(&mut text).await.unwrap() > 0 {}
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn open_requests_are_answered_before_the_server_ends() {
        let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut running = start(&[], &reached, &go).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        reached.notified().await;
        running.shutdown.cancel();
        go.notify_one();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
        running.server.join_next().await.unwrap().unwrap();
        assert_eq!(running.metrics.connections.get(), 0);
        assert!(TcpStream::connect(running.address).await.is_err(), "nobody listens any more");
    }

    #[tokio::test]
    async fn a_request_that_outlasts_the_grace_is_cut() {
        let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let mut running = start(&[("SHUTDOWN__GRACE", "50ms")], &reached, &go).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(REQUEST).await.unwrap();
        reached.notified().await;
        running.shutdown.cancel();
        running.server.join_next().await.unwrap().unwrap();
        assert_eq!(answer(&mut client).await, "");
    }

    #[tokio::test]
    async fn connections_beyond_the_limit_wait() {
        let (reached, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let running = start(&[("INGRESS__MAX_CONNECTIONS", "1")], &reached, &go).await;
        let mut first = TcpStream::connect(running.address).await.unwrap();
        first.write_all(REQUEST).await.unwrap();
        reached.notified().await;
        let mut second = TcpStream::connect(running.address).await.unwrap();
        second.write_all(REQUEST).await.unwrap();
        go.notify_one();
        assert!(answer(&mut first).await.ends_with("whole"));
        assert_eq!(running.metrics.accepted_connections.get(), 1);
        drop(first);
        go.notify_one();
        assert!(answer(&mut second).await.ends_with("whole"));
        assert_eq!(running.metrics.accepted_connections.get(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_not_kept() {
        let nobody = Arc::new(Notify::new());
        let mut running = start(&[("INGRESS__WRITE_TIMEOUT", "50ms")], &nobody, &nobody).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        client.read_u8().await.unwrap();
        running.shutdown.cancel();
        running.server.join_next().await.unwrap().unwrap();
        assert_eq!(running.metrics.failed_connections.get(), 1, "it ended by itself, not by the grace of the shutdown");
    }

    #[tokio::test]
    async fn half_a_head_is_not_waited_for() {
        let nobody = Arc::new(Notify::new());
        let running = start(&[("INGRESS__HEADER_TIMEOUT", "50ms")], &nobody, &nobody).await;
        let mut client = TcpStream::connect(running.address).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        assert_eq!(answer(&mut client).await, "");
        assert_eq!(running.metrics.failed_connections.get(), 1);
    }
}
