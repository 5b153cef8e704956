use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use cloud::asking::Asking;
use cloud::review::log::{Opening, Reviews};
use cloud::review::store::Store;
use cloud::stores::Place;
use lake::Lake;
use object_store::memory::InMemory;
use object_store::path::Path;
use trail::access::{Gap, Key};
use trail::review::{Decision, Grant, GrantKind, Known, Period, Population, Scope, Subject, SubjectKind, Usage, Verb};
use trail::settings::Settings;
use trail::time::Time;

use crate::testing::{send, table};
use crate::{Viewer, router};

const NOW: Time = Time(1_760_000_000);

const HOSTILE: &str = "<script>alert(1)</script>\u{202e}";

fn subject(number: u32, name: &str, reviewer: &str) -> Subject {
    let grant = |kind, name: &str| Grant { kind, name: name.to_owned(), via: String::new() };
    let key = Key { id: format!("AKIA{number}"), active: true, created: None, last_used: None };
    Subject {
        number,
        id: format!("arn:aws:iam::111122223333:user/{name}"),
        kind: SubjectKind::User,
        account: "111122223333".to_owned(),
        name: name.to_owned(),
        unique_id: format!("AIDA{number}"),
        person: None,
        grants: vec![grant(GrantKind::AccessKey, &format!("AKIA{number}")), grant(GrantKind::Group, "admins")],
        privileged: number == 1,
        privileged_by: Vec::new(),
        mfa: Some(false),
        keys: vec![key],
        trusts: Vec::new(),
        created: None,
        created_by: None,
        given_by: Vec::new(),
        last_used: (number != 2).then_some(Time(NOW.0 - 86_400)),
        actors: Vec::new(),
        usage: Usage::default(),
        reviewer: reviewer.to_owned(),
        joined: false,
    }
}

fn population(gaps: Vec<Gap>) -> Population {
    let excluded = Scope {
        account: "444455556666".to_owned(),
        name: "sandbox".to_owned(),
        excluded: Some("holds nothing of customers".to_owned()),
        ..Scope::default()
    };
    Population {
        taken: Time(NOW.0 - 3 * 86_400),
        scope: vec![
            Scope { account: "111122223333".to_owned(), name: "prod".to_owned(), ..Scope::default() },
            excluded,
        ],
        subjects: vec![subject(1, "bob", "alice"), subject(2, HOSTILE, "alice"), subject(3, "alice", "bob")],
        gaps,
        ..Population::default()
    }
}

/// The pages over one review that was opened two days ago.
async fn opened(gaps: Vec<Gap>) -> Router {
    let state = table::empty().await.expect("a table");
    let place = Place { store: Arc::new(InMemory::new()), prefix: Path::default() };
    let mut settings = Settings::default();
    settings.review.approvers = vec!["erin".to_owned()];
    let (store, population) = (Store::new(place.clone()), population(gaps));
    let period = Period { id: "2025-Q3".to_owned(), from: Time(NOW.0 - 92 * 86_400), to: population.taken };
    let kept = store.put_population(&period.id, &population).await.expect("kept");
    let opening = Opening {
        period,
        population: &population,
        stored: (kept.path, kept.sha256),
        known: Known::default(),
        leaver: None,
    };
    let desk = Reviews { state: &state, settings: &settings, source: &store, local: true };
    assert!(desk.open(opening, Time(NOW.0 - 2 * 86_400)).await.expect("opened"));
    let revoked =
        Decision { verb: Verb::Keep, remove: vec![], justification: "his work".to_owned(), ticket: String::new() };
    let bob = Asking::local("bob", NOW);
    desk.decide("2025-Q3", &bob, ("arn:aws:iam::111122223333:user/alice", &revoked)).await.expect("decided");
    let lake = Lake::new(place.store.clone(), place.prefix.clone());
    let viewer = Viewer::new(lake, settings).with_state(state).with_reviews(place, true).at(|| NOW);
    router(Arc::new(viewer))
}

async fn get(pages: &Router, address: &str) -> (StatusCode, String) {
    let request = Request::get(address).extension(Asking::local("alice", NOW)).body(Body::empty());
    let (response, text) = send(pages, request.expect("a request")).await;
    (response.status(), text)
}

async fn post_as(pages: &Router, (who, address): (&str, &str), form: &str) -> (StatusCode, String) {
    sent(pages, (who, address), ("application/x-www-form-urlencoded", form)).await
}

async fn sent(pages: &Router, (who, address): (&str, &str), (kind, body): (&str, &str)) -> (StatusCode, String) {
    let request = Request::post(address)
        .header("host", "127.0.0.1:1")
        .header("origin", "http://127.0.0.1:1")
        .header("content-type", kind)
        .extension(Asking::local(who, NOW))
        .body(Body::from(body.to_owned()));
    let (response, text) = send(pages, request.expect("a request")).await;
    (response.status(), text)
}

