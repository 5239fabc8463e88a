//! That no secret is where it could be read.

use std::{fs, path::Path};

use userbridge::domain::TokenKind;

use super::{credentials::PASSWORD, members::writer};
use crate::support::{
    Form, TestApp,
    proto::directory_v1::{Role, verify_request::By},
};

#[tokio::test]
async fn no_password_and_no_token_is_in_the_files() {
    let app = TestApp::start(Form::Embedded).await;
    let acme = app.organization("acme").await;
    let key = writer(&app, &acme).await;
    let sally = super::credentials::staff(&app, &key, "sally@acme.example.com", Role::Admin).await;
    let link = app.token(&acme, &sally.id, TokenKind::PasswordLink).await;
    app.set_password(&link, PASSWORD).await.unwrap();
    let by = By::MemberId(sally.id.clone());
    let verified = app.verify(&key, by, PASSWORD).await.unwrap();
    let code = app.code(&verified.access_token, "").await.unwrap();
    let session = app.open(&code).await.unwrap();
    app.whose(&session).await.unwrap();
    // While the server runs: the write-ahead log is part of what is stored.
    let file = Path::new(app.database_url().strip_prefix("sqlite:").unwrap());
    let mut stored = String::new();
    for file in fs::read_dir(file.parent().unwrap()).unwrap() {
        stored.push_str(&String::from_utf8_lossy(&fs::read(file.unwrap().path()).unwrap()));
    }
    assert!(stored.contains("$argon2id$"));
    assert!(!stored.contains(PASSWORD));
    for token in [&link, &verified.access_token, &code, &session] {
        assert_eq!(token.len(), 47);
        // The random half, or the end of it.
        assert!(!stored.contains(token.get(4..).unwrap()));
        assert!(!stored.contains(token.get(20..).unwrap()));
    }
}
