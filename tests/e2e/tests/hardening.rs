//! The issuer from outside: what a scanner finds in its TLS, and whether STS gets its keys while others mean ill.

#[path = "hardening/failures.rs"]
mod failures;
#[path = "hardening/floods.rs"]
mod floods;
#[path = "hardening/issuer.rs"]
mod issuer;
#[path = "support/scan.rs"]
mod scan;

type Error = Box<dyn std::error::Error + Send + Sync>;
type TestResult<T = ()> = Result<T, Error>;

#[test]
fn a_scanner_finds_nothing_in_the_issuers_own_tls() -> TestResult {
    let issuer = issuer::Issuer::start(400)?;
    let scan = scan::scan(issuer.address, "localhost")?;
    scan::is_hardened(&scan)
}
