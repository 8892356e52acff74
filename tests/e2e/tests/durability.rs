//! The ledger's promise against what really happens to a process: it is killed, and its disk fills up.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tagmint_e2e::TagmintProcess;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

fn client(ca_file: &Path) -> TestResult<reqwest::Client> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(&fs::read(ca_file)?)?;
    Ok(reqwest::Client::builder().tls_certs_only([ca]).timeout(Duration::from_secs(15)).build()?)
}

fn ledger(config: &str, command: &[&str]) -> TestResult<String> {
    let arguments = [&["ledger"], command, &["--format", "json", "--config", config]].concat();
    let output = TagmintProcess::command(arguments)?.output()?;
    if !output.status.success() {
        return Err(format!("ledger {command:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Mints until the issuer is gone, by every route in turn, and returns the claims of the tokens that arrived, as they stand in the tokens.
async fn mint_until_it_dies(client: reqwest::Client, url: String, session: String) -> TestResult<Vec<Value>> {
    let mut arrived = vec![];
    for route in (0..4).cycle() {
        let (request, member) = match route {
            0 => (client.post(format!("{url}/v1/tokens")).json(&json!({})), "token"),
            1 => (client.get(format!("{url}/v1/id-token?audience=sts.amazonaws.com")), "value"),
            2 => (client.post(format!("{url}/v1/mint-oidc-jwt")), "jwt"),
            _ => (client.post(format!("{url}/v1/tokens")).json(&json!({"lifetime_seconds": 60})), "token"),
        };
        let Ok(answer) = request.bearer_auth(&session).send().await else { break };
        let status = answer.status();
        let Ok(body) = answer.json::<Value>().await else { break };
        let token = body[member].as_str().ok_or_else(|| format!("route {route} answered {status}: {body}"))?;
        let payload = token.split('.').nth(1).ok_or("a token has three parts")?;
        arrived.push(serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(payload)?)?);
    }
    Ok(arrived)
}

/// Attack 16: kill -9 in a loop while minting.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_is_delivered_without_its_row_though_the_issuer_is_killed_again_and_again() -> TestResult {
    let dir = tempfile::tempdir()?;
    let dir_text = dir.path().to_string_lossy().into_owned();
    let mut arrived = Vec::new();
    let mut config = String::new();
    for round in 0_u32..8 {
        let issuer = TagmintProcess::start(["dev", "--dir", &dir_text, "--format", "json"])?;
        config = issuer.field("config")?.to_owned();
        let client = client(Path::new(issuer.field("ca_file")?))?;
        let (url, session) = (issuer.field("issuer")?.to_owned(), issuer.field("session")?.to_owned());
        let minting: Vec<_> =
            (0..8).map(|_| tokio::spawn(mint_until_it_dies(client.clone(), url.clone(), session.clone()))).collect();
        tokio::time::sleep(Duration::from_millis(120 + u64::from(round * 37))).await;
        let killed = Command::new("kill").args(["-9", &issuer.pid().to_string()]).status()?;
        assert!(killed.success());
        for task in minting {
            arrived.extend(task.await??);
        }
    }
    assert!(arrived.len() > 100, "{} tokens arrived: too few to show anything", arrived.len());
    ledger(&config, &["verify"])?;
    let export = ledger(&config, &["export"])?;
    let mut rows = BTreeMap::new();
    for line in export.lines() {
        let row: Value = serde_json::from_str(line)?;
        let entry: Value = serde_json::from_str(row["body"].as_str().ok_or("a row has a body")?)?;
        let id = row["entry_id"].as_str().ok_or("a row has an id")?.to_owned();
        assert!(rows.insert(id.clone(), entry).is_none(), "{id} has two rows");
    }
    // By the tokens themselves, not by what the issuer says of them: each has its own row, and the row tells what stands in the token.
    let delivered: BTreeSet<&str> = arrived.iter().filter_map(|claims| claims["jti"].as_str()).collect();
    assert_eq!(delivered.len(), arrived.len(), "two tokens have one id");
    for claims in &arrived {
        let id = claims["jti"].as_str().ok_or("a token has an id")?;
        let row =
            rows.get(id).ok_or_else(|| format!("the token {id} has no row, of {} that arrived", arrived.len()))?;
        assert_eq!(row["mint_id"], claims["jti"]);
        let of_row = ["subject", "audience", "issued_at", "expires_at"].map(|name| &row[name]);
        assert_eq!(of_row, ["sub", "aud", "iat", "exp"].map(|name| &claims[name]), "{id}");
    }
    let minted = rows.values().filter(|row| row["outcome"] == "minted").count();
    assert!(minted >= arrived.len(), "{minted} rows, {} tokens", arrived.len());
    Ok(())
}

/// An issuer whose files lie on a disk of a few megabytes, in a mount namespace of its own.
struct SmallDisk {
    issuer: TagmintProcess,
    root: PathBuf,
    _mount_point: tempfile::TempDir,
}

impl SmallDisk {
    fn start() -> TestResult<Self> {
        let mount_point = tempfile::tempdir()?;
        let dir = mount_point.path().to_string_lossy().into_owned();
        let tagmint = TagmintProcess::command(["dev", "--dir", &dir, "--listen", "127.0.0.1:0", "--format", "json"])?;
        let script = format!("mount -t tmpfs -o size=4m tmpfs '{dir}' && exec \"$0\" \"$@\"");
        let mut command = Command::new("unshare");
        command.args(["-rm", "sh", "-c", &script]).arg(tagmint.get_program()).args(tagmint.get_args());
        let issuer = TagmintProcess::start_command(command)?;
        // `unshare` and `sh` have become the issuer: its own view of the files.
        let root = PathBuf::from(format!("/proc/{}/root", issuer.pid()));
        Ok(Self { issuer, root, _mount_point: mount_point })
    }

    fn file(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }
}

#[tokio::test]
async fn nothing_is_minted_on_a_full_disk_and_it_recovers_by_itself() -> TestResult {
    let disk = SmallDisk::start()?;
    let issuer = &disk.issuer;
    let ca_file = disk.file(issuer.field("ca_file")?);
    let client = client(&ca_file)?;
    let url = issuer.field("issuer")?;
    let mint = async || -> TestResult<(u16, Value)> {
        let request = client.post(format!("{url}/v1/tokens")).bearer_auth(issuer.field("session")?).json(&json!({}));
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    };
    assert_eq!(mint().await?.0, 200);

    let filler = ca_file.with_file_name("filler");
    let mut size = 4_usize << 20;
    while size > 0 {
        // Writes what fits, and stops at the last byte.
        let _ = fs::OpenOptions::new().create(true).append(true).open(&filler).and_then(|mut file| {
            use std::io::Write;
            file.write_all(&vec![0; size])
        });
        size /= 2;
    }
    let mut refused = None;
    for _ in 0..2_000 {
        // The write-ahead log has room for a few rows more.
        let (status, body) = mint().await?;
        if status != 200 {
            refused = Some((status, body));
            break;
        }
    }
    let (status, body) = refused.ok_or("the disk never filled up")?;
    assert_eq!((status, body["type"].as_str()), (503, Some("urn:tagmint:problem:ledger-unavailable")), "{body}");
    assert!(!body.to_string().contains("eyJ"), "no token in the answer");
    assert!(issuer.stderr().contains("the disk is full"), "the log says why:\n{}", issuer.stderr());
    assert_eq!(client.get(format!("{url}/readyz")).send().await?.status().as_u16(), 503);
    assert_eq!(client.get(format!("{url}/.well-known/jwks.json")).send().await?.status().as_u16(), 200);

    fs::remove_file(&filler)?;
    assert_eq!(mint().await?.0, 200, "it goes on by itself");
    Ok(())
}
