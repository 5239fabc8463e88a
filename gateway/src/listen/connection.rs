//! What is known of a connection, for each of its requests.

use std::{
    net::IpAddr,
    sync::atomic::{AtomicBool, Ordering},
};

use http::{Request, Version};

use super::{
    forwarded::{ClientAddr, Seen, TrustedProxies},
    open_requests::{OpenRequests, Patience},
    tls::ClientIdentity,
};

/// A connection that is about to be served, or is.
pub(super) struct Connection {
    peer: IpAddr,
    proxies: TrustedProxies,
    security: Security,
    begun: AtomicBool,
    streams: AtomicBool,
    pub(super) requests: OpenRequests,
}

/// What protects a connection.
#[derive(Debug)]
pub(super) enum Security {
    /// Nothing, where nothing should.
    Clear,
    /// Nothing, where TLS is spoken: the client is sent there.
    Missing,
    /// TLS, with whom the client's certificate names.
    Tls(Option<ClientIdentity>),
}

impl Connection {
    pub(super) fn new(peer: IpAddr, proxies: TrustedProxies, security: Security, patience: Patience) -> Self {
        Self {
            peer,
            proxies,
            security,
            begun: AtomicBool::new(false),
            streams: AtomicBool::new(false),
            requests: OpenRequests::new(patience),
        }
    }

    pub(super) const fn is_missing_tls(&self) -> bool {
        matches!(self.security, Security::Missing)
    }

    /// Notes that the head of a request has come.
    pub(super) fn begin(&self, version: Version) {
        self.begun.store(true, Ordering::Relaxed);
        if version == Version::HTTP_2 {
            self.streams.store(true, Ordering::Relaxed);
        }
    }

    /// Whether the head of a request has come.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether it is known to be of HTTP/2, which has several requests at once.
    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// Tells the service who asks, and how. The first of it is returned as well.
    pub(super) fn describe<B>(&self, request: &mut Request<B>) -> ClientAddr {
        let tls = matches!(self.security, Security::Tls(_));
        let Seen { address, reached } = self.proxies.seen(self.peer, tls, request.headers());
        let client = ClientAddr(address);
        let extensions = request.extensions_mut();
        extensions.insert(client);
        if let Some(reached) = reached {
            extensions.insert(reached);
        }
        if let Security::Tls(Some(identity)) = &self.security {
            extensions.insert(identity.clone());
        }
        client
    }
}
