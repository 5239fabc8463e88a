//! What a server has said in the file that it logs to.

use std::{fs, path::Path, time::Duration};

use tokio::time::{sleep, timeout};

/// Long enough for anything that happens at all.
const NEVER: Duration = Duration::from_secs(25);

/// Waits for a line with this, which the server writes beside what it does.
pub(crate) async fn until_logged(log: &Path, text: &str) {
    let logged = async {
        while lines_with(log, text) == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(NEVER, logged).await.expect("it is logged");
}

/// How many lines have this.
pub(crate) fn lines_with(log: &Path, text: &str) -> usize {
    let log = fs::read_to_string(log).unwrap();
    log.lines().filter(|line| line.contains(text)).count()
}
