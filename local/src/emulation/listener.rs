//! Listeners on TCP and on unix sockets: bind with a clear error when the port is taken, serve HTTP/1, stop without
//! cutting responses off.
//!
//! Opening a connection costs a client nothing, so the number per address is limited ([`crate::emulation::places`]),
//! and a silent connection is closed soon. A connection over the limit is accepted and closed at once: left in the
//! kernel's queue, it would block the connections behind it.

use std::{
    error::Error,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use crate::emulation::places::{CAPS, Caps, Place, Places};

/// How long open connections may take to finish when a server stops.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How long a new connection may take until its first request's header is complete.
const FIRST_HEADER_LIMIT: Duration = Duration::from_secs(5);
/// How long an open connection may take from one response until the next request's header is complete.
const NEXT_HEADER_LIMIT: Duration = Duration::from_secs(30);
/// The pause after a failed accept: the process may be out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The port cannot be bound.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process listens there.
    #[error("port {port} is taken; choose another one with {flag}")]
    Taken {
        /// The port.
        port: u16,
        /// The option that changes it.
        flag: &'static str,
    },
    /// Any other error.
    #[error("cannot listen on {address}")]
    Other {
        /// The address.
        address: SocketAddr,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The unix socket cannot be made.
    #[error("cannot listen on {path}")]
    Socket {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}

/// Binds a unix socket that its owner and group may use. A socket that a killed process has left is replaced; the lock
/// of the data directory makes sure that no other process uses it.
pub fn bind_socket(path: &Path) -> Result<UnixListener, BindError> {
    let bind = || {
        if std::fs::symlink_metadata(path).is_ok_and(|left| left.file_type().is_socket()) {
            std::fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660))?;
        Ok(listener)
    };
    bind().map_err(|source| BindError::Socket { path: path.to_owned(), source })
}

type BoxError = Box<dyn Error + Send + Sync>;

/// A service of HTTP whose connections run as tasks.
pub trait ServesHttp:
    Service<
        http::Request<Incoming>,
        Response = http::Response<<Self as ServesHttp>::Content>,
        Error: Into<BoxError>,
        Future: Send,
    > + Send
    + 'static
{
    /// The body of its responses.
    type Content: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> ServesHttp for S
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>, Error: Into<BoxError>, Future: Send>
        + Send
        + 'static,
    B: hyper::body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Content = B;
}

/// A bound listener of either kind.
trait Listens: Send + 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;
    type Peer: Send;

    /// The next connection, and the client that its requests come from.
    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::Peer)>> + Send;

    /// The address that a connection counts under, see [`Places`].
    fn counted(peer: &Self::Peer) -> IpAddr;
}

impl Listens for TcpListener {
    type Stream = TcpStream;
    type Peer = SocketAddr;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (stream, peer) = self.accept().await?;
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }

    fn counted(peer: &SocketAddr) -> IpAddr {
        peer.ip()
    }
}

impl Listens for UnixListener {
    type Stream = UnixStream;
    type Peer = ();

    async fn next(&self) -> io::Result<(UnixStream, ())> {
        self.accept().await.map(|(stream, _)| (stream, ()))
    }

    /// As a reverse proxy that connects over loopback.
    fn counted((): &()) -> IpAddr {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    }
}

/// Binds a listener. `flag` is the option that changes the port, for the error.
pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::Taken { port: address.port(), flag },
        _ => BindError::Other { address, source },
    })
}

/// The address of a bound listener.
pub fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address that it listens on.
    pub address: SocketAddr,
    running: Running,
}

/// A server that can be stopped.
#[derive(Debug)]
pub struct Running {
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `http://` and the address.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// See [`Running::stop`].
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

impl Running {
    /// Accepts no more connections, lets open requests finish for a limited time, then closes all.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(STOP_LIMIT + Duration::from_secs(1), &mut self.task).await;
        self.task.abort();
    }
}

/// Serves until stopped. `service` makes the service of one connection, given the peer's address.
pub fn serve<S: ServesHttp>(listener: TcpListener, service: impl Fn(SocketAddr) -> S + Send + 'static) -> Server {
    serve_within(CAPS, FIRST_HEADER_LIMIT, listener, service)
}

fn serve_within<S: ServesHttp>(
    caps: Caps,
    first_header_limit: Duration,
    listener: TcpListener,
    service: impl Fn(SocketAddr) -> S + Send + 'static,
) -> Server {
    let address = address(&listener);
    Server { address, running: run(caps, first_header_limit, listener, service) }
}

