//! The issuer: everything between a socket and the store.
//!
//! A request goes `router` -> `http/*` (parse, call, render) -> `flows/*` (authenticate, decide, record, sign) -> the store. Handlers hold no
//! rules and flows hold no HTTP; [`http::problem`] alone maps a flow's error to a response.
//!
//! | module | holds |
//! |---|---|
//! | [`app`], [`settings`] | what an issuer is made of, and how it is set up |
//! | [`router`], [`http`] | the public and the admin surface |
//! | [`flows`] | the use cases: open a session, mint a token, look after the keys |
//! | [`key_cache`], [`x509`] | the signing keys in memory, and the key set that is published |
//! | [`backend`], [`mock_backend`] | the session backend, and its stand-in |
//! | [`upstream`] | the keys of the CI platforms whose tokens are accepted |
//! | [`reuse`] | CI tokens that came from several networks |
//! | [`sts`], `credential_cache` | roles assumed for callers, and the credentials that came of it |
//! | `witness` | who fetches discovery and the key set |
//! | [`alarms`] | what is wrong with this issuer, looked at every minute, and who is told |
//! | [`remote_check`] | a running issuer, looked at as STS would |
//! | [`outbound`] | which of the issuer's own requests go through a proxy |
//! | [`limits`], [`connections`], [`metrics`], [`client_address`] | what callers may use, figures, who is calling |
//! | [`tls`], [`certificate_files`], [`acme`], [`serve`] | listeners, certificates, an orderly end |

pub mod acme;
pub mod alarms;
pub mod app;
pub mod backend;
pub mod certificate_files;
pub mod client_address;
mod clock_watch;
pub mod connections;
mod credential_cache;
pub mod flows;
pub mod http;
pub mod key_cache;
pub mod limits;
pub mod metrics;
pub mod mock_backend;
pub mod outbound;
pub mod remote_check;
pub mod reuse;
pub mod router;
pub mod serve;
pub mod settings;
pub mod sts;
pub mod tls;
pub mod upstream;
mod witness;
pub mod x509;
