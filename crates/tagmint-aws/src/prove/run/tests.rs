//! What counts. The whole is tested end to end, against localaws and Ceph.

use super::*;
use crate::prove::plan::tests::plan;

#[test]
fn what_could_not_be_checked_fails_where_all_is_required() {
    let check = || plan(Access::ReadWrite).checks().remove(0);
    let made = |seen, require_all| row(check(), seen, require_all).outcome;
    assert_eq!(made(Seen::unknown("no token"), false), Outcome::NotChecked);
    assert_eq!(made(Seen::unknown("no token"), true), Outcome::Failed);
    assert_eq!(made(Seen::passed("200"), true), Outcome::Passed);
}

#[test]
fn an_answer_is_told_from_silence() {
    let refused = Failure::Refused { status: 403, code: "AccessDenied".to_owned(), message: String::new() };
    let silent = Failure::Unreachable { service: "S3".to_owned(), cause: "refused".to_owned() };
    assert_eq!(answered::<()>(Err(refused.clone())), Ok(Err(refused)));
    assert_eq!(answered::<()>(Err(silent.clone())), Err(silent));
    assert_eq!(answered(Ok(1)), Ok(Ok(1)));
}
