//! Slow clients, idle ones, floods: the key set is answered all the while, and memory stays within bounds.

use std::time::{Duration, Instant};

use tagmint_testkit::attacks::{Attack, Victim};

use super::{TestResult, issuer::Issuer};

const JWKS: &str = "/.well-known/jwks.json";
/// STS gives up on an endpoint that takes longer. How much faster the issuer is belongs into the benchmark.
const STS_PATIENCE: Duration = Duration::from_secs(5);
/// How many times slower than without an attack an answer may be on a machine where that takes longer than STS waits.
const SLOWER: u32 = 20;
/// How long each attack lasts before it counts, and while it does.
const SPAN: Duration = Duration::from_secs(2);
/// Places of the issuer.
const PLACES: usize = 400;
/// Attackers that try to take all of them.
const MANY: usize = 450;
/// Attackers who do much each.
const FEW: usize = 6;
/// Connections that are open at once, and silent, on an issuer that has places for all of them.
const THOUSANDS: usize = 4000;
/// What an issuer of this size may grow by, whatever is done to it: a quarter of a megabyte for each place.
const GROWTH: u64 = 100 << 20;

/// Fetches the key set for a while; the 99th percentile of how long it took.
async fn p99(victim: &Victim) -> TestResult<Duration> {
    let began = Instant::now();
    let mut took = Vec::new();
    while began.elapsed() < SPAN || took.len() < 50 {
        took.push(victim.fetch(JWKS).await?);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took.sort_unstable();
    Ok(took[took.len() * 99 / 100])
}

/// The longest that an answer may take under attack, by how long it takes without.
fn limit(alone: Duration) -> Duration {
    STS_PATIENCE.max(alone * SLOWER)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sts_gets_its_keys_whatever_others_do_and_memory_stays_bounded() -> TestResult {
    let issuer = Issuer::start(PLACES)?;
    let victim = issuer.victim()?;
    let limit = limit(p99(&victim).await?);
    let before = issuer.memory()?;
    for attack in Attack::ALL {
        let attackers = victim.attack(attack, if attack.is_about_number() { MANY } else { FEW });
        tokio::time::sleep(SPAN).await;
        let p99 = p99(&victim).await.map_err(|error| format!("{}: {error}", attack.name()))?;
        let grown = issuer.memory()?.saturating_sub(before);
        assert!(attackers.begun() > 0, "{}: nothing was attacked", attack.name());
        println!("{}: p99 {p99:?}, {} MB more, {attackers:?}", attack.name(), grown >> 20);
        if attack.says_much_in_vain() {
            assert!(attackers.broken() > 0, "{}: nobody was stopped", attack.name());
        }
        assert!(p99 < limit, "{}: {p99:?} is over {limit:?}", attack.name());
        assert!(grown < GROWTH, "{}: {} MB more", attack.name(), grown >> 20);
    }
    let metrics = issuer.metrics().await?;
    let evicted = metrics.lines().find_map(|line| line.strip_prefix("tagmint_connections_evicted_total "));
    assert!(evicted.is_some_and(|count| count != "0"), "{metrics}");
    assert!(issuer.process.stop()?.success());
    println!("{}", thousands_of_idle_connections().await?);
    Ok(())
}

/// One after the other, or the one would be measured under the other's load.
async fn thousands_of_idle_connections() -> TestResult<String> {
    // Each takes a file here and one there; the issuer inherits the limit.
    let mut files = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    files.current = files.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, files)?;
    let issuer = Issuer::start(THOUSANDS + PLACES)?;
    let victim = issuer.victim()?;
    let alone = p99(&victim).await?;
    let before = issuer.memory()?;
    let attackers = victim.attack(Attack::IdleConnections, THOUSANDS);
    let began = Instant::now();
    while attackers.begun() < THOUSANDS as u64 {
        assert!(began.elapsed() < Duration::from_mins(1), "{attackers:?} of {THOUSANDS}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let p99 = p99(&victim).await?;
    let grown = issuer.memory()?.saturating_sub(before);
    let metrics = issuer.metrics().await?;
    let open = metrics.lines().find_map(|line| line.strip_prefix("tagmint_connections ")).unwrap_or("none");
    assert!(open.parse::<usize>()? >= THOUSANDS, "{open} are open");
    assert!(p99 < limit(alone), "{p99:?}, {alone:?} without them");
    assert!(grown < THOUSANDS as u64 * (256 << 10), "{} MB more", grown >> 20);
    assert!(issuer.process.stop()?.success());
    Ok(format!("{THOUSANDS} idle connections: p99 {p99:?}, {alone:?} without them, {} MB more", grown >> 20))
}
