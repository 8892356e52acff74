//! What moves with a clock that was set back, and what stays withdrawn.

use jiff::SignedDuration;
use tagmint_core::{
    id::CertificateId,
    key_schedule::{KeyPhase, KeyRing, KeySchedule, RotationError, RotationPolicy},
    signing_key::Algorithm,
    witness::FetchClass,
};
use tagmint_testkit::{
    keys::{fresh_signing_key, master_key},
    random::CountingRandom,
};

use super::*;
use crate::{
    AcmeFailure, CredentialLookup, KeyCandidate, KeyFetches, NewBearer, NewSession, RotatedLife, Rotation,
    test_support::{TestDatabase, at, bearer, engine_tests, secret, session},
};

const DAY: i64 = 86_400;
const POLICY: RotationPolicy = RotationPolicy {
    algorithm: Algorithm::Es256,
    jwks_max_age: SignedDuration::from_hours(1),
    propagation: SignedDuration::from_secs(30),
    rotate_every: SignedDuration::from_hours(24 * 30),
    publish_ahead: SignedDuration::from_hours(24),
    witness_deadline: None,
};

fn back(reached: i64, now: i64) -> ClockJump {
    ClockJump { reached: at(reached), now: at(now), certain: true }
}

async fn change(store: &Store, now: i64, plan: impl FnOnce(&[KeyState]) -> Vec<KeyChange> + Send) {
    let key = fresh_signing_key();
    let candidate = KeyCandidate { key: &key, certificate_der: None };
    let plan = |states: &[KeyState]| Ok::<_, RotationError>(plan(states));
    store.keys().change(at(now), &candidate, &master_key(1), &CountingRandom::default(), plan).await.unwrap();
}

async fn states(store: &Store) -> Vec<KeyState> {
    store.keys().list().await.unwrap().into_iter().map(|record| record.state).collect()
}

async fn follow(store: &Store, jump: ClockJump) -> Option<Vec<KeyState>> {
    let steps = store.clock().mark().await.unwrap().steps;
    store.clock().follow(&jump, steps, |states| KeyRing(states).follow_clock(&jump, &POLICY)).await.unwrap()
}