/// The sheet as a browser sends it.
async fn bring(pages: &Router, who: &str, sheet: &str) -> (StatusCode, String) {
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"sheet\"; filename=\"s.csv\"\r\nContent-Type: text/csv\r\n\r\n{sheet}\r\n--b--\r\n"
    );
    sent(pages, (who, "/reviews/2025-Q3/sheet"), ("multipart/form-data; boundary=b", &body)).await
}

#[tokio::test]
async fn the_queue_shows_who_has_access_and_what_is_left_to_do() {
    let pages = opened(Vec::new()).await;
    let (_, list) = get(&pages, "/reviews").await;
    assert!(list.contains("href=\"/reviews/2025-Q3\""), "{list}");
    let (status, page) = get(&pages, "/reviews/2025-Q3").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("1 of 3 decided") && page.contains("Accounts left out: 1"), "{page}");
    assert!(page.contains("sandbox 444455556666: holds nothing of customers"), "{page}");
    assert!(page.contains("2 subjects are not decided (no. 1, 2)"), "{page}");
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;\\u{202e}") && !page.contains("<script>alert"));
    for (asked, rows) in [
        ("show=undecided", &[1, 2][..]),
        ("show=decided", &[3]),
        ("show=privileged", &[1]),
        ("show=unused", &[2]),
        ("reviewer=bob", &[3]),
        ("kind=role", &[]),
        ("account=999999999999", &[]),
        ("page=7", &[]),
    ] {
        let (_, page) = get(&pages, &format!("/reviews/2025-Q3?{asked}")).await;
        for number in 1..=3 {
            let is_there = page.contains(&format!("/reviews/2025-Q3/subjects/{number}\""));
            assert_eq!(is_there, rows.contains(&number), "{asked} {number}");
        }
    }
    assert_eq!(get(&pages, "/reviews/2020-Q1").await.0, StatusCode::NOT_FOUND);
    assert_eq!(get(&pages, "/reviews/2025-Q3/subjects/9").await.0, StatusCode::NOT_FOUND);
    let (_, home) = get(&pages, "/").await;
    assert!(home.contains("access review 2025-Q3 due"), "{home}");
}

#[tokio::test]
async fn a_subject_is_decided_by_its_reviewer_and_by_nobody_about_himself() {
    let pages = opened(Vec::new()).await;
    let one = "/reviews/2025-Q3/subjects/1";
    let decide = format!("{one}/decision");
    let (_, page) = get(&pages, one).await;
    assert!(page.contains("it is privileged") && page.contains("access_key") || page.contains("AKIA1"), "{page}");
    for (who, form, wrong) in [
        ("alice", "", "Say what becomes of it."),
        ("alice", "verb=keep", "privileged"),
        ("alice", "verb=modify", "has to name what is to be removed"),
        ("bob", "verb=keep&justification=mine", "bob"),
        ("mallory", "verb=revoke", "alice"),
    ] {
        let (status, page) = post_as(&pages, (who, &decide), form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{who} {form}");
        let alert = page.split("role=\"alert\">").nth(1).unwrap_or_default();
        assert!(alert[..alert.find("</p>").unwrap_or(0)].contains(wrong), "{who} {form}: {alert}");
    }
    let (_, page) = post_as(&pages, ("alice", &decide), "verb=keep&ticket=OPS-%3Cb%3E").await;
    assert!(page.contains("value=\"OPS-&#60;b&#62;\""), "what was typed is kept: {page}");
    let (status, _) = post_as(&pages, ("alice", &decide), "verb=revoke&ticket=OPS-7&justification=left").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (_, page) = get(&pages, one).await;
    assert!(page.contains("revoke, to be removed") && page.contains("OPS-7"), "{page}");
    let (_, queue) = get(&pages, "/reviews/2025-Q3?show=open").await;
    assert!(queue.contains("/subjects/1\"") && !queue.contains("/subjects/3\""), "{queue}");
}

#[tokio::test]
async fn a_sheet_goes_out_comes_back_as_proposals_and_is_confirmed() {
    let pages = opened(Vec::new()).await;
    let (_, sheet) = get(&pages, "/reviews/2025-Q3/sheet.csv").await;
    assert!(sheet.contains("revoke: it was not used"), "{sheet}");
    let heading = sheet.lines().next().expect("a heading").trim_start_matches('\u{feff}').to_owned();
    let row = |number: u32, id: &str, decision: &str| format!("{number},{id},,,,,,,,,{decision},,,\r\n");
    let hostile = "arn:aws:iam::111122223333:user/<script>alert(1)</script>\u{202e}";
    let back = format!("{heading}\r\n{}{}", row(2, hostile, "revoke"), row(77, "arn:x", "keep"));
    let (status, page) = bring(&pages, "carol", &back).await;
    assert_eq!(status, StatusCode::OK, "{page}");
    assert!(page.contains("1 proposals came in") && page.contains("line 3"), "{page}");
    assert!(page.contains("name=\"subject\" value=\"2.3\""), "{page}");
    let (_, page) = get(&pages, "/reviews/2025-Q3?show=undecided").await;
    assert!(page.contains("proposed: revoke"), "{page}");

    let confirm = "/reviews/2025-Q3/confirm";
    assert_eq!(post_as(&pages, ("alice", confirm), "").await.0, StatusCode::BAD_REQUEST);
    let (status, page) = post_as(&pages, ("carol", confirm), "subject=2.3").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "only the reviewer confirms");
    assert!(page.contains("This was not done"), "{page}");
    let (_, page) = bring(&pages, "carol", &format!("{heading}\r\n{}", row(2, hostile, "keep"))).await;
    assert!(page.contains("1 proposals came in"), "{page}");
    let (status, page) = post_as(&pages, ("alice", confirm), "subject=2.3").await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "another one was shown: {page}");
    bring(&pages, "carol", &back).await;
    assert_eq!(post_as(&pages, ("alice", confirm), "subject=2.5").await.0, StatusCode::SEE_OTHER);
    let (_, page) = get(&pages, "/reviews/2025-Q3/subjects/2").await;
    assert!(page.contains("revoke, to be removed"), "{page}");

    for (sheet, wrong) in
        [("", "No file was chosen"), ("\u{0}\u{1}", "not UTF-8"), ("a,b\n1,2\n", "there is no column")]
    {
        let (status, page) = bring(&pages, "alice", sheet).await;
        assert!(page.contains(wrong), "{status} {page}");
    }
}

