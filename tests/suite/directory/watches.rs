//! How many may follow the event log, and what a watch tells besides events.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt as _;
use tonic::{Code, Status, Streaming};
use tonic_types::StatusExt as _;
use userbridge::{domain::Scope, service::WatchLimits};

use super::{
    assert_status,
    members::{linked, sally},
};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{ListEventsRequest, WatchEventsRequest, WatchEventsResponse},
    with_key,
};

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(25);

async fn watch(
    app: &TestApp,
    key: &str,
    after_sequence: i64,
) -> Result<Streaming<WatchEventsResponse>, Status> {
    let request = with_key(WatchEventsRequest { after_sequence }, key);
    Ok(app.events().watch_events(request).await?.into_inner())
}

async fn head(app: &TestApp, key: &str) -> i64 {
    let request = with_key(ListEventsRequest::default(), key);
    let events = app.events().list_events(request).await.unwrap().into_inner();
    events.events.last().unwrap().sequence
}

async fn next(stream: &mut Streaming<WatchEventsResponse>) -> WatchEventsResponse {
    let next = timeout(NEVER, stream.next()).await.expect("a message is missing");
    next.unwrap().unwrap()
}

#[tokio::test]
async fn nobody_takes_the_places_of_all_others() {
    assert_eq!(WatchLimits::default().total, 1000);
    let limits = WatchLimits {
        total: 4,
        organization: 3,
        key: 2,
        ..WatchLimits::default()
    };
    let app = TestApp::with_watches(Form::Embedded, limits).await;
    let (acme, globex) = (app.organization("acme").await, app.organization("globex").await);
    let first = app.key(&acme, &[Scope::DirectoryRead]).await;
    let second = app.key(&acme, &[Scope::DirectoryRead]).await;
    let other = app.key(&globex, &[Scope::DirectoryRead]).await;
    let refused = async |key: &str| {
        let status = watch(&app, key, 0).await.map(drop).unwrap_err();
        assert!(status.get_error_details().retry_info().is_some());
        assert_status(Err::<(), _>(status), Code::ResourceExhausted, "TOO_MANY_WATCHES");
    };
    let one = watch(&app, &first, 0).await.unwrap();
    let _two = watch(&app, &first, 0).await.unwrap();
    refused(&first).await;
    let _three = watch(&app, &second, 0).await.unwrap();
    refused(&second).await;
    let _four = watch(&app, &other, 0).await.unwrap();
    refused(&other).await;
    // Refused ones have taken no place, and a watch gives its own back.
    drop(one);
    let again = async {
        while watch(&app, &other, 0).await.is_err() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(NEVER, again).await.expect("a place is lost");
}

#[tokio::test]
async fn a_watch_from_beyond_the_end_is_refused() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let end = head(&app, &key).await;
    for beyond in [end + 1, i64::MAX] {
        let refused = watch(&app, &key, beyond).await.map(drop);
        assert_status(refused, Code::OutOfRange, "AFTER_SEQUENCE_BEYOND_END");
    }
    let mut stream = watch(&app, &key, end).await.unwrap();
    linked(&app, sally(), &key).await;
    assert_eq!(next(&mut stream).await.event.unwrap().sequence, end + 1);
}

#[tokio::test]
async fn a_quiet_watch_tells_where_the_log_ends() {
    assert_eq!(WatchLimits::default().quiet, Duration::from_secs(15));
    let limits = WatchLimits {
        quiet: Duration::from_millis(50),
        ..WatchLimits::default()
    };
    let app = TestApp::with_watches(Form::Embedded, limits).await;
    let acme = app.organization("acme").await;
    let key = app.key(&acme, &[Scope::DirectoryWrite]).await;
    let end = head(&app, &key).await;
    let mut stream = watch(&app, &key, 0).await.unwrap();
    for sequence in 1..=end {
        let message = next(&mut stream).await;
        assert_eq!(
            (message.event.unwrap().sequence, message.head_sequence),
            (sequence, end)
        );
    }
    for _ in 0..2 {
        let quiet = next(&mut stream).await;
        assert_eq!((quiet.event, quiet.head_sequence), (None, end));
    }
    linked(&app, sally(), &key).await;
    let event = loop {
        let message = next(&mut stream).await;
        if let Some(event) = message.event {
            assert_eq!(message.head_sequence, end + 1);
            break event;
        }
        assert_eq!(message.head_sequence, end);
    };
    assert_eq!(event.sequence, end + 1);
    assert_eq!(next(&mut stream).await.head_sequence, end + 1);
}
