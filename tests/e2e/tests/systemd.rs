//! The systemd units, and the issuer under what passes sockets and hears of readiness as systemd does.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::PermissionsExt,
    os::{linux::net::SocketAddrExt, unix::net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tagmint_e2e::{Daemon, TagmintProcess, free_port, wait_until};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
};

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

/// For a debug build that makes its first keys.
const LIMIT: Duration = Duration::from_mins(1);
const REQUEST: &[u8] =
    b"GET /.well-known/openid-configuration HTTP/1.1\r\nhost: issuer.test\r\nconnection: close\r\n\r\n";

/// The exposure that `systemd-analyze security` may find at most, in tenths: 2.0.
const EXPOSURE: &str = "20";

/// A root directory with the units as they are shipped, and Debian's targets that they name.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> TestResult<Self> {
        let root = tempfile::tempdir()?;
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../systemd");
        let units = root.path().join("etc/systemd/system");
        fs::create_dir_all(&units)?;
        for unit in fs::read_dir(shipped)? {
            let unit = unit?;
            fs::copy(unit.path(), units.join(unit.file_name()))?;
        }
        let system = root.path().join("usr/lib/systemd/system");
        fs::create_dir_all(&system)?;
        for unit in fs::read_dir("/usr/lib/systemd/system")? {
            let path = unit?.path();
            if path.extension().is_some_and(|kind| kind == "target" || kind == "slice") {
                fs::copy(&path, system.join(path.file_name().unwrap_or_default()))?;
            }
        }
        let programs = root.path().join("usr/bin");
        fs::create_dir_all(&programs)?;
        for (program, stand_in) in [("tagmint", "/bin/true"), ("kill", "/bin/kill")] {
            fs::copy(stand_in, programs.join(program))?;
        }
        Ok(Self(root))
    }

    fn unit(&self, name: &str) -> PathBuf {
        self.0.path().join("etc/systemd/system").join(name)
    }

    fn analyze(&self, arguments: &[&str]) -> TestResult<Output> {
        let mut command = Command::new("systemd-analyze");
        command.arg(format!("--root={}", self.0.path().display())).args(arguments).arg("--no-pager");
        Ok(command.output().map_err(|error| format!("systemd-analyze, of the Debian package systemd: {error}"))?)
    }

    /// What `systemd-analyze verify` has to say; it ends with success whatever it finds in a unit's keys.
    fn complaints(&self) -> TestResult<String> {
        let kinds = [
            "tagmint@.service",
            "tagmint@.socket",
            "tagmint-http@.socket",
            "tagmint-check@.service",
            "tagmint-check@.timer",
            "tagmint-sweep@.service",
            "tagmint-sweep@.timer",
        ];
        let units = ["prod", "test"].map(|world| kinds.map(|unit| unit.replace('@', &format!("@{world}"))));
        let units: Vec<&str> = units.iter().flatten().map(String::as_str).collect();
        let output = self.analyze(&[&["verify", "--man=no"], units.as_slice()].concat())?;
        let said = [output.stdout, output.stderr].concat();
        let status = if output.status.success() { String::new() } else { output.status.to_string() };
        Ok(String::from_utf8_lossy(&said).into_owned() + &status)
    }
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() -> TestResult {
    let root = Root::new()?;
    assert_eq!(root.complaints()?, "");
    // It would have told.
    let service = root.unit("tagmint@.service");
    fs::write(&service, fs::read_to_string(&service)?.replace("ProtectClock=", "ProtectClok="))?;
    let complaints = root.complaints()?;
    assert!(complaints.contains("ProtectClok"), "{complaints}");
    Ok(())
}

#[test]
fn the_sandbox_leaves_little_open() -> TestResult {
    let root = Root::new()?;
    let threshold = format!("--threshold={EXPOSURE}");
    for unit in
        ["tagmint@prod.service", "tagmint@test.service", "tagmint-check@prod.service", "tagmint-sweep@test.service"]
    {
        let output = root.analyze(&["security", "--offline=true", &threshold, unit])?;
        let report = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && report.contains("Overall exposure level"), "{report}{output:?}");
    }
    // It would have told.
    let service = root.unit("tagmint@.service");
    let open: String = fs::read_to_string(&service)?
        .lines()
        .filter(|line| !line.starts_with("SystemCallFilter"))
        .fold(String::new(), |text, line| text + line + "\n");
    fs::write(&service, open)?;
    assert!(!root.analyze(&["security", "--offline=true", &threshold, "tagmint@prod.service"])?.status.success());
    Ok(())
}

