//! `TransferService`: imports and exports that last as long as there is something to send.

use std::{ops::Range, time::Duration};

use futures_util::stream;
use prost::Message as _;
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;
use userbridge::{domain::Scope, service::Admin};
use userbridge_gateway::listen::{ConnectionLimit, Limits};

use super::assert_status;
use crate::support::{
    Form, Tenant, TestApp,
    proto::directory_v1::{
        ExportMembersRequest, ImportMembersRequest, ImportMembersResponse, ImportOutcome, ImportResult,
        ImportRow, Member, transfer_service_client::TransferServiceClient,
    },
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

impl TestApp {
    fn transfers(&self) -> TransferServiceClient<Channel> {
        TransferServiceClient::new(self.channel())
    }
}

/// An import that has begun.
struct Import {
    messages: mpsc::Sender<ImportMembersRequest>,
    answers: Streaming<ImportMembersResponse>,
}

impl Import {
    async fn begin(app: &TestApp, key: &str) -> Result<Self, Status> {
        let (messages, sent) = mpsc::channel(1);
        let sent = stream::unfold(sent, |mut sent| async { Some((sent.recv().await?, sent)) });
        let answers = app.transfers().import_members(with_key(sent, key)).await?;
        let answers = answers.into_inner();
        Ok(Self { messages, answers })
    }

    async fn send(
        &mut self,
        rows: Vec<ImportRow>,
        validate_only: bool,
    ) -> Result<Vec<ImportOutcome>, Status> {
        let message = ImportMembersRequest { rows, validate_only };
        let results = self.results(message).await?;
        Ok(results.iter().map(ImportResult::outcome).collect())
    }

    async fn results(&mut self, message: ImportMembersRequest) -> Result<Vec<ImportResult>, Status> {
        // It fails if the call has ended, and then the answer says why.
        let _ = self.messages.send(message).await;
        let answer = timeout(NEVER, self.answers.message()).await.unwrap()?;
        Ok(answer.expect("each message is answered").results)
    }
}

fn row(email: &str) -> ImportRow {
    ImportRow {
        email: Some(email.to_owned()),
        ..ImportRow::default()
    }
}

fn numbered(count: usize) -> Vec<ImportRow> {
    (0..count)
        .map(|number| row(&format!("p{number}@acme.example")))
        .collect()
}

async fn tenant(app: &TestApp) -> Tenant {
    let organization = app.organization("acme").await;
    let key = app.key(&organization, &[Scope::DirectoryWrite]).await;
    Tenant { organization, key }
}

async fn exported(app: &TestApp, key: &str, include_revoked: bool) -> Vec<Member> {
    let request = ExportMembersRequest { include_revoked };
    let answer = app.transfers().export_members(with_key(request, key)).await;
    let mut answer = answer.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(part) = answer.message().await.unwrap() {
        assert!(!part.members.is_empty());
        all.extend(part.members);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_message_of_an_import_is_answered_when_its_rows_are_stored() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    let checked = import.send(numbered(3), true).await.unwrap();
    assert_eq!(checked, [ImportOutcome::Created; 3]);
    assert!(exported(&app, &acme.key, false).await.is_empty());
    for (rows, outcome) in [
        (numbered(1000), ImportOutcome::Created),
        (numbered(1000), ImportOutcome::Unchanged),
    ] {
        assert_eq!(import.send(rows, false).await.unwrap(), [outcome; 1000]);
        assert_eq!(exported(&app, &acme.key, false).await.len(), 1000);
    }
    drop(import.messages);
    assert_eq!(
        timeout(NEVER, import.answers.message()).await.unwrap().unwrap(),
        None
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rehearsal_names_nobody_who_is_not_there() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    let there = app.member(&acme.organization, "there@acme.example").await;
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    let named = |email: &str, name: &str| ImportRow {
        name: Some(name.to_owned()),
        ..row(email)
    };
    let rows = vec![
        named("new@acme.example", "A"),
        named("new@acme.example", "B"),
        named("new@acme.example", "B"),
        named("there@acme.example", "C"),
    ];
    let message = ImportMembersRequest {
        rows,
        validate_only: true,
    };
    let results = import.results(message).await.unwrap();
    let told: Vec<_> = results
        .iter()
        .map(|result| (result.outcome(), result.member_id.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (ImportOutcome::Created, ""),
            (ImportOutcome::Updated, ""),
            (ImportOutcome::Unchanged, ""),
            (ImportOutcome::Updated, there.id.to_string().as_str()),
        ]
    );
    drop(import);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_rows_are_rejected_with_all_that_is_wrong_and_the_others_imported() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    let bad = ImportRow {
        name: Some("x".repeat(256)),
        locale: Some("no language".to_owned()),
        role: 77,
        ..row("nobody")
    };
    let message = ImportMembersRequest {
        rows: vec![
            row("a@acme.example"),
            bad,
            ImportRow::default(),
            ImportRow {
                teams: vec![5],
                ..row("b@acme.example")
            },
            row("c@acme.example"),
        ],
        validate_only: false,
    };
    import.messages.send(message).await.unwrap();
    let results = import.answers.message().await.unwrap().unwrap().results;
    let flaws = |place: usize| -> Vec<_> {
        let flaws = results[place].flaws.iter();
        flaws
            .map(|flaw| (flaw.field.as_str(), flaw.reason.as_str()))
            .collect()
    };
    let invalid = "INVALID_ARGUMENT";
    assert_eq!(
        flaws(1),
        [
            ("role", invalid),
            ("email", invalid),
            ("name", invalid),
            ("locale", invalid)
        ]
    );
    assert_eq!(flaws(2), [("", invalid)]);
    assert_eq!(flaws(3), [("", "TEAM_NOT_FOUND")]);
    for place in [0, 4] {
        assert_eq!(results[place].outcome(), ImportOutcome::Created);
        assert_eq!(flaws(place), []);
    }
    let members = exported(&app, &acme.key, false).await;
    let ids: Vec<_> = members.iter().map(|member| member.id.as_str()).collect();
    assert_eq!(ids, [&results[0].member_id, &results[4].member_id]);
    assert_eq!(members[0].source, "import");
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_is_refused_to_who_may_not_write_and_ends_with_its_key() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    for (scopes, code, reason) in [
        (
            &[Scope::DirectoryRead][..],
            Code::PermissionDenied,
            "SCOPE_REQUIRED",
        ),
        (&[Scope::PublicApi][..], Code::Unauthenticated, "INVALID_API_KEY"),
    ] {
        let key = app.key(&acme.organization, scopes).await;
        assert_status(Import::begin(&app, &key).await.map(|_| ()), code, reason);
    }
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    import.send(numbered(1), false).await.unwrap();
    let page = userbridge::domain::PageRequest {
        after: None,
        limit: 10,
    };
    let keys = app
        .directory()
        .api_keys(Admin::OPERATOR, Some(acme.organization.id), page);
    for key in keys.await.unwrap().items {
        let revoked = app
            .directory()
            .revoke_api_key(Admin::OPERATOR, Some(acme.organization.id), key.id);
        revoked.await.unwrap();
    }
    assert_status(
        import.send(numbered(2), false).await,
        Code::Unauthenticated,
        "INVALID_API_KEY",
    );
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_much_ends_the_import_and_what_came_before_stays() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    for (rows, code, reason) in [
        (numbered(1001), Code::InvalidArgument, "INVALID_ARGUMENT"),
        (vec![], Code::InvalidArgument, "INVALID_ARGUMENT"),
        (
            vec![row(&"x".repeat(600 * 1024))],
            Code::OutOfRange,
            "MESSAGE_TOO_LARGE",
        ),
    ] {
        let mut import = Import::begin(&app, &acme.key).await.unwrap();
        import.send(numbered(2), false).await.unwrap();
        assert_status(import.send(rows, false).await, code, reason);
        assert_eq!(exported(&app, &acme.key, false).await.len(), 2);
    }
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_ends_imports_that_wait() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    import.send(numbered(2), false).await.unwrap();
    let stopping = tokio::spawn(app.shutdown());
    let ended = timeout(NEVER, import.answers.message()).await.unwrap();
    assert_status(ended, Code::Unavailable, "DRAINING");
    timeout(NEVER, stopping).await.unwrap().unwrap();
}

/// Names as long as they may be, and one that is short now and then.
async fn with_large_members(app: &TestApp, key: &str, numbers: Range<usize>) {
    let mut import = Import::begin(app, key).await.unwrap();
    let long = || Some("\u{1d11e}".repeat(255));
    let rows: Vec<_> = numbers
        .map(|number| ImportRow {
            name: long().filter(|_| !number.is_multiple_of(7)),
            company_name: long(),
            avatar_url: Some("x".repeat(2048)),
            ..row(&format!("p{number}@acme.example"))
        })
        .collect();
    for part in rows.chunks(100) {
        import.send(part.to_vec(), false).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_an_export_is_small_however_large_members_are() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    with_large_members(&app, &acme.key, 0..300).await;
    let mut small = Import::begin(&app, &acme.key).await.unwrap();
    let rows = (300..1300).map(|number| row(&format!("p{number}@acme.example")));
    small.send(rows.collect(), false).await.unwrap();
    with_large_members(&app, &acme.key, 1300..1600).await;
    let request = with_key(ExportMembersRequest::default(), &acme.key);
    let answer = app.transfers().export_members(request).await;
    let mut answer = answer.unwrap().into_inner();
    let mut numbers = Vec::new();
    while let Some(part) = answer.message().await.unwrap() {
        assert!(part.encoded_len() <= 128 * 1024, "{}", part.encoded_len());
        numbers.extend(part.members.iter().map(|member| member.number));
    }
    assert_eq!(numbers, (1..=1600).collect::<Vec<_>>());
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_are_few_for_each_key_and_organization_and_in_all() {
    let app = TestApp::start(Form::Embedded).await;
    let mut keys = Vec::new();
    for slug in ["acme", "globex", "initech", "umbrella", "hooli"] {
        let organization = app.organization(slug).await;
        for _ in 0..3 {
            keys.push(app.key(&organization, &[Scope::DirectoryWrite]).await);
        }
    }
    let overloaded = |status: Status| {
        assert!(status.get_details_retry_info().is_some());
        assert_status(Err::<(), _>(status), Code::ResourceExhausted, "OVERLOADED");
    };
    let refused = async |key: &str| {
        overloaded(Import::begin(&app, key).await.map(drop).unwrap_err());
        let request = with_key(ExportMembersRequest::default(), key);
        let export = app.transfers().export_members(request).await;
        overloaded(export.map(drop).unwrap_err());
    };
    let mut begun = Vec::new();
    for organization in 0..4 {
        for key in [organization * 3, organization * 3 + 1] {
            for _ in 0..8 {
                begun.push(Import::begin(&app, &keys[key]).await.unwrap());
            }
            refused(&keys[key]).await;
        }
        refused(&keys[organization * 3 + 2]).await;
    }
    assert_eq!(begun.len(), 64);
    refused(&keys[12]).await;
    drop(begun.pop());
    let again = async { while Import::begin(&app, &keys[12]).await.is_err() {} };
    timeout(NEVER, again).await.expect("places are given back");
    drop(begun);
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_ends_that_nobody_reads_and_its_place_is_free() {
    let limits = Limits {
        untaken: Duration::from_millis(400),
        request: Duration::from_secs(2),
        ..Limits::new(ConnectionLimit::new(100))
    };
    let app = TestApp::start_within(Form::Embedded, limits).await;
    let acme = tenant(&app).await;
    with_large_members(&app, &acme.key, 0..800).await;
    let begin = async || {
        let request = with_key(ExportMembersRequest::default(), &acme.key);
        app.transfers().export_members(request).await
    };
    let mut unread = Vec::new();
    for _ in 0..8 {
        unread.push(begin().await.unwrap().into_inner());
    }
    let again = async {
        while begin().await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, again).await.expect("they are kept for ever");
    for export in &mut unread {
        let ended = async {
            while export.message().await?.is_some() {}
            Ok::<_, Status>(())
        };
        let ended = timeout(NEVER, ended).await.unwrap();
        assert!(ended.is_err(), "it was sent to its end");
    }
    app.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_export_has_everybody_once_and_the_revoked_if_they_are_asked_for() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = tenant(&app).await;
    let mut import = Import::begin(&app, &acme.key).await.unwrap();
    for part in numbered(1300).chunks(1000) {
        import.send(part.to_vec(), false).await.unwrap();
    }
    let all = exported(&app, &acme.key, false).await;
    let numbers: Vec<_> = all.iter().map(|member| member.number).collect();
    assert_eq!(numbers, (1..=1300).collect::<Vec<_>>());
    let mut revoked = Vec::new();
    for member in all.iter().take(700) {
        let grant = userbridge::service::Write::operator(acme.organization.id);
        let id = member.id.parse().unwrap();
        app.directory().revoke_member(grant, id, None).await.unwrap();
        revoked.insert(0, member.id.clone());
    }
    assert_eq!(exported(&app, &acme.key, false).await, all[700..]);
    let with_revoked = exported(&app, &acme.key, true).await;
    assert_eq!(with_revoked[..600], all[700..]);
    let mut ids: Vec<_> = with_revoked[600..]
        .iter()
        .map(|member| member.id.clone())
        .collect();
    ids.sort();
    revoked.sort();
    assert_eq!(ids, revoked);
    assert!(
        with_revoked[600..]
            .iter()
            .all(|member| member.revoked_at.is_some())
    );
    app.shutdown().await;
}
