use super::*;
use crate::secrets;
use platform::runtime::Runtime;

const T0: Timestamp = Timestamp::from_millis(1_900_000_000_000);
const SESSION: Duration = Duration::from_secs(7200);

fn documents() -> Documents {
    secrets::documents(&Runtime::system(), "app-secret", "token").unwrap()
}

fn fresh(kind: Kind) -> Value {
    match kind {
        Kind::SessionKeys | Kind::CheckpointKeys => secrets::session_key(&Runtime::system()).unwrap(),
        _ => secrets::random_key(&Runtime::system()).into(),
    }
}

fn request(kind: Kind, phase: Phase, now: Timestamp) -> Request {
    Request { kind, phase, fresh: Some(fresh(kind)), session_lifetime: SESSION, at_once: false, now }
}

fn take(documents: &mut Documents, kind: Kind, phase: Phase, now: Timestamp) -> Result<Done, Refusal> {
    step(documents, &request(kind, phase, now))
}

const KINDS: [Kind; 6] =
    [Kind::SessionKeys, Kind::LoginKeys, Kind::CursorKeys, Kind::Wechat, Kind::GatewayToken, Kind::CheckpointKeys];

/// The number of values of a kind in each of its documents.
fn listed(documents: &Documents, kind: Kind) -> Vec<usize> {
    let count = |holder| documents[holder].pointer(kind.list()).unwrap().as_array().unwrap().len();
    kind.holders().iter().map(count).collect()
}

#[test]
fn a_whole_rotation_waits_between_its_steps_and_leaves_one_new_value() {
    for kind in KINDS {
        let (mut all, first) = (documents(), documents());
        all.clone_from(&first);
        assert_eq!(take(&mut all, kind, Phase::Add, T0), Ok(Done::Changed));
        assert!(listed(&all, kind).iter().all(|count| *count == 2), "{kind:?}");
        let early = T0.plus(SPREAD).minus(Duration::from_millis(1));
        assert!(matches!(take(&mut all, kind, Phase::Activate, early), Err(Refusal::TooEarly { .. })), "{kind:?}");
        let activated = T0.plus(SPREAD);
        assert_eq!(next(&all, kind, SESSION), Some(("activate", activated)));
        assert_eq!(take(&mut all, kind, Phase::Activate, activated), Ok(Done::Changed));
        if kind == Kind::LoginKeys {
            assert_eq!(take(&mut all, kind, Phase::Retire, activated.plus(SESSION)), Err(Refusal::NotRekeyed));
            let edge = all.get_mut(&Holder::EdgeAuth).unwrap();
            assert!(may_rekey(edge, &request(kind, Phase::Retire, activated)).is_err(), "too early");
            note_rekeyed(edge, activated);
        }
        let over = activated.plus(kind.outlived_by(SESSION));
        if kind != Kind::LoginKeys {
            let early = over.minus(Duration::from_millis(1));
            assert!(matches!(take(&mut all, kind, Phase::Retire, early), Err(Refusal::TooEarly { .. })), "{kind:?}");
        }
        assert_eq!(next(&all, kind, SESSION), Some(("retire", over)));
        assert_eq!(take(&mut all, kind, Phase::Retire, over), Ok(Done::Changed));
        assert!(listed(&all, kind).iter().all(|count| *count == 1), "{kind:?}");
        assert_eq!(next(&all, kind, SESSION), None);
        let leader = kind.holders()[0];
        assert_ne!(all[&leader].pointer(kind.list()), first[&leader].pointer(kind.list()), "{kind:?}");
        assert_eq!(take(&mut all, kind, Phase::Retire, over), Ok(Done::Already), "{kind:?}");
    }
}

#[test]
fn no_step_comes_before_its_turn_and_a_repeated_one_changes_nothing() {
    let much_later = T0.plus(Duration::from_secs(1_000_000));
    for kind in KINDS {
        let mut all = documents();
        assert_eq!(take(&mut all, kind, Phase::Activate, T0), Err(Refusal::NothingAdded(kind.name())));
        assert_eq!(take(&mut all, kind, Phase::Retire, T0), Ok(Done::Already));
        let add = request(kind, Phase::Add, T0);
        assert_eq!(step(&mut all, &add), Ok(Done::Changed));
        let added = all.clone();
        assert_eq!(step(&mut all, &add), Ok(Done::Already), "{kind:?}");
        assert_eq!(take(&mut all, kind, Phase::Retire, much_later), Err(Refusal::NotActivated(kind.name())));
        let other = take(&mut all, kind, Phase::Add, much_later);
        // Another given value is refused; another generated one is not needed.
        let expected = if kind.is_given() { Err(Refusal::UnderWay(kind.name())) } else { Ok(Done::Already) };
        assert_eq!((other, &all), (expected, &added), "{kind:?}");
        assert_eq!(take(&mut all, kind, Phase::Activate, much_later), Ok(Done::Changed));
        assert_eq!(take(&mut all, kind, Phase::Activate, much_later), Ok(Done::Already));
        assert_eq!(take(&mut all, kind, Phase::Add, much_later), Err(Refusal::UnderWay(kind.name())));
        assert_eq!(take(&mut all, kind, Phase::Cancel, much_later), Err(Refusal::InUse(kind.name())));
    }
}

