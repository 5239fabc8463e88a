//! Commands as a person pastes them into a shell: those that `serve --demo` prints, and those of the README.

use std::{path::Path, process::Command};

use super::{
    demo::Demo,
    tools::{Needs, Ran, available, path_folder, path_with, run},
};

/// Pastes a command, with the variables that the server says to export, and in a folder with what it may need.
pub(crate) fn paste(command: &str, demo: &Demo, path: &Path) -> Ran {
    run(Command::new("bash")
        .args(["-c", command])
        .current_dir(path)
        .env("PATH", path_with(path))
        .env("USERBRIDGE_API_KEY", &demo.key)
        .env("USERBRIDGE_USER_ID", &demo.user_id))
}

#[test]
fn the_curl_commands_that_the_demo_prints_work_when_pasted() {
    if !available(&[Needs::Curl]) {
        return;
    }
    let demo = Demo::start();
    let path = path_folder();
    let mut shown = 0;
    for request in demo.requests.iter().filter(|request| request.contains("curl -X")) {
        let answer = paste(request, &demo, path.path()).json();
        if request.contains("/users/retrieve") {
            assert_eq!(answer["user_id"], *demo.user_id, "{request}");
        } else {
            assert_eq!(answer["success"], true, "{request}");
        }
        shown += 1;
    }
    assert_eq!(shown, 3, "two ways to retrieve, one to delete");
}

#[test]
fn the_grpcurl_commands_that_the_demo_prints_work_when_pasted() {
    if !available(&[Needs::GRPCURL]) {
        return;
    }
    let demo = Demo::start();
    let path = path_folder();
    let shown: Vec<_> = demo
        .requests
        .iter()
        .filter(|request| request.contains("grpcurl"))
        .map(|request| paste(request, &demo, path.path()).ok())
        .collect();
    let [list, retrieve] = shown.as_slice() else {
        panic!("{shown:?}");
    };
    assert!(list.contains("userbridge.users.v1.UserService\n"), "{list}");
    assert!(retrieve.contains(&demo.user_id), "{retrieve}");
}
