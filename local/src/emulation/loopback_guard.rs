//! Refuses requests of foreign web pages to listeners on loopback.
//!
//! A page of any website can send requests to `127.0.0.1` from a browser on this host. Two headers that a page cannot
//! change reveal it: `Origin` names the page's site, and `Host` the name in the URL, which is the page's own name if
//! DNS rebinding resolves it to `127.0.0.1`.

use std::net::SocketAddr;

use http::{
    Request, Uri,
    header::{self, HeaderValue},
    uri::Authority,
};

/// The names of loopback in a URL, as [`Authority::host`] returns them.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The host names that a listener accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hosts {
    /// Any name: a reverse proxy passes the public name on. Safe where each request carries a credential that a foreign
    /// page does not have.
    Any,
    /// Names of loopback with any port, and origins with such names.
    Loopback,
}

impl Hosts {
    /// Whether the request may be answered.
    pub fn admit<B>(self, request: &Request<B>) -> bool {
        match self {
            Self::Any => true,
            Self::Loopback => names_loopback(request) && origins(request).all(is_loopback_origin),
        }
    }
}

/// Whether the request comes from no page, and is addressed to exactly `own`.
pub fn is_for<B>(request: &Request<B>, own: SocketAddr) -> bool {
    let own = own.to_string();
    origins(request).next().is_none() && authorities(request, |authority| authority.as_str() == own)
}

fn names_loopback<B>(request: &Request<B>) -> bool {
    authorities(request, |authority| {
        // The part before an `@` is not the host, and no browser sends one.
        let name = authority.host();
        !authority.as_str().contains('@') && LOOPBACK_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
    })
}

/// Whether there is exactly one `Host`, and it and the authority of an absolute target are accepted.
fn authorities<B>(request: &Request<B>, is_right: impl Fn(&Authority) -> bool) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let host = host.to_str().ok().and_then(|host| host.parse().ok());
    host.is_some_and(|host| is_right(&host)) && request.uri().authority().is_none_or(is_right)
}

/// The headers that a browser adds to the request of a page.
fn origins<B>(request: &Request<B>) -> impl Iterator<Item = &HeaderValue> {
    request.headers().get_all(header::ORIGIN).iter()
}

fn is_loopback_origin(origin: &HeaderValue) -> bool {
    let uri: Option<Uri> = origin.to_str().ok().and_then(|origin| origin.parse().ok());
    uri.is_some_and(|uri| {
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        is_web && uri.host().is_some_and(|name| LOOPBACK_NAMES.iter().any(|known| name.eq_ignore_ascii_case(known)))
    })
}
