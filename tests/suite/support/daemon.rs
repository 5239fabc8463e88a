//! Servers of others that refuse to run as root, as processes that never outlive the tests.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::process::command;

/// A script of `sh` that runs a server, as the user `postgres` if the tests run as root.
///
/// It answers its start and every command with one line, `ok` or what went wrong, and ends with everything that it
/// started when its standard input does. That happens when this is dropped and when the test process is gone, however
/// that went.
pub(crate) struct Daemon {
    child: Child,
    /// `None` while it ends.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Daemon {
    /// Starts the script with one argument, its program or the folder of its programs. Variables are for what `ps` must
    /// not show. Returns when it has answered.
    pub(crate) fn start(script: &str, program: &Path, variables: &[(&str, &str)]) -> Self {
        let mut child = shell()
            .args(["-c", script, "sh"])
            .arg(program)
            .envs(variables.iter().copied())
            // The tests' own folder may be closed to the other user.
            .current_dir("/")
            // Ctrl-C ends the tests, and this only after them.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let commands = child.stdin.take();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut daemon = Self {
            child,
            commands,
            answers,
        };
        daemon.answered("the start");
        daemon
    }

    /// Has it do something, and waits until it is done.
    pub(crate) fn tell(&mut self, command: &str) {
        writeln!(self.commands.as_mut().unwrap(), "{command}").unwrap();
        self.answered(command);
    }

    fn answered(&mut self, command: &str) {
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert_eq!(answer.trim_end(), "ok", "{command}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.commands = None;
        // Nobody is left to tell of an error.
        let _ = self.child.wait();
    }
}

/// `sh`, as somebody who isn't root.
fn shell() -> Command {
    let effective = std::fs::metadata("/proc/self").unwrap().uid();
    if effective != 0 {
        return command("sh");
    }
    let mut command = command("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
    command
}
