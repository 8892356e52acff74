//! A running nginx with the shipped sites. Only paths, ports and the cache's 10 seconds are changed.

use std::{
    fs,
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use tagmint_e2e::{Daemon, free_port};

use super::TestResult;

/// Debian's path; `/usr/sbin` is not in everybody's `PATH`.
const NGINX: &str = "/usr/sbin/nginx";
/// Time to start.
const START: Duration = Duration::from_secs(10);
/// What stands around the sites, with Debian's settings where they are worse than nginx's own: the sites must not depend on them.
const MAIN: &str = r"
daemon off;
# One process, of this user: nothing stays behind when it is killed.
master_process off;
pid DIR/nginx.pid;
error_log DIR/error.log info;
events { worker_connections 768; }
http {
    client_body_temp_path DIR/body;
    proxy_temp_path DIR/proxy;
    fastcgi_temp_path DIR/fastcgi;
    uwsgi_temp_path DIR/uwsgi;
    scgi_temp_path DIR/scgi;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    gzip on;
    gzip_types application/json;
    access_log DIR/other.log;
    include snippets/tagmint-http.conf;
    include sites/*.conf;
}
";

/// One of the two sites.
pub struct Site {
    /// `prod` or `test`.
    pub world: &'static str,
    /// Its host name.
    pub host: &'static str,
    /// The port in place of 443.
    pub https: u16,
    /// The port in place of 80.
    pub http: u16,
    /// Where the issuer is expected.
    pub issuer: u16,
    /// Where the cache asks.
    pub origin: u16,
}

impl Site {
    fn new(world: &'static str, host: &'static str) -> TestResult<Self> {
        let (https, http) = (free_port()?, free_port()?);
        Ok(Self { world, host, https, http, issuer: free_port()?, origin: free_port()? })
    }

    /// A URL of this site over TLS.
    pub fn url(&self, path: &str) -> String {
        format!("https://{}:{}{path}", self.host, self.https)
    }

    /// A URL of this site without TLS.
    pub fn plain_url(&self, path: &str) -> String {
        format!("http://{}:{}{path}", self.host, self.http)
    }

    fn config(&self, dir: &str) -> TestResult<String> {
        let (issuer, origin) = if self.world == "prod" { (8080, 8090) } else { (8081, 8091) };
        let mut text = fs::read_to_string(shipped().join(format!("{}.conf", self.world)))?;
        for (from, to) in [
            ("listen [::]:443 ssl http2;", String::new()),
            ("listen [::]:80;", String::new()),
            ("listen 443 ", format!("listen 127.0.0.1:{} ", self.https)),
            ("listen 80;", format!("listen 127.0.0.1:{};", self.http)),
            (&format!("127.0.0.1:{issuer}"), format!("127.0.0.1:{}", self.issuer)),
            (&format!("127.0.0.1:{origin}"), format!("127.0.0.1:{}", self.origin)),
            (&format!("/etc/letsencrypt/live/{}", self.host), dir.to_owned()),
            ("/var/lib/nginx", format!("{dir}/cache")),
            ("/var/log/nginx", dir.to_owned()),
        ] {
            text = replaced(&text, from, &to)?;
        }
        Ok(text)
    }
}

/// An nginx, running from [`Nginx::start`] on. Dropping it ends it.
pub struct Nginx {
    daemon: Option<Daemon>,
    dir: tempfile::TempDir,
    pub prod: Site,
    pub test: Site,
}

impl Nginx {
    /// Writes its files.
    pub fn new() -> TestResult<Self> {
        let dir = tempfile::tempdir()?;
        let nginx = Self {
            daemon: None,
            prod: Site::new("prod", "broker.litentry.org")?,
            test: Site::new("test", "test-broker.litentry.org")?,
            dir,
        };
        let dir = nginx.dir.path();
        let text = dir.to_string_lossy().into_owned();
        for name in ["snippets", "sites", "cache", "acme/.well-known/acme-challenge"] {
            fs::create_dir_all(dir.join(name))?;
        }
        fs::write(dir.join("nginx.conf"), MAIN.replace("DIR", &text))?;
        for site in [&nginx.prod, &nginx.test] {
            fs::write(dir.join("sites").join(format!("{}.conf", site.world)), site.config(&text)?)?;
        }
        for entry in fs::read_dir(shipped().join("snippets"))? {
            let entry = entry?;
            let mut snippet = fs::read_to_string(entry.path())?;
            if entry.file_name() == "tagmint-acme.conf" {
                snippet = replaced(&snippet, "root /var/www/html", &format!("root {text}/acme"))?;
            }
            if entry.file_name() == "tagmint-http.conf" {
                let kept = "max-age=10, stale-while-revalidate=10,";
                snippet = replaced(&snippet, kept, "max-age=1, stale-while-revalidate=1,")?;
            }
            fs::write(dir.join("snippets").join(entry.file_name()), snippet)?;
        }
        certificates(dir, [nginx.prod.host, nginx.test.host])?;
        Ok(nginx)
    }

    /// The same, and running.
    pub fn start() -> TestResult<Self> {
        Self::new()?.run()
    }

    /// The same, with the test issuer on this unix socket, as docs/nginx.md has it.
    pub fn start_over(socket: &str) -> TestResult<Self> {
        let nginx = Self::new()?;
        let file = nginx.path("sites/test.conf");
        let port = format!("server 127.0.0.1:{};", nginx.test.issuer);
        fs::write(&file, replaced(&fs::read_to_string(&file)?, &port, &format!("server unix:{socket};"))?)?;
        nginx.run()
    }

    fn run(self) -> TestResult<Self> {
        let mut nginx = self;
        let log = nginx.path("stderr.log");
        let mut daemon = Daemon::spawn("nginx", &mut nginx.command(), "nginx", &log)?;
        let address = SocketAddr::from(([127, 0, 0, 1], nginx.test.https));
        daemon.wait_ready("nginx's port", START, || TcpStream::connect(address).is_ok())?;
        nginx.daemon = Some(daemon);
        Ok(nginx)
    }

    /// nginx's own look at the configuration.
    pub fn look(&self) -> TestResult<Output> {
        Ok(self.command().arg("-t").output()?)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(NGINX);
        let dir = self.dir.path();
        command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).arg("-e").arg(dir.join("error.log"));
        command
    }

    /// A file of its directory, such as `ca.pem`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Everything that it wrote: logs, cache, temporary files.
    pub fn written(&self) -> TestResult<String> {
        let mut text = String::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    text.push_str(&String::from_utf8_lossy(&fs::read(path)?));
                }
            }
        }
        Ok(text)
    }

    /// A client that finds both sites here. It comes from `from`, any address of 127.0.0.0/8.
    pub fn client(&self, from: [u8; 4]) -> TestResult<reqwest::Client> {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let ca = reqwest::Certificate::from_pem(&fs::read(self.path("ca.pem"))?)?;
        let here = SocketAddr::from(([127, 0, 0, 1], 0));
        Ok(reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve(self.prod.host, here)
            .resolve(self.test.host, here)
            .local_address(std::net::IpAddr::from(from))
            .timeout(Duration::from_secs(20))
            .build()?)
    }

    /// `curl -v` with these options on a path of the test site.
    pub fn curl(&self, options: &[&str], path: &str) -> TestResult<Output> {
        let mut command = Command::new("curl");
        let resolve = format!("{}:{}:127.0.0.1", self.test.host, self.test.https);
        command.args(["-v", "--silent", "--noproxy", "*", "--max-time", "20", "--resolve", &resolve, "--cacert"]);
        Ok(command.arg(self.path("ca.pem")).args(options).arg(self.test.url(path)).output()?)
    }
}

/// Where the sites are in the repository.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nginx")
}

/// The text with every `from` replaced; an error where there is none.
fn replaced(text: &str, from: &str, to: &str) -> TestResult<String> {
    if text.contains(from) {
        Ok(text.replace(from, to))
    } else {
        Err(format!("the shipped file has no `{from}`").into())
    }
}

/// A CA in `ca.pem`, and a certificate for both names where the sites look for one.
fn certificates(dir: &Path, names: [&str; 2]) -> TestResult {
    let ca_key = rcgen::KeyPair::generate()?;
    let mut ca = rcgen::CertificateParams::new(Vec::new())?;
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    ca.distinguished_name.push(rcgen::DnType::CommonName, "nginx test CA");
    fs::write(dir.join("ca.pem"), ca.self_signed(&ca_key)?.pem())?;
    let key = rcgen::KeyPair::generate()?;
    let server = rcgen::CertificateParams::new(names.map(str::to_owned).to_vec())?;
    let certificate = server.signed_by(&key, &rcgen::Issuer::new(ca, ca_key))?;
    fs::write(dir.join("fullchain.pem"), certificate.pem())?;
    fs::write(dir.join("privkey.pem"), key.serialize_pem())?;
    Ok(())
}