/// Serves a unix socket until stopped. `service` makes the service of one connection.
pub fn serve_socket<S: ServesHttp>(listener: UnixListener, service: impl Fn() -> S + Send + 'static) -> Running {
    run(CAPS, FIRST_HEADER_LIMIT, listener, move |()| service())
}

fn run<L: Listens, S: ServesHttp>(
    caps: Caps,
    first_header_limit: Duration,
    listener: L,
    service: impl Fn(L::Peer) -> S + Send + 'static,
) -> Running {
    let (stop, stopped) = oneshot::channel();
    let connections = Connections { http: http1(), graceful: GracefulShutdown::new(), first_header_limit };
    let task = tokio::spawn(connections.accept(Places::new(caps), listener, service, stopped));
    Running { stop: Some(stop), task }
}

fn http1() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(NEXT_HEADER_LIMIT);
    http
}

/// The connections of one listener.
struct Connections {
    http: http1::Builder,
    graceful: GracefulShutdown,
    first_header_limit: Duration,
}

impl Connections {
    async fn accept<L: Listens, S: ServesHttp>(
        self,
        places: Places,
        listener: L,
        service: impl Fn(L::Peer) -> S + Send + 'static,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let accepted = tokio::select! {
                accepted = listener.next() => accepted,
                _ = &mut stopped => break,
            };
            let Ok((stream, peer)) = accepted else {
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            if let Some(place) = places.take(L::counted(&peer)) {
                self.open(stream, service(peer), place);
            }
        }
        drop(listener);
        let _ = tokio::time::timeout(STOP_LIMIT, self.graceful.shutdown()).await;
    }

    fn open<S: ServesHttp>(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        service: S,
        place: Place,
    ) {
        let heard = Arc::new(Notify::new());
        let service = Heard { service, heard: heard.clone() };
        let connection = self.graceful.watch(self.http.serve_connection(TokioIo::new(stream), service));
        let limit = self.first_header_limit;
        tokio::spawn(async move {
            let stays_silent = async {
                if tokio::time::timeout(limit, heard.notified()).await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                // A client that closes its connection is no error of the server.
                _ = connection => {}
                () = stays_silent => {}
            }
            drop(place);
        });
    }
}

/// Wraps a service, and reports that a request has arrived.
struct Heard<S> {
    service: S,
    heard: Arc<Notify>,
}

impl<S: Service<http::Request<Incoming>>> Service<http::Request<Incoming>> for Heard<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: http::Request<Incoming>) -> Self::Future {
        self.heard.notify_one();
        self.service.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use std::convert::Infallible;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    /// Allows two connections from loopback, and 100 ms for the first header.
    async fn server() -> Server {
        let answer = |_| async { Ok::<_, Infallible>(http::Response::new(Full::<bytes::Bytes>::default())) };
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--port").await.unwrap();
        let caps = Caps { of_one_loopback: 2, ..CAPS };
        serve_within(caps, Duration::from_millis(100), listener, move |_| hyper::service::service_fn(answer))
    }

    /// Whether a response arrives; otherwise the server has closed the connection.
    async fn is_answered(stream: &mut TcpStream) -> bool {
        let _closed_already = stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
        stream.read_u8().await.is_ok()
    }

    #[tokio::test]
    async fn a_connection_beyond_its_addresss_share_is_closed_until_another_one_ends() {
        let server = server().await;
        let connect = async || TcpStream::connect(server.address).await.unwrap();
        let (mut first, mut second) = (connect().await, connect().await);
        assert!(is_answered(&mut first).await && is_answered(&mut second).await);
        assert!(!is_answered(&mut connect().await).await);
        drop(first);
        let closed_until_one_ends =
            tokio::time::timeout(Duration::from_secs(10), async { while !is_answered(&mut connect().await).await {} });
        closed_until_one_ends.await.unwrap();
        server.stop().await;
    }

    #[tokio::test]
    async fn a_connection_is_closed_that_sends_no_header_in_time_and_one_that_did_stays() {
        let server = server().await;
        let connect = async || TcpStream::connect(server.address).await.unwrap();
        let (mut silent, mut heard) = (connect().await, connect().await);
        silent.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
        assert!(is_answered(&mut heard).await);
        assert!(silent.read_u8().await.is_err(), "it is closed without an answer");
        // Twice the limit after the other request arrived.
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(is_answered(&mut heard).await, "it may take longer for its next request");
        server.stop().await;
    }
}
