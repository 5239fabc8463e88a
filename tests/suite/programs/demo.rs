//! `userbridge serve --demo` as a process, read as a person would read it.

use crate::support::process::{Process, USERBRIDGE, command};

/// A server with the sample organization. It is told to stop when this goes.
pub(crate) struct Demo {
    process: Process,
    /// Such as `127.0.0.1:40000`.
    pub(crate) grpc_addr: String,
    /// Such as `127.0.0.1:40001`.
    pub(crate) http_addr: String,
    /// From the line `export USERBRIDGE_API_KEY=`.
    pub(crate) key: String,
    /// From the line `export USERBRIDGE_USER_ID=`.
    pub(crate) user_id: String,
    /// The requests that it shows, each as it would be pasted.
    pub(crate) requests: Vec<String>,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// With these flags as well.
    pub(crate) fn start_with(flags: &[&str]) -> Self {
        let mut process = Process::start(
            command(USERBRIDGE)
                .env("USERBRIDGE_LOG", "error")
                .env("USERBRIDGE_GRPC_ADDR", "127.0.0.1:0")
                .env("USERBRIDGE_HTTP_ADDR", "127.0.0.1:0")
                .args(["serve", "--demo"])
                .args(flags),
        );
        let grpc_addr = after(&process.line(), "gRPC on ");
        let http_addr = after(&process.line(), "JSON on http://");
        let mut text = String::new();
        // The last request is the one that revokes.
        while !(text.contains("/users/delete") && text.ends_with("'\n")) {
            let line = process.line();
            assert_ne!(line, "", "the server ended after {text}");
            text.push_str(&line);
        }
        let exported = |name: &str| {
            let line = text.lines().find(|line| line.contains(name)).expect(name);
            after(line.trim(), &format!("export {name}="))
        };
        Self {
            key: exported("USERBRIDGE_API_KEY"),
            user_id: exported("USERBRIDGE_USER_ID"),
            requests: requests(&text),
            process,
            grpc_addr,
            http_addr,
        }
    }

    /// Where the JSON gateway is.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.http_addr)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It takes its temporary files with it.
        self.process.terminate();
        let status = self.process.wait();
        if !std::thread::panicking() {
            assert!(status.success(), "{status}");
        }
    }
}

fn after(line: &str, prefix: &str) -> String {
    let rest = line.trim_end().strip_prefix(prefix);
    rest.unwrap_or_else(|| panic!("{line:?} does not begin with {prefix:?}"))
        .to_owned()
}

/// The indented paragraphs but the first, which exports.
fn requests(text: &str) -> Vec<String> {
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.trim_end_matches('\n'));
    paragraphs
        .filter(|paragraph| paragraph.starts_with("  ") && !paragraph.contains("export "))
        .map(str::to_owned)
        .collect()
}
