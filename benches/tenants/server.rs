//! The server, as a process of its own.

use std::{
    env,
    ffi::OsStr,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde::Deserialize;

use crate::Result;

/// A running server. It is killed, by its own id, when this is dropped.
pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) addresses: Addresses,
}

/// What it prints when it is ready.
#[derive(Deserialize)]
pub(crate) struct Addresses {
    pub(crate) grpc_addr: SocketAddr,
    pub(crate) http_addr: SocketAddr,
}

impl Server {
    /// `userbridge serve` on a database, with these flags more.
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: &Path,
        database_url: &str,
        flags: impl IntoIterator<Item = A>,
    ) -> Result<Self> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("USERBRIDGE_") {
                command.env_remove(name);
            }
        }
        let free = "127.0.0.1:0";
        command
            .args(["serve", "--json", "--grpc-addr", free, "--http-addr", free])
            .args(["--database-url", database_url])
            .args(flags)
            .env("USERBRIDGE_LOG", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let stdout = child.stdout.take();
        let mut line = String::new();
        // It prints one line, or ends.
        BufReader::new(stdout.ok_or("no standard output")?).read_line(&mut line)?;
        match serde_json::from_str(&line) {
            Ok(addresses) => Ok(Self { child, addresses }),
            Err(error) => {
                let status = child.wait()?;
                Err(format!("the server did not start: {status}, {error}").into())
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