#[test]
fn the_stand_in_for_a_session_backend_is_as_closed() -> TestResult {
    let root = Root::new()?;
    let unit = "tagmint-mock-backend@test.service";
    let output = root.analyze(&["verify", "--man=no", unit])?;
    assert_eq!(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()), "");
    let output = root.analyze(&["security", "--offline=true", &format!("--threshold={EXPOSURE}"), unit])?;
    assert!(output.status.success(), "{output:?}");
    Ok(())
}

/// The files of an issuer behind a proxy, with the key where systemd puts credentials.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        fs::create_dir(dir.path().join("credentials"))?;
        fs::write(dir.path().join("credentials/tagmint-key"), "c2l4dGVlbiBieXRlcyB0aW1lcyB0d28gaXMgMzIuLi4=\n")?;
        fs::set_permissions(dir.path().join("credentials/tagmint-key"), fs::Permissions::from_mode(0o600))?;
        fs::write(
            dir.path().join("tagmint.toml"),
            r#"
environment = "test"
issuer = "https://issuer.test"

[listen]
public = "127.0.0.1:0"
admin = "127.0.0.1:0"

[tls]
mode = "proxy"
trusted_proxies = ["127.0.0.1"]

[database]
path = "tagmint.db"

[keys]
key_file = "credential:tagmint-key"
algorithm = "ES256"
"#,
        )?;
        Ok(Self { dir })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn serve(&self) -> TestResult<Command> {
        let mut command = TagmintProcess::command(["serve", "--format", "json", "--config"])?;
        command.arg(self.path("tagmint.toml")).env("CREDENTIALS_DIRECTORY", self.path("credentials"));
        Ok(command)
    }
}

/// The service manager's end of `NOTIFY_SOCKET`.
struct News(UnixDatagram);

impl News {
    fn of(socket: UnixDatagram) -> TestResult<Self> {
        socket.set_read_timeout(Some(LIMIT))?;
        Ok(Self(socket))
    }

    fn next(&self) -> TestResult<String> {
        let mut message = [0; 4096];
        let size = self.0.recv(&mut message).map_err(|error| format!("no news: {error}"))?;
        Ok(String::from_utf8_lossy(&message[..size]).into_owned())
    }

    /// The next message but for those to the watchdog.
    fn next_event(&self) -> TestResult<String> {
        loop {
            let message = self.next()?;
            if message != "WATCHDOG=1" {
                return Ok(message);
            }
        }
    }
}

fn signal(name: &str, pid: u32) -> TestResult {
    let sent = Command::new("kill").args([name, &pid.to_string()]).status()?;
    if sent.success() { Ok(()) } else { Err(format!("kill {name} {pid}: {sent}").into()) }
}