#[tokio::test]
async fn a_review_is_signed_off_by_an_approver_once_all_is_decided() {
    let gap =
        Gap { account: "111122223333".to_owned(), what: "credential report".to_owned(), why: "it was late".to_owned() };
    let pages = opened(vec![gap]).await;
    let sign = "/reviews/2025-Q3/sign-off";
    let (status, page) = post_as(&pages, ("erin", sign), "statement=All+is+well&partial=yes").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("are not decided"), "{page}");
    for number in [1, 2] {
        let decide = format!("/reviews/2025-Q3/subjects/{number}/decision");
        assert_eq!(post_as(&pages, ("alice", &decide), "verb=revoke").await.0, StatusCode::SEE_OTHER);
    }
    let (_, page) = get(&pages, "/reviews/2025-Q3").await;
    assert!(page.contains("PARTIAL: not all could be seen") && page.contains("name=\"partial\""), "{page}");
    for (who, form) in [("alice", "statement=well&partial=yes"), ("erin", "statement=well")] {
        let (status, page) = post_as(&pages, (who, sign), form).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{who} {form}");
        assert!(page.contains("This was not done"), "{page}");
        assert!(page.contains(">well</textarea>"), "what was typed is kept: {page}");
    }
    assert_eq!(post_as(&pages, ("erin", sign), "statement=well&partial=yes").await.0, StatusCode::SEE_OTHER);
    let (_, page) = get(&pages, "/reviews/2025-Q3").await;
    assert!(page.contains("Signed off") && page.contains("known to who signs"), "{page}");
    assert!(!page.contains("id=\"sign-off\"") && !page.contains("enctype"), "{page}");
    let decide = "/reviews/2025-Q3/subjects/1/decision";
    assert_eq!(post_as(&pages, ("alice", decide), "verb=keep&justification=x").await.0, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn an_exception_names_who_outside_approved_it() {
    let pages = opened(Vec::new()).await;
    let except = "/reviews/2025-Q3/subjects/1/exception";
    let (status, page) = post_as(&pages, ("alice", except), "reason=one+administrator&approver=alice").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(page.contains("somebody outside has to") && page.contains(">one administrator</textarea>"), "{page}");
    let (status, _) = post_as(&pages, ("alice", except), "reason=one+administrator&approver=the+bank").await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (_, page) = get(&pages, "/reviews/2025-Q3").await;
    assert!(page.contains("one administrator (approved by the bank)"), "{page}");
}

#[tokio::test]
async fn evidence_says_what_is_asked_for_and_what_is_not_there() {
    let pages = opened(Vec::new()).await;
    let (status, page) = get(&pages, "/evidence").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("No pack was made yet") && page.contains("CC6.3"), "{page}");
    assert!(page.contains("No pack covers the last quarter: qtrail pack --from 2025-07-01 --to 2025-10-01"), "{page}");
    assert!(!page.contains("No access review of the last quarter"), "{page}");
}

#[tokio::test]
async fn who_can_says_what_is_missing() {
    let pages = opened(Vec::new()).await;
    let (status, page) = get(&pages, "/who-can").await;
    assert!(status == StatusCode::OK && page.contains("name=\"action\""), "{page}");
    for (asked, wrong) in [
        ("action=rds:DeleteDBInstance", "there is no complete snapshot of access"),
        ("action=nonsense", "nonsense"),
        ("action=s3:GetObject&at=yesterday", "`yesterday` is no day"),
    ] {
        let (status, page) = get(&pages, &format!("/who-can?{asked}")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{asked}");
        assert!(page.contains(wrong), "{asked}: {page}");
    }
}
