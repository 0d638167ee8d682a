//! A TCP proxy between two processes whose link can be cut, frozen and mended without touching either, and that keeps a
//! book of the connections that it carried.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use runtime::clock;
use schemas::timestamp::Timestamp;
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

/// Changes what passes on one connection, as no honest network would.
pub trait Tamper: Send {
    /// What the server is given, for what the client sent.
    fn to_server(&mut self, bytes: &[u8]) -> Vec<u8>;
    /// What the client is given, for what the server sent.
    fn to_client(&mut self, bytes: &[u8]) -> Vec<u8>;
}

/// Makes one for each connection.
pub type Tampering = Arc<dyn Fn() -> Box<dyn Tamper> + Send + Sync>;

/// The proxy. Works while it lives.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    link: Arc<watch::Sender<Link>>,
    book: Book,
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
        Self::tampering(upstream, None).await
    }

    /// Starts one that may change what passes.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn tampering(upstream: &str, tampering: Option<Tampering>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let (link, book) = (Arc::new(watch::Sender::new(Link::Up)), Book::default());
        let (breaks, upstream) = (Arc::new(watch::Sender::new(())), Arc::new(Mutex::new(upstream.to_owned())));
        let way = Way {
            upstream: Arc::clone(&upstream),
            link: Arc::clone(&link),
            breaks: Arc::clone(&breaks),
            book: book.clone(),
            tampering,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, way));
        Self { address, link, book, breaks, upstream, _tasks: tasks }
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

    /// Whether, at some moment of these, a connection stood here or one was refused.
    #[must_use]
    pub fn was_used(&self, from: Timestamp, to: Timestamp) -> bool {
        let stood = |one: &Carried| one.opened <= to && one.closed.is_none_or(|closed| closed >= from);
        self.book.locked().iter().any(stood)
    }
}

/// One connection, from when to when.
#[derive(Debug)]
struct Carried {
    opened: Timestamp,
    closed: Option<Timestamp>,
}

/// Every connection so far.
#[derive(Debug, Clone, Default)]
struct Book(Arc<Mutex<Vec<Carried>>>);

impl Book {
    fn locked(&self) -> MutexGuard<'_, Vec<Carried>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a connection; it counts as closed when the entry is dropped.
    fn open(&self) -> Entry {
        let mut carried = self.locked();
        carried.push(Carried { opened: clock::now(), closed: None });
        Entry { book: self.clone(), index: carried.len() - 1 }
    }
}

struct Entry {
    book: Book,
    index: usize,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.book.locked()[self.index].closed = Some(clock::now());
    }
}

/// Where connections go, and what may happen to them.
#[derive(Clone)]
struct Way {
    upstream: Arc<Mutex<String>>,
    link: Arc<watch::Sender<Link>>,
    breaks: Arc<watch::Sender<()>>,
    book: Book,
    tampering: Option<Tampering>,
}

async fn accept(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((client, _)) = listener.accept() => {
                connections.spawn(connection(client, way.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(client: TcpStream, way: Way) {
    let mut link = way.link.subscribe();
    let mut breaks = way.breaks.subscribe();
    let upstream = way.upstream.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if *link.borrow() == Link::Cut {
        drop(way.book.open());
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _entry = way.book.open();
    // Small messages must not wait for the peer's acknowledgement.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let tamper = way.tampering.map(|make| Mutex::new(make()));
    let there = |bytes: &[u8]| tampered(tamper.as_ref(), |tamper| tamper.to_server(bytes));
    let back = |bytes: &[u8]| tampered(tamper.as_ref(), |tamper| tamper.to_client(bytes));
    tokio::select! {
        () = pass(from_client, to_server, link.clone(), there) => {}
        () = pass(from_server, to_client, link.clone(), back) => {}
        _ = link.wait_for(|state| *state == Link::Cut) => {}
        _ = breaks.changed() => {}
    }
}

fn tampered(
    tamper: Option<&Mutex<Box<dyn Tamper>>>,
    change: impl FnOnce(&mut dyn Tamper) -> Vec<u8>,
) -> Option<Vec<u8>> {
    tamper.map(|tamper| change(tamper.lock().unwrap_or_else(PoisonError::into_inner).as_mut()))
}

/// Ends when either side does.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut link: watch::Receiver<Link>,
    tamper: impl Fn(&[u8]) -> Option<Vec<u8>>,
) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(bytes @ 1..) = from.read(&mut buffer).await {
        let passing = link.wait_for(|state| *state == Link::Up).await.is_ok();
        let changed = tamper(&buffer[..bytes]);
        if !passing || to.write_all(changed.as_deref().unwrap_or(&buffer[..bytes])).await.is_err() {
            return;
        }
    }
}
