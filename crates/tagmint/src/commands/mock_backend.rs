//! `tagmint mock-backend`.

use serde_json::{Map, Value, json};
use tagmint_server::mock_backend::{MockBackend, router};

use crate::{
    cli::MockBackendArgs,
    compose::{self, Signals, Wanted},
    error::CliError,
    output::Output,
};

/// How long the mock says that a session lives, in seconds.
const EXPIRES_IN: u64 = 3_600;

/// Runs the mock until it is told to end.
pub async fn run(args: MockBackendArgs, output: Output) -> Result<(), CliError> {
    let attributes: Map<String, Value> =
        args.attributes.into_iter().map(|(key, value)| (key, Value::String(value))).collect();
    let mock = MockBackend { auth_token: args.auth_token, wallet: args.wallet, attributes, expires_in: EXPIRES_IN };
    let mut signals = Signals::listen()?;
    let listener = compose::bind(args.listen)?;
    let url = format!("http://{}", compose::local_address(&listener)?);
    if !args.listen.ip().is_loopback() {
        output.warn("the mock is reached from outside: whoever has the auth token opens sessions at its issuer");
    }
    let serving = serve(listener, mock)?;
    output.data(&json!({"url": url}), || format!("the mock session backend is ready on {url}"))?;
    tokio::select! {
        () = serving => Ok(()),
        () = async { while signals.next().await != Wanted::End {} } => Ok(()),
    }
}

/// Serves the mock for as long as the future lives.
pub fn serve(
    listener: std::net::TcpListener,
    mock: MockBackend,
) -> Result<impl Future<Output = ()> + Send + 'static, CliError> {
    let failed = |source| CliError::Io { what: "the mock's socket", source };
    listener.set_nonblocking(true).map_err(failed)?;
    let listener = tokio::net::TcpListener::from_std(listener).map_err(failed)?;
    Ok(async move {
        if let Err(error) = axum::serve(listener, router(mock)).await {
            tracing::error!(%error, "the mock session backend ended");
        }
    })
}
