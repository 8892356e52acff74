//! The key set over TLS against nginx: the same bytes, certificate, client and cores, in turns.

use std::{
    fmt::Write as _,
    fs,
    io::ErrorKind,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tagmint_core::signing_key::Algorithm;
use tagmint_e2e::{Daemon, GuardError, free_port};

use crate::{
    args::{Args, Transport},
    cpu::Reading,
    error::BenchError,
    issuer::{Issuer, Site},
    report::{Jwks, JwksRow},
};

/// Where the key set is.
const PATH: &str = "/.well-known/jwks.json";
/// Connections that wrk keeps open.
const CONNECTIONS: u32 = 64;
/// How long nginx may take to listen.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// What this part needs, with the Debian packages that bring it.
const PROGRAMS: [(&[&str], &str); 2] = [(&["nginx", "/usr/sbin/nginx"], "nginx"), (&["wrk"], "wrk")];

/// nginx and wrk, where they are installed.
pub(crate) struct Programs {
    nginx: &'static str,
    wrk: &'static str,
}

impl Programs {
    /// Finds them; an error says what to install.
    pub(crate) fn find() -> Result<Self, BenchError> {
        let [nginx, wrk] = PROGRAMS.map(|(names, package)| {
            let found = names.iter().copied().find(|name| is_there(name));
            found.ok_or_else(|| BenchError::from(GuardError::MissingProgram { program: names[0].to_owned(), package }))
        });
        Ok(Self { nginx: nginx?, wrk: wrk? })
    }
}

fn is_there(program: &str) -> bool {
    let tried =
        Command::new(program).arg("-v").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    !tried.is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

/// Measures both servers in turns.
pub(crate) async fn measure(site: &Site, programs: &Programs, args: &Args) -> Result<Jwks, BenchError> {
    let issuer = Issuer::start(site, Algorithm::Es256, Transport::Tls)?;
    let body = issuer.target.connect().await?.get(PATH).await?;
    let nginx = Nginx::start(site, programs.nginx, &body)?;
    let same = site.target(nginx.port, Transport::Tls).connect().await?.get(PATH).await?;
    if same != body {
        return Err(BenchError::wrong("nginx does not serve the bytes of the issuer's key set"));
    }
    let mut ours = JwksRow::new("tagmint");
    let mut theirs = JwksRow::new("nginx");
    for _ in 0..args.rounds() {
        for (row, pid, port) in
            [(&mut ours, issuer.pid(), issuer.target.address.port()), (&mut theirs, nginx.daemon.pid(), nginx.port)]
        {
            let before = Reading::take(pid)?;
            let text = wrk(programs.wrk, port, args.span()).await?;
            let spent = Reading::take(pid)?.since(before);
            let (requests, took) =
                read(&text).ok_or_else(|| BenchError::wrong(format!("wrk failed or met errors:\n{text}")))?;
            row.add(requests, took, spent);
        }
    }
    drop(nginx);
    issuer.finish()?;
    Ok(Jwks { connections: CONNECTIONS, body_bytes: body.len(), tagmint: ours, nginx: theirs })
}

async fn wrk(program: &str, port: u16, span: Duration) -> Result<String, BenchError> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let mut command = tokio::process::Command::new(program);
    command.arg(format!("-t{threads}")).arg(format!("-c{CONNECTIONS}")).arg(format!("-d{}s", span.as_secs()));
    command.arg(format!("https://{}:{port}{PATH}", Ipv4Addr::LOCALHOST)).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.map_err(BenchError::io("start wrk"))?;
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    Ok(text)
}

/// Requests and time of a run without errors, as wrk prints them: `  1234 requests in 5.00s, 1.23MB read`.
fn read(text: &str) -> Option<(u64, Duration)> {
    if text.contains("Non-2xx") || text.contains("Socket errors") {
        return None;
    }
    let (requests, rest) = text.lines().find_map(|line| line.split_once(" requests in "))?;
    let took = rest.split(',').next()?;
    let seconds: f64 = match took.strip_suffix('m') {
        Some(minutes) => minutes.parse::<f64>().ok()? * 60.0,
        None => took.strip_suffix('s')?.parse().ok()?,
    };
    Some((requests.trim().parse().ok()?, Duration::try_from_secs_f64(seconds).ok()?))
}

/// An nginx that serves one file.
struct Nginx {
    daemon: Daemon,
    port: u16,
}

impl Nginx {
    fn start(site: &Site, program: &str, body: &[u8]) -> Result<Self, BenchError> {
        let port = free_port()?;
        let dir = site.path().join("nginx");
        let file = dir.join("root").join(PATH.trim_start_matches('/'));
        let folder = file.parent().unwrap_or(&dir);
        fs::create_dir_all(folder).map_err(BenchError::file("make", folder))?;
        fs::write(&file, body).map_err(BenchError::file("write", &file))?;
        let config = dir.join("nginx.conf");
        fs::write(&config, configuration(site, &dir, port)).map_err(BenchError::file("write", &config))?;
        let mut command = Command::new(program);
        command.arg("-p").arg(&dir).arg("-c").arg(&config).arg("-e").arg(dir.join("error.log"));
        let mut daemon = Daemon::spawn("nginx", &mut command, "nginx", &dir.join("output.log"))?;
        daemon
            .wait_ready("nginx listening", READY_LIMIT, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
        Ok(Self { daemon, port })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // In order: the master ends its workers.
        let _ = self.daemon.terminate(READY_LIMIT);
    }
}

/// nginx at its best for this: a worker a core, no log, the file kept open, connections kept for as long as they are used.
fn configuration(site: &Site, dir: &Path, port: u16) -> String {
    // Without it a master that runs as root gives its workers to a user who cannot read the folder.
    let user = if rustix::process::geteuid().is_root() { "user root;" } else { "" };
    let mut text = format!(
        r#"{user}
daemon off;
worker_processes auto;
pid "{dir}/pid";
events {{ worker_connections 4096; }}
http {{
    access_log off;
    sendfile on;
    tcp_nodelay on;
    keepalive_requests 1000000000;
    open_file_cache max=16 inactive=1h;
    open_file_cache_valid 1h;
    default_type application/json;
"#,
        dir = dir.display()
    );
    for what in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(text, "    {what}_temp_path \"{}/{what}\";", dir.display());
    }
    let _ = write!(
        text,
        r#"    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate "{certificate}";
        ssl_certificate_key "{key}";
        ssl_protocols TLSv1.2 TLSv1.3;
        root "{dir}/root";
        add_header Cache-Control "public, max-age=3600";
    }}
}}
"#,
        certificate = site.certificate().display(),
        key = site.certificate_key().display(),
        dir = dir.display()
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_wrk_prints_is_read_and_errors_spoil_it() {
        let good = "Running 5s test\n  2 threads and 64 connections\n  110234 requests in 5.10s, 50.11MB read\nRequests/sec:  21614.51\n";
        assert_eq!(read(good), Some((110_234, Duration::from_millis(5100))));
        assert_eq!(read("  7 requests in 1.50m, 1MB read"), Some((7, Duration::from_secs(90))));
        for bad in [
            "unable to connect to 127.0.0.1:1 Connection refused".to_owned(),
            format!("{good}  Non-2xx or 3xx responses: 3\n"),
            format!("{good}  Socket errors: connect 0, read 3, write 0, timeout 0\n"),
        ] {
            assert_eq!(read(&bad), None, "{bad}");
        }
    }
}