#[test]
fn an_add_can_be_taken_back_and_leaves_what_was_there() {
    for kind in KINDS {
        let (mut all, first) = (documents(), documents());
        all.clone_from(&first);
        take(&mut all, kind, Phase::Add, T0).unwrap();
        assert_eq!(take(&mut all, kind, Phase::Cancel, T0), Ok(Done::Changed));
        for holder in kind.holders() {
            assert_eq!(all[holder].pointer(kind.list()), first[holder].pointer(kind.list()), "{kind:?}");
        }
        assert_eq!(next(&all, kind, SESSION), None);
    }
}

#[test]
fn a_value_that_has_leaked_does_not_wait() {
    for kind in KINDS {
        let mut all = documents();
        for phase in [Phase::Add, Phase::Activate, Phase::Retire] {
            if (kind, phase) == (Kind::LoginKeys, Phase::Retire) {
                note_rekeyed(all.get_mut(&Holder::EdgeAuth).unwrap(), T0);
            }
            let request = Request { at_once: true, ..request(kind, phase, T0) };
            assert_eq!(step(&mut all, &request), Ok(Done::Changed), "{kind:?} {phase:?}");
        }
    }
}

#[test]
fn a_session_key_is_not_activated_before_status_knows_it() {
    let kind = Kind::SessionKeys;
    let mut all = documents();
    let alone = all[&Holder::Status].clone();
    take(&mut all, kind, Phase::Add, T0).unwrap();
    // As if the command had died after the first of the two documents.
    all.insert(Holder::Status, alone);
    let later = T0.plus(SPREAD * 2);
    assert_eq!(take(&mut all, kind, Phase::Activate, later), Err(Refusal::Incomplete("status")));
    // The repeated step adds the same key, and the waiting time begins with the second document.
    let keys = all[&Holder::EdgeAuth].clone();
    assert_eq!(take(&mut all, kind, Phase::Add, later), Ok(Done::Changed));
    assert_eq!(all[&Holder::EdgeAuth], keys);
    assert!(matches!(take(&mut all, kind, Phase::Activate, later), Err(Refusal::TooEarly { .. })));
    assert_eq!(take(&mut all, kind, Phase::Activate, later.plus(SPREAD)), Ok(Done::Changed));
}

#[test]
fn status_never_gets_a_private_half() {
    let mut all = documents();
    take(&mut all, Kind::SessionKeys, Phase::Add, T0).unwrap();
    assert!(!all[&Holder::Status].to_string().contains("PRIVATE"));
    assert_eq!(all[&Holder::EdgeAuth].to_string().matches("BEGIN PRIVATE").count(), 2);
}

#[test]
fn something_that_comes_is_written_at_the_leader_first_and_something_that_goes_last() {
    let holders = Kind::SessionKeys.holders();
    assert_eq!(Phase::Add.in_order(holders), [Holder::EdgeAuth, Holder::Status]);
    for phase in [Phase::Activate, Phase::Retire, Phase::Cancel] {
        assert_eq!(phase.in_order(holders), [Holder::Status, Holder::EdgeAuth]);
    }
}

#[test]
fn one_document_with_all_parts_is_rotated_like_four() {
    let mut parts = documents();
    let mut one = parts.remove(&Holder::EdgeAuth).unwrap();
    for part in parts.into_values() {
        for (name, value) in part.as_object().unwrap() {
            if name != "sessions" {
                one[name] = value.clone();
            }
        }
    }
    for kind in KINDS {
        let mut all = Documents::from([(kind.holders()[0], one.clone())]);
        let mut now = T0;
        for phase in [Phase::Add, Phase::Activate, Phase::Retire] {
            if (kind, phase) == (Kind::LoginKeys, Phase::Retire) {
                note_rekeyed(all.get_mut(&Holder::EdgeAuth).unwrap(), now);
            }
            assert_eq!(take(&mut all, kind, phase, now), Ok(Done::Changed), "{kind:?} {phase:?}");
            now = now.plus(Duration::from_secs(100_000));
        }
        one = all.into_values().next().unwrap();
    }
}

#[test]
fn a_list_that_was_made_by_hand_is_not_cut() {
    for kind in KINDS {
        let mut all = documents();
        take(&mut all, kind, Phase::Add, T0).unwrap();
        for document in all.values_mut() {
            clear_mark(document, kind);
        }
        let before = all.clone();
        assert!(matches!(take(&mut all, kind, Phase::Add, T0), Err(Refusal::Unmarked(_))), "{kind:?}");
        assert_eq!(all, before);
    }
}
