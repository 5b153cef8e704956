//! HTTP on an ephemeral loopback port: what every server and client of these tests stands on.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::{Service, service_fn};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// A whole answer, as the fakes give it.
pub(crate) type Answer = Response<Full<Bytes>>;

/// A server on `127.0.0.1`, stopped when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves each connection with a clone of `service`.
    ///
    /// A service that returns an error closes the connection without an answer.
    pub(crate) async fn start<S, B>(service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
        S::Future: Send,
        S::Error: Into<Box<dyn Error + Send + Sync>>,
        B: Body + Send + 'static,
        B::Data: Send,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        Self::listen(|listener| serve(listener, service)).await
    }

    /// Serves whole requests with `handler`; `None` closes the connection without an answer.
    pub(crate) async fn answering<H, F>(handler: H) -> Self
    where
        H: Fn(Request<Bytes>) -> F + Clone + Send + 'static,
        F: Future<Output = Option<Answer>> + Send + 'static,
    {
        Self::start(service_fn(move |request| {
            let handler = handler.clone();
            async move {
                let request = collected(request).await.ok_or(Closed)?;
                handler(request).await.ok_or(Closed)
            }
        }))
        .await
    }

    /// Binds an ephemeral port and runs `serving` on it.
    pub(crate) async fn listen<F>(serving: impl FnOnce(TcpListener) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free loopback port");
        let address = listener.local_addr().expect("the port just bound");
        Self { address, task: tokio::spawn(serving(listener)) }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint as the AWS settings want it, without a slash at its end.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Sends one request on a connection of its own and reads the whole answer.
///
/// Method, path and headers go out as they are: a signed request stays valid.
pub(crate) async fn send(address: SocketAddr, request: Request<Bytes>) -> hyper::Result<Response<Bytes>> {
    let stream = TcpStream::connect(address).await.expect("a server on loopback");
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let (head, body) = sender.send_request(request.map(Full::new)).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    connection.abort();
    Ok(Response::from_parts(head, body))
}

/// An answer with a status, a content type and a body.
pub(crate) fn answer(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(Full::new(body.into()))
        .expect("a valid content type")
}

/// Accepts until dropped, and with it closes every connection.
async fn serve<S, B>(listener: TcpListener, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let connection = server::Builder::new().serve_connection(TokioIo::new(stream), service.clone());
        connections.spawn(connection);
        while connections.try_join_next().is_some() {}
    }
}

/// The request with its whole body, or `None` when the client went away meanwhile.
async fn collected(request: Request<Incoming>) -> Option<Request<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    Some(Request::from_parts(head, body))
}

/// Why hyper closes a connection: a fault was asked for, or the client is gone.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl Error for Closed {}
