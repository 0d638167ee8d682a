//! A TCP proxy between two processes whose link can be cut, frozen and mended without touching either.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the link does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Passes everything.
    Up,
    /// Keeps connections and passes nothing.
    Frozen,
    /// Breaks connections and accepts none.
    Cut,
}

/// The proxy. Works while it lives.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: Arc<watch::Sender<Link>>,
    breaks: Arc<watch::Sender<()>>,
    upstream: Arc<Mutex<String>>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts one before `upstream` (`127.0.0.1:4222`).
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (link, breaks) = (Arc::new(watch::Sender::new(Link::Up)), Arc::new(watch::Sender::new(())));
        let mut tasks = JoinSet::new();
        let upstream = Arc::new(Mutex::new(upstream.to_owned()));
        tasks.spawn(accept(listener, Arc::clone(&upstream), Arc::clone(&link), Arc::clone(&breaks)));
        Self { address, link, breaks, upstream, _tasks: tasks }
    }

    /// Where to connect instead of to the upstream.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads connections to come to another upstream.
    pub fn lead_to(&self, upstream: &str) {
        upstream.clone_into(&mut self.upstream.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Breaks every connection there is; those to come pass.
    pub fn break_connections(&self) {
        self.breaks.send_replace(());
    }

    /// Changes the link, for connections there are and to come.
    pub fn set(&self, link: Link) {
        self.link.send_replace(link);
    }
}

async fn accept(
    listener: TcpListener,
    upstream: Arc<Mutex<String>>,
    link: Arc<watch::Sender<Link>>,
    breaks: Arc<watch::Sender<()>>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                let upstream = upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
                connections.spawn(connection(client, upstream, link.subscribe(), breaks.subscribe()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(
    client: TcpStream,
    upstream: String,
    mut link: watch::Receiver<Link>,
    mut breaks: watch::Receiver<()>,
) {
    if *link.borrow() == Link::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    // Small messages must not wait for the peer's acknowledgement.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let cut = link.clone();
    tokio::select! {
        () = pass(from_client, to_server, link.clone()) => {}
        () = pass(from_server, to_client, cut) => {}
        _ = link.wait_for(|state| *state == Link::Cut) => {}
        _ = breaks.changed() => {}
    }
}

/// Ends when either side does.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut link: watch::Receiver<Link>) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        let passing = link.wait_for(|state| *state == Link::Up).await.is_ok();
        if !passing || to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