engine_tests! {
    async fn the_latest_moment_stays_noted(database: TestDatabase) {
        let store = database.open().await;
        let seen = async || store.clock().mark().await.unwrap();
        assert_eq!(seen().await, ClockMark { seen_at: Timestamp::UNIX_EPOCH, steps: 0 });
        for (now, expected) in [(5, 5), (3, 5), (9, 9)] {
            store.clock().note(at(now)).await.unwrap();
            assert_eq!(seen().await.seen_at, at(expected), "{now}");
        }
        change(&store, 20, |_| vec![KeyChange::Publish(schedule(20))]).await;
        assert_eq!(seen().await.seen_at, at(20), "a key that was published was seen");
    }

    async fn of_two_processes_one_moves_the_moments(database: TestDatabase) {
        let (here, there) = (database.open().await, database.open().await);
        change(&here, 40 * DAY, |_| vec![KeyChange::Publish(schedule(40 * DAY))]).await;
        let jump = back(40 * DAY, 0);
        let one = here.clock().follow(&jump, 0, |states| KeyRing(states).follow_clock(&jump, &POLICY));
        let other = there.clock().follow(&jump, 0, |states| KeyRing(states).follow_clock(&jump, &POLICY));
        let (one, other) = tokio::join!(one, other);
        assert_eq!([one.unwrap(), other.unwrap()].iter().flatten().count(), 1);
        assert_eq!(here.clock().mark().await.unwrap(), ClockMark { seen_at: at(0), steps: 1 });
        assert_eq!(states(&here).await[0].schedule, schedule(0));
    }

    async fn a_withdrawn_key_stays_withdrawn(database: TestDatabase) {
        let store = database.open().await;
        change(&store, 0, |_| vec![KeyChange::Publish(schedule(0))]).await;
        let kid = states(&store).await[0].kid.clone();
        change(&store, 40 * DAY, |states| KeyRing(states).withdraw(at(40 * DAY), &kid, true, &POLICY).unwrap()).await;
        for now in [0, 40 * DAY] {
            assert_eq!(states(&store).await[0].schedule.phase(at(now)), KeyPhase::Withdrawn, "{now}");
        }
        follow(&store, back(40 * DAY, 10)).await.unwrap();
        // Nothing that is written later takes it back, nor does a statement behind the store's back.
        let revive = KeyChange::Reschedule { kid: kid.clone(), schedule: schedule(0) };
        change(&store, 20, |_| vec![revive]).await;
        assert_eq!(states(&store).await[0].schedule.phase(at(20)), KeyPhase::Withdrawn);
        let mut raw = database.raw().await;
        let refused = sqlx::query("UPDATE signing_keys SET withdrawn = 0").execute(&mut raw).await.unwrap_err();
        assert!(refused.to_string().contains("a withdrawn key stays withdrawn"), "{refused}");
    }

    async fn a_key_whose_private_half_was_wiped_stays_withdrawn(database: TestDatabase) {
        let store = database.open().await;
        let retired = KeySchedule { retiring_at: Some(at(50)), withdrawn_at: Some(at(60)), ..schedule(0) };
        change(&store, 0, |_| vec![KeyChange::Publish(retired)]).await;
        assert_eq!(states(&store).await[0].schedule.phase(at(59)), KeyPhase::Retiring);
        change(&store, 60, |_| vec![]).await;
        assert_eq!(states(&store).await[0].schedule.phase(at(0)), KeyPhase::Withdrawn);
    }

    async fn what_a_version_without_a_clock_left_is_understood(database: TestDatabase) {
        const BACK: &str = "DROP TABLE clock; DROP TRIGGER signing_keys_withdrawn_is_final; \
             ALTER TABLE signing_keys DROP COLUMN withdrawn; \
             DROP TABLE archived_prefixes; DROP INDEX sessions_subject; DROP TABLE ledger_archives; \
             CREATE TRIGGER ledger_no_delete BEFORE DELETE ON ledger BEGIN SELECT RAISE(ABORT, 'the ledger is append-only'); END; \
             ALTER TABLE used_tokens DROP COLUMN networks; ALTER TABLE used_tokens DROP COLUMN minute; \
             ALTER TABLE used_tokens DROP COLUMN minute_uses; DELETE FROM _sqlx_migrations WHERE version >= 6";
        let store = database.open().await;
        change(&store, 0, |_| vec![KeyChange::Publish(schedule(0))]).await;
        // A whole rotation by a clock that was 40 days ahead: the first key's private half is gone.
        change(&store, 40 * DAY, |states| KeyRing(states).rotate(at(40 * DAY), Some(SignedDuration::from_secs(3630)), &POLICY).unwrap()).await;
        change(&store, 40 * DAY + 5000, |_| vec![]).await;
        store.close().await;
        drop(store);
        database.tamper(BACK).await;
        let store = database.open().await;
        assert_eq!(store.clock().mark().await.unwrap(), ClockMark { seen_at: at(40 * DAY + 3630 + 1230), steps: 0 });
        follow(&store, ClockJump::at_start(at(40 * DAY + 4860), at(100)).unwrap()).await.unwrap();
        let states = states(&store).await;
        let phases: Vec<_> = states.iter().map(|state| state.schedule.phase(at(100))).collect();
        assert_eq!(phases, [KeyPhase::Active, KeyPhase::Withdrawn], "in the order of their publication");
        assert_eq!(KeyRing(&states).signing(at(100)).unwrap().schedule.published_at, at(100 - 4860));
    }

    async fn sessions_live_for_as_long_as_they_were_made_for(database: TestDatabase) {
        let store = database.open().await;
        let sessions = store.sessions();
        for (number, opened) in [(1, 0), (2, 40 * DAY)] {
            let opened = NewSession { created_at: at(opened), expires_at: at(opened + 3600), ..session(number) };
            sessions.create(&opened).await.unwrap();
        }
        sessions.revoke(session(2).id, at(40 * DAY + 5)).await.unwrap();
        let third = NewSession { created_at: at(40 * DAY), expires_at: at(40 * DAY + 3600), ..session(3) };
        sessions.create(&third).await.unwrap();
        follow(&store, back(40 * DAY + 10, 100)).await.unwrap();
        let find = async |number, now| sessions.find_by_secret(session(number).secret_hash, at(now)).await.unwrap();
        assert!(matches!(find(1, 3599).await, CredentialLookup::Valid(_)), "of before: as it was");
        assert!(matches!(find(2, 100).await, CredentialLookup::Revoked(_)));
        assert!(matches!(find(3, 3699).await, CredentialLookup::Valid(_)));
        assert_eq!(find(3, 3700).await, CredentialLookup::Expired(at(3700)));
    }

    async fn bearers_live_for_as_long_as_they_were_made_for(database: TestDatabase) {
        let store = database.open().await;
        let bearers = store.bearers();
        bearers.create(&NewBearer { expires_at: Some(at(90 * DAY)), ..bearer(1, "of-before") }).await.unwrap();
        let made = at(40 * DAY);
        let ahead = NewBearer { created_at: made, expires_at: Some(at(41 * DAY)), ..bearer(2, "ahead") };
        bearers.create(&ahead).await.unwrap();
        bearers.create(&NewBearer { created_at: made, expires_at: None, ..bearer(3, "without-end") }).await.unwrap();
        let rotation = Rotation {
            name: "of-before".to_owned(),
            id: bearer(4, "").id,
            secret_hash: secret(tagmint_core::issued_secret::SecretKind::Bearer, 4).hash(),
            now: made,
            old_until: at(40 * DAY + 3600),
            life: RotatedLife::Until(at(50 * DAY)),
            force: false,
        };
        bearers.rotate(&rotation).await.unwrap();
        follow(&store, back(40 * DAY + 10, 100)).await.unwrap();
        let end = async |number| match bearers.find_by_secret(bearer(number, "").secret_hash, at(100)).await.unwrap() {
            CredentialLookup::Valid(bearer) => bearer.expires_at,
            other => panic!("{other:?}"),
        };
        assert_eq!(end(1).await, Some(at(100 + 3600)), "the overlap counts from the rotation");
        assert_eq!(end(2).await, Some(at(100 + DAY)));
        assert_eq!(end(3).await, None);
        assert_eq!(end(4).await, Some(at(100 + 10 * DAY)));
    }

    async fn renewals_of_the_certificate_go_on(database: TestDatabase) {
        let store = database.open().await;
        let acme = store.acme();
        let failure = AcmeFailure { at: at(40 * DAY), kind: "dns".to_owned(), problem: "no".to_owned(), consecutive: 2 };
        acme.failed(&failure, at(40 * DAY + 120), &[at(50), at(40 * DAY)]).await.unwrap();
        follow(&store, back(40 * DAY + 10, 100)).await.unwrap();
        let state = acme.state().await.unwrap();
        assert_eq!((state.failure.unwrap().at, state.retry_at), (at(100), Some(at(220))));
        assert_eq!(state.failed_validations, [at(50), at(100)]);
        acme.request_renewal(at(40 * DAY)).await.unwrap();
        acme.request_rollover(at(40 * DAY)).await.unwrap();
        let insert = "INSERT INTO acme_certificates (id, directory, chain, not_after_ms, stored_at_ms, lookup_at_ms) VALUES ($1, '', '', 0, $2, $3)";
        let mut raw = database.raw().await;
        for (number, stored, lookup) in [(1, 40 * DAY, 40 * DAY + 60), (2, 0, 40 * DAY), (3, 0, 7200)] {
            let id = CertificateId::generate(at(0), &CountingRandom::starting_at(number << 32)).unwrap();
            let statement = sqlx::query(insert).bind(id.to_string());
            let statement = statement.bind(at(stored).as_millisecond()).bind(at(lookup).as_millisecond());
            statement.execute(&mut raw).await.unwrap();
        }
        drop(raw);
        follow(&store, back(40 * DAY + 10, 100)).await.unwrap();
        let state = acme.state().await.unwrap();
        assert_eq!((state.renew_requested_at, state.rollover_requested_at), (Some(at(100)), Some(at(100))));
        let mut certificates = acme.certificates().await.unwrap();
        certificates.reverse();
        let moments: Vec<_> = certificates.iter().map(|record| (record.stored_at, record.lookup_at)).collect();
        assert_eq!(moments, [(at(100), None), (at(0), None), (at(0), Some(at(7200)))]);
    }

    async fn a_fetch_of_a_key_counts_from_now_on(database: TestDatabase) {
        let store = database.open().await;
        change(&store, 40 * DAY, |_| vec![KeyChange::Publish(schedule(40 * DAY))]).await;
        let kid = states(&store).await[0].kid.clone();
        let fetch = |last: i64, network: &str| KeyFetches {
            kid: kid.clone(),
            class: FetchClass::Sts,
            first_at: at(last),
            last_at: at(last),
            network: network.to_owned(),
            agent: "-".to_owned(),
            fetches: 1,
        };
        store.witness().add(&[], &[fetch(40 * DAY + 5, "192.0.2.0/24")]).await.unwrap();
        follow(&store, back(40 * DAY + 10, 100)).await.unwrap();
        let state = &states(&store).await[0];
        assert!(store.witness().by_sts().await.unwrap().saw(state));
        store.witness().add(&[], &[fetch(200, "198.51.100.0/24")]).await.unwrap();
        let known = store.witness().keys().await.unwrap();
        assert_eq!((known[0].last_at, known[0].network.as_str()), (at(200), "198.51.100.0/24"));
    }

    async fn a_clock_that_was_set_ahead_moves_no_sessions(database: TestDatabase) {
        let store = database.open().await;
        store.sessions().create(&NewSession { expires_at: at(3600), ..session(1) }).await.unwrap();
        follow(&store, ClockJump { reached: at(10), now: at(DAY), certain: true }).await.unwrap();
        let found = store.sessions().find_by_secret(session(1).secret_hash, at(3599)).await.unwrap();
        assert!(matches!(found, CredentialLookup::Valid(_)), "{found:?}");
        assert_eq!(store.clock().mark().await.unwrap(), ClockMark { seen_at: at(DAY), steps: 1 });
    }
}

/// Published, and active at once.
fn schedule(second: i64) -> KeySchedule {
    KeySchedule {
        published_at: at(second),
        active_at: at(second),
        retiring_at: None,
        withdrawn_at: None,
        due_at: None,
        withdrawn: false,
    }
}