#[test]
fn the_service_manager_hears_of_readiness_reloads_the_watchdog_and_the_end() -> TestResult {
    let files = Files::new()?;
    let news = News::of(UnixDatagram::bind(files.path("notify"))?)?;
    let mut command = files.serve()?;
    command.env("NOTIFY_SOCKET", files.path("notify")).env("WATCHDOG_USEC", "400000");
    let issuer = TagmintProcess::start_command(command)?;
    let ready = "READY=1\nSTATUS=Serving https://issuer.test";
    assert_eq!(news.next()?, ready);
    for _ in 0..3 {
        assert_eq!(news.next()?, "WATCHDOG=1");
    }
    signal("-HUP", issuer.pid())?;
    let reloading = news.next_event()?;
    assert!(reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="), "{reloading}");
    assert_eq!(news.next_event()?, ready);
    assert_eq!(news.next()?, "WATCHDOG=1", "it goes on after a reload");
    assert!(issuer.stop()?.success());
    let stopping = news.next_event()?;
    assert!(stopping.starts_with("STOPPING=1\n"), "{stopping}");
    Ok(())
}

/// What systemd does with a socket: keeps it, and starts the service on it again whenever it has ended, unless the file HOLD is there.
/// The issuer goes with this shell.
const SUPERVISOR: &str = r#"
trap 'kill -TERM $issuer 2>/dev/null; wait $issuer; exit 0' TERM
while :; do
    while [ -e "$DIR/hold" ]; do sleep 0.02; done
    sh -c 'export LISTEN_PID=$$; exec setpriv --pdeathsig KILL "$@"' sh "$@" &
    issuer=$!
    wait $issuer
    echo $? > "$DIR/status"
done
"#;

/// An issuer on a socket of `systemd-socket-activate`, which opens the port and waits for the first connection.
struct Activated {
    supervisor: Daemon,
    news: News,
    files: Files,
    address: SocketAddr,
}

impl Activated {
    fn start(listen: &str, name: &str) -> TestResult<Self> {
        let files = Files::new()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let serve = files.serve()?;
        let notify = format!("tagmint-e2e-{}-{}", std::process::id(), address.port());
        let notified = std::os::unix::net::SocketAddr::from_abstract_name(&notify)?;
        let news = News::of(UnixDatagram::bind_addr(&notified)?)?;
        let mut command = Command::new("systemd-socket-activate");
        command.arg(format!("--listen={listen}:{}", address.port())).arg(format!("--fdname={name}"));
        for (name, value) in [
            ("DIR", files.dir.path().to_owned()),
            ("CREDENTIALS_DIRECTORY", files.path("credentials")),
            ("NOTIFY_SOCKET", format!("@{notify}").into()),
        ] {
            command.arg(format!("--setenv={name}={}", value.display()));
        }
        command.args(["sh", "-c", SUPERVISOR, "sh"]).arg(serve.get_program()).args(serve.get_args());
        let supervisor = Daemon::spawn("systemd-socket-activate", &mut command, "systemd", &files.path("log"))?;
        Ok(Self { supervisor, news, files, address })
    }

    /// The next message, which must begin so. It is not told who sent it: one issuer runs at a time.
    fn expect(&self, beginning: &str) -> TestResult {
        let message = self.news.next().map_err(|error| format!("{error}\n{}", self.supervisor.log()))?;
        if message.starts_with(beginning) { Ok(()) } else { Err(format!("{message} instead of {beginning}").into()) }
    }

    /// The issuer's process.
    fn issuer(&self) -> TestResult<u32> {
        let children = format!("/proc/{0}/task/{0}/children", self.supervisor.pid());
        let children = fs::read_to_string(children)?;
        let [child] = children.split_whitespace().collect::<Vec<_>>()[..] else {
            return Err(format!("one child of the supervisor, not {children}").into());
        };
        Ok(child.parse()?)
    }

    /// Ends the issuer in order, and waits until the supervisor has seen the end.
    fn end_issuer(&self) -> TestResult {
        let status = self.files.path("status");
        let _ = fs::remove_file(&status);
        signal("-TERM", self.issuer()?)?;
        self.expect("STOPPING=1\n")?;
        let ended = wait_until(LIMIT, || fs::read_to_string(&status).is_ok_and(|text| text == "0\n"));
        if ended { Ok(()) } else { Err(format!("it did not end well:\n{}", self.supervisor.log()).into()) }
    }
}

impl Drop for Activated {
    fn drop(&mut self) {
        let _ = self.supervisor.terminate(Duration::from_secs(10));
    }
}

/// Connects and sends the request.
async fn ask(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut connection = TcpStream::connect(address).await?;
    connection.write_all(REQUEST).await?;
    Ok(connection)
}

/// Reads the answer to its end.
async fn answer(mut connection: TcpStream) -> std::io::Result<String> {
    let mut text = String::new();
    connection.read_to_string(&mut text).await?;
    Ok(text)
}

fn is_discovery(text: &str) -> bool {
    text.starts_with("HTTP/1.1 200 ") && text.contains("https://issuer.test/.well-known/jwks.json")
}

/// The first connection: the port is open a moment after the start.
async fn first(address: SocketAddr) -> TestResult<TcpStream> {
    for _ in 0..500 {
        if let Ok(connection) = ask(address).await {
            return Ok(connection);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Err("systemd-socket-activate does not listen".into())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_connects_while_the_issuer_is_away_waits_and_is_answered() -> TestResult {
    let activated = Activated::start("127.0.0.1", "public")?;
    let connection = first(activated.address).await?;
    activated.expect("READY=1\n")?;
    assert!(is_discovery(&answer(connection).await?));
    assert!(activated.supervisor.log().contains("passed by the service manager"), "{}", activated.supervisor.log());
    let before = activated.issuer()?;

    let hold = activated.files.path("hold");
    fs::write(&hold, "")?;
    activated.end_issuer()?;
    let mut waiting = Vec::new();
    for number in 0..100 {
        let connection = ask(activated.address).await.map_err(|error| format!("connection {number}: {error}"))?;
        waiting.push(tokio::spawn(answer(connection)));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(waiting.iter().all(|answer| !answer.is_finished()), "nobody is there to answer");
    fs::remove_file(hold)?;
    activated.expect("READY=1\n")?;
    for answer in waiting {
        let text = answer.await??;
        assert!(is_discovery(&text), "{text}");
    }
    assert_ne!(activated.issuer()?, before);
    Ok(())
}

/// How many requests were answered, and whether there have been enough.
#[derive(Default)]
struct Tally {
    over: AtomicBool,
    answered: AtomicUsize,
}

/// Asks one after the other, each over a connection of its own. An error when one is not answered whole.
async fn keep_asking(address: SocketAddr, tally: Arc<Tally>) -> TestResult {
    while !tally.over.load(Ordering::Relaxed) {
        let text = answer(ask(address).await?).await?;
        if !is_discovery(&text) {
            return Err(format!("the answer was {text:?}").into());
        }
        tally.answered.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The same over one connection for as long as the issuer keeps it open; it says so before it closes.
async fn keep_asking_on_kept_connections(address: SocketAddr, tally: Arc<Tally>) -> TestResult {
    const KEPT: &[u8] = b"GET /.well-known/openid-configuration HTTP/1.1\r\nhost: issuer.test\r\n\r\n";
    'connections: while !tally.over.load(Ordering::Relaxed) {
        let mut connection = BufStream::new(TcpStream::connect(address).await?);
        while !tally.over.load(Ordering::Relaxed) {
            connection.write_all(KEPT).await?;
            connection.flush().await?;
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let mut line = String::new();
                if connection.read_line(&mut line).await? == 0 {
                    return Err(format!("closed after {head:?}").into());
                }
                if let Some(value) = line.strip_prefix("content-length: ") {
                    length = value.trim().parse()?;
                }
                head.push_str(&line);
            }
            let mut body = vec![0; length];
            connection.read_exact(&mut body).await?;
            if !is_discovery(&(head.clone() + std::str::from_utf8(&body)?)) {
                return Err(format!("the answer was {head:?}").into());
            }
            tally.answered.fetch_add(1, Ordering::Relaxed);
            if head.contains("connection: close") {
                continue 'connections;
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_is_lost_while_the_issuer_restarts_under_load() -> TestResult {
    const CALLERS: usize = 8;
    const RESTARTS: usize = 5;
    let activated = Activated::start("127.0.0.1", "public")?;
    answer(first(activated.address).await?).await?;
    activated.expect("READY=1\n")?;
    let tally = Arc::new(Tally::default());
    let fresh = (0..CALLERS).map(|_| tokio::spawn(keep_asking(activated.address, Arc::clone(&tally))));
    let kept =
        (0..CALLERS).map(|_| tokio::spawn(keep_asking_on_kept_connections(activated.address, Arc::clone(&tally))));
    let asking: Vec<_> = fresh.chain(kept).collect();
    for _ in 0..RESTARTS {
        let before = tally.answered.load(Ordering::Relaxed);
        assert!(wait_until(LIMIT, || tally.answered.load(Ordering::Relaxed) > before + 100), "there is load");
        activated.end_issuer()?;
        activated.expect("READY=1\n")?;
    }
    tally.over.store(true, Ordering::Relaxed);
    for asking in asking {
        asking.await??;
    }
    Ok(())
}

#[tokio::test]
async fn a_socket_that_the_configuration_forbids_is_not_taken() -> TestResult {
    for (listen, name, complaint) in [
        ("0.0.0.0", "public", "it speaks plain HTTP: set `ListenStream=` to a loopback address"),
        ("0.0.0.0", "admin", "it is reached from outside"),
        ("127.0.0.1", "web", "its name is not known"),
    ] {
        let activated = Activated::start(listen, name)?;
        let _connection = first(activated.address).await?;
        // As for every wrong configuration. This supervisor tries again and again; systemd does not, with that code.
        let status = activated.files.path("status");
        let ended = wait_until(LIMIT, || fs::read_to_string(&status).is_ok_and(|text| text == "3\n"));
        let log = activated.supervisor.log();
        assert!(ended, "{name} on {listen}: {log}");
        assert!(log.contains(complaint), "{log}");
    }
    Ok(())
}
