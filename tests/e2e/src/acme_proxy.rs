//! A proxy in front of an ACME server, which notes what passes, speaks what the server behind it does not, and breaks what a test wants broken.
//!
//! The server behind it believes the proxy's address to be its own (it reads `Host`), so every URL in its answers leads back here and signed
//! requests pass unchanged.

mod message;
mod script;
mod server;

use std::{
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

pub use message::{AcmeRequest, AcmeStep};
pub use script::{AcmeFault, Moment, RenewalWindow};

use crate::error::GuardError;
use script::Script;
use server::Server;

pub(crate) use server::client;

/// What the proxy is made of.
#[derive(Debug)]
pub(crate) struct Upstream<'a> {
    /// Where the server listens; it serves TLS there with the same certificate.
    pub address: SocketAddr,
    /// The path of its directory.
    pub directory: &'static str,
    /// The authority that signed its certificate, in PEM.
    pub ca: &'a Path,
    /// The certificate that the proxy shows too, for `localhost`, in PEM.
    pub certificate: &'a Path,
    /// Its key, in PEM.
    pub key: &'a Path,
}

/// A running proxy. It has a thread of its own, so tests with and without a runtime can use it; dropping it ends it.
#[derive(Debug)]
pub struct AcmeProxy {
    server: Server,
    directory: &'static str,
    script: SharedScript,
}

/// What the proxy's thread and the test share.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedScript(Arc<Mutex<Script>>);

impl SharedScript {
    fn lock(&self) -> MutexGuard<'_, Script> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AcmeProxy {
    pub(crate) fn start(upstream: &Upstream<'_>) -> Result<Self, GuardError> {
        let script = SharedScript::default();
        let server = Server::start(upstream, script.clone())?;
        Ok(Self { server, directory: upstream.directory, script })
    }

    /// The URL of the directory.
    pub fn directory_url(&self) -> String {
        format!("https://localhost:{}{}", self.server.address().port(), self.directory)
    }

    /// The next `times` requests of this kind go wrong.
    pub fn inject(&self, step: AcmeStep, times: usize, fault: AcmeFault) {
        self.script.lock().inject(step, times, fault);
    }

    /// No request goes wrong any more.
    pub fn heal(&self) {
        self.script.lock().heal();
    }

    /// Runs `action` once, at the next request of this kind, and cuts the connection then: the client is not to hear of it.
    pub fn interrupt(&self, step: AcmeStep, moment: Moment, action: impl FnOnce() + Send + 'static) {
        self.script.lock().interrupt(step, moment, Box::new(action));
    }

    /// Whether the action of [`Self::interrupt`] is still to come.
    pub fn is_armed(&self) -> bool {
        self.script.lock().is_armed()
    }

    /// Offers ARI (RFC 9773): the directory names `renewalInfo`, and every certificate is to be renewed in this window. `None` takes it back.
    pub fn set_renewal_window(&self, window: Option<RenewalWindow>) {
        self.script.lock().window = window;
    }

    /// Offers these profiles in the directory's `meta.profiles`.
    pub fn set_profiles(&self, names: &[&str]) {
        self.script.lock().profiles = names.iter().map(|name| (*name).to_owned()).collect();
    }

    /// All requests so far whose fate is known, in the order in which they were answered or cut.
    pub fn seen(&self) -> Vec<AcmeRequest> {
        self.script.lock().seen.clone()
    }

    /// Forgets what has passed so far.
    pub fn forget(&self) {
        self.script.lock().seen.clear();
    }

    /// The requests so far of this kind that the server accepted.
    pub fn accepted(&self, step: AcmeStep) -> Vec<AcmeRequest> {
        let accepted = |request: &AcmeRequest| request.step == step && request.is_accepted();
        self.seen().into_iter().filter(accepted).collect()
    }

    /// The URLs of the accounts that the server has given out, each once.
    pub fn accounts(&self) -> Vec<String> {
        let mut urls: Vec<String> =
            self.accepted(AcmeStep::NewAccount).into_iter().filter_map(|request| request.location).collect();
        urls.sort();
        urls.dedup();
        urls
    }

    /// How many signed requests the server took, and how many it refused for their nonce.
    pub fn nonces(&self) -> (usize, usize) {
        let seen = self.seen();
        let refused =
            |request: &&AcmeRequest| request.problem.as_deref().is_some_and(|kind| kind.ends_with(":badNonce"));
        let signed = seen.iter().filter(|request| request.is_signed() && request.status.is_some()).count();
        let refused = seen.iter().filter(refused).count();
        (signed - refused, refused)
    }
}
