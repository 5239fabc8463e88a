//! New certificates, while the server runs.

use std::{fs, path::PathBuf, time::Duration};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::{
    Place, asks,
    authority::{Authority, Names, Pair, SERVER},
    flags,
};
use crate::support::until_logged;

/// Long enough for anything that happens at all.
const NEVER: Duration = Duration::from_secs(25);

/// A server that logs into a file.
fn logging(authority: &Authority) -> (tempfile::TempDir, Place, PathBuf) {
    let folder = authority.folder();
    let log = folder.path().join("log");
    let place = Place::start(|serve| {
        let file = fs::File::create(&log).unwrap();
        serve
            .args(flags(folder.path()))
            .env("USERBRIDGE_LOG", "info")
            .stderr(file);
    });
    (folder, place, log)
}

async fn shown(authority: &Authority, place: &Place) -> CertificateDer<'static> {
    let stream = authority.connect(place.serve.http_addr, "http/1.1").await;
    let certificates = stream.get_ref().1.peer_certificates().unwrap();
    certificates[0].clone().into_owned()
}

async fn until_shown(authority: &Authority, place: &Place, pair: &Pair) {
    let shown = async {
        while shown(authority, place).await != pair.der() {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, shown).await.expect("it is shown");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_new_connections_and_those_that_are_there_go_on() {
    let authority = Authority::new();
    let (folder, place, log) = logging(&authority);
    let mut open = authority.connect(place.serve.http_addr, "http/1.1").await;
    asks(&mut open).await;
    let new = authority.certify(SERVER);
    new.put(folder.path());
    place.serve.process.signal("HUP");
    until_shown(&authority, &place, &new).await;
    asks(&mut open).await;
    // Without a signal.
    let newer = authority.certify(SERVER);
    newer.put(folder.path());
    until_shown(&authority, &place, &newer).await;
    asks(&mut open).await;
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("can read the private key"), "{text}");
    assert!(!text.contains("PRIVATE KEY"), "{text}");
}

#[tokio::test]
async fn files_that_can_not_be_used_are_said_in_the_log_and_those_before_stay_in_use() {
    let authority = Authority::new();
    let (folder, place, log) = logging(&authority);
    let first = shown(&authority, &place).await;
    let expired = authority.certify(Names {
        expired: true,
        ..SERVER
    });
    expired.put(folder.path());
    until_logged(&log, "the certificate has expired on 2020-01-01").await;
    assert!(shown(&authority, &place).await == first);
    // Half of a new pair is no pair.
    let new = authority.certify(SERVER);
    fs::write(folder.path().join("cert.pem"), &new.cert).unwrap();
    until_logged(&log, "can't be used together").await;
    assert!(shown(&authority, &place).await == first);
    fs::remove_file(folder.path().join("key.pem")).unwrap();
    until_logged(&log, "key.pem: No such file").await;
    assert!(shown(&authority, &place).await == first);
    new.put(folder.path());
    until_shown(&authority, &place, &new).await;
}

#[tokio::test]
async fn a_pipe_in_the_place_of_a_file_ends_no_renewal() {
    let authority = Authority::new();
    let (folder, place, log) = logging(&authority);
    let first = shown(&authority, &place).await;
    let pipe = folder.path().join("cert.pem");
    fs::remove_file(&pipe).unwrap();
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    until_logged(&log, "cert.pem: it is no regular file").await;
    assert!(shown(&authority, &place).await == first);
    fs::remove_file(&pipe).unwrap();
    let new = authority.certify(SERVER);
    new.put(folder.path());
    until_shown(&authority, &place, &new).await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_not_taken_for_the_servers() {
    let authority = Authority::new();
    let (_folder, place, _log) = logging(&authority);
    let stream = TcpStream::connect(place.serve.http_addr).await.unwrap();
    assert!(Authority::new().over(stream, "h2").await.is_err());
    shown(&authority, &place).await;
}
