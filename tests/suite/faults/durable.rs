//! What is acknowledged is on the disk: the layer in front of the files sees the order of writes and syncs.

use std::{process::Stdio, rc::Rc};

use userbridge::storage::{self, Migrate};

use super::{
    layer::{Control, Layer},
    script::script,
    world::World,
};
use crate::support::skip;

const ROLE: &str = "FAULTS_DURABLE";

#[test]
fn every_acknowledged_change_has_been_synced_to_the_disk() {
    let Some(layer) = Layer::new() else {
        return skip("there is no C compiler");
    };
    let output = layer
        .this_test("faults::durable::in_a_process_of_its_own")
        .env(ROLE, "1")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(layer.control().log_writes() > 0);
}

/// What the test above starts, with the layer in front of it. By itself it does nothing.
#[tokio::test]
async fn in_a_process_of_its_own() {
    let Some((control, files)) = Control::of_this_process() else {
        return;
    };
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let url = format!("sqlite:{}", files.join("users.db").display());
    let storage = storage::connect(&url, Migrate::Always).await.unwrap();
    let world = World::new(storage, Rc::default());
    let mut changes = 0;
    for step in script() {
        let before = control.log_writes();
        let parts = step.run(&world, &[]).await;
        assert_eq!(control.log_unsynced(), 0, "{}", step.name);
        assert!(!parts.is_empty());
        changes += u32::from(control.log_writes() > before);
    }
    // Most steps are changes.
    assert!(changes > 20, "{changes} changes wrote to the log");
    world.storage.close().await;
}
