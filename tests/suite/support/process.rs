//! The real programs, as processes.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

/// The program of this package.
pub(crate) const USERBRIDGE: &str = env!("CARGO_BIN_EXE_userbridge");

/// The gateway's program, which lies beside the other one if the whole workspace was built.
pub(crate) fn gateway_program() -> Option<PathBuf> {
    let path = Path::new(USERBRIDGE).with_file_name("userbridge-gateway");
    path.exists().then_some(path)
}

/// A program that can't see the settings of whoever runs the tests.
pub(crate) fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("USERBRIDGE_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// `userbridge serve` on free ports.
pub(crate) fn serve() -> Command {
    let mut command = command(USERBRIDGE);
    command
        .args(["serve", "--grpc-addr", "127.0.0.1:0"])
        .args(["--http-addr", "127.0.0.1:0"])
        .env("USERBRIDGE_LOG", "error");
    command
}

/// A process that is killed, by its own id, when the test is done with it.
pub(crate) struct Process {
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it. What it logs goes where the test's own errors go.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// The next line that it prints. Empty: it has ended.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Asks it to stop, as a service manager does.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let done = Command::new("sh").args(["-c", &kill]).status().unwrap();
        assert!(done.success());
    }

    /// Ends it at once, wherever it is: `kill -9`.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        // What it still prints must not fill the pipe.
        let mut rest = Vec::new();
        self.stdout.read_to_end(&mut rest).unwrap();
        self.child.wait().unwrap()
    }

    /// Waits until it has ended by itself, which may not take for ever.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "it does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server of JSON and gRPC, as a process.
pub(crate) struct Serve {
    pub process: Process,
    pub grpc_addr: SocketAddr,
    pub http_addr: SocketAddr,
    /// The object that it prints when it is ready.
    pub announced: Value,
}

impl Serve {
    /// Starts it on a database and returns when it is ready.
    pub(crate) fn start(database_url: &str) -> Self {
        Self::start_with(&["--database-url", database_url])
    }

    /// Starts it with more arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        Self::start_as(serve().args(arguments))
    }

    /// Starts it as this command of [`serve`] says.
    pub(crate) fn start_as(command: &mut Command) -> Self {
        let mut process = Process::start(command.arg("--json"));
        let line = process.line();
        let announced: Value = serde_json::from_str(&line).expect("the server says where it serves");
        let addr = |name: &str| announced[name].as_str().unwrap().parse().unwrap();
        Self {
            grpc_addr: addr("grpc_addr"),
            http_addr: addr("http_addr"),
            announced,
            process,
        }
    }
}

/// A run of `userbridge` that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    /// What it printed. It must have succeeded.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }
}

impl From<Output> for Finished {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs `userbridge` on a database until it ends.
pub(crate) fn userbridge(database_url: &str, arguments: &[&str]) -> Finished {
    command(USERBRIDGE)
        .env("USERBRIDGE_DATABASE_URL", database_url)
        .args(arguments)
        .output()
        .unwrap()
        .into()
}
