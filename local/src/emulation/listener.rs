//! Listening on a port: bind with a clear sentence when it is taken, serve HTTP/1, stop without cutting answers off.

use std::{error::Error, net::SocketAddr, sync::Arc, time::Duration};

use hyper::{body::Incoming, server::conn::http1, service::Service};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, oneshot},
    task::JoinHandle,
};

/// How long open connections may take to finish when a server stops.
const STOP_LIMIT: Duration = Duration::from_secs(3);
/// How many connections of one server may be open. Further ones wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 1024;
/// How long to wait before accepting again after a failed accept: the process may be out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody else listens there.
    #[error("port {port} is taken; choose another one with {flag}")]
    Taken {
        /// The port.
        port: u16,
        /// What changes it.
        flag: &'static str,
    },
    /// Anything else.
    #[error("cannot listen on {address}")]
    Other {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// Binds; `flag` is what the operator would change.
pub async fn bind(address: SocketAddr, flag: &'static str) -> Result<TcpListener, BindError> {
    TcpListener::bind(address).await.map_err(|source| match source.kind() {
        std::io::ErrorKind::AddrInUse => BindError::Taken { port: address.port(), flag },
        _ => BindError::Other { address, source },
    })
}

/// Where a fresh listener listens.
pub fn address(listener: &TcpListener) -> SocketAddr {
    listener.local_addr().expect("a bound socket has an address")
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Server {
    /// `http://` and its address.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Accepts nothing more, lets open requests finish for a while, then cuts.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        let _ = tokio::time::timeout(STOP_LIMIT + Duration::from_secs(1), &mut self.task).await;
        self.task.abort();
    }
}

/// Serves until stopped. `service` makes the service of one connection, given its peer.
pub fn serve<S, B>(listener: TcpListener, service: impl Fn(SocketAddr) -> S + Send + 'static) -> Server
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    serve_at_most(MAX_CONNECTIONS, listener, service)
}

fn serve_at_most<S, B>(
    connections: usize,
    listener: TcpListener,
    service: impl Fn(SocketAddr) -> S + Send + 'static,
) -> Server
where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let address = address(&listener);
    let (stop, stopped) = oneshot::channel();
    Server { address, stop: Some(stop), task: tokio::spawn(accept(connections, listener, service, stopped)) }
}

async fn accept<S, B>(
    connections: usize,
    listener: TcpListener,
    service: impl Fn(SocketAddr) -> S + Send + 'static,
    mut stopped: oneshot::Receiver<()>,
) where
    S: Service<http::Request<Incoming>, Response = http::Response<B>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let graceful = GracefulShutdown::new();
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(30));
    let places = Arc::new(Semaphore::new(connections));
    let next = async || (places.clone().acquire_owned().await, listener.accept().await);
    loop {
        let (place, accepted) = tokio::select! {
            next = next() => next,
            _ = &mut stopped => break,
        };
        let Ok((stream, peer)) = accepted else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let _ = stream.set_nodelay(true);
        let connection = graceful.watch(http.serve_connection(TokioIo::new(stream), service(peer)));
        tokio::spawn(async move {
            // A client that hangs up is its own business.
            let _ = connection.await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(STOP_LIMIT, graceful.shutdown()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;
    use std::convert::Infallible;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_connection_beyond_the_limit_waits_until_another_one_ends() {
        let answer = |_| async { Ok::<_, Infallible>(http::Response::new(Full::<bytes::Bytes>::default())) };
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), "--port").await.unwrap();
        let server = serve_at_most(1, listener, move |_| hyper::service::service_fn(answer));
        let connect = async || {
            let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
            stream.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
            stream
        };
        let mut byte = [0];
        let mut first = connect().await;
        first.read_exact(&mut byte).await.unwrap();
        let mut second = connect().await;
        tokio::time::timeout(Duration::from_millis(100), second.read_exact(&mut byte)).await.unwrap_err();
        drop(first);
        second.read_exact(&mut byte).await.unwrap();
        server.stop().await;
    }
}
