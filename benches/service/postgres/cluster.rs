//! A PostgreSQL of the run's own, in a temporary folder, that ends with it.

use std::{
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::SocketAddr,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

use super::programs::programs;
use crate::{Result, port::Port, servers::Location};

/// What differs from PostgreSQL's own settings, durability never: room for the callers of `pgbench`, and a cache and a log in
/// which a run of a few minutes fits without a checkpoint.
const SETTINGS: &str = "max_connections = 300
shared_buffers = 512MB
max_wal_size = 4GB
checkpoint_timeout = 30min";

/// A running cluster. The script that holds it removes it when this is dropped, and when this program is gone.
pub(crate) struct Cluster {
    child: Child,
    /// None while it ends.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    programs: PathBuf,
    port: Port,
    password: String,
}

impl Cluster {
    /// Creates and starts one: as the user `postgres` if this is root, whom PostgreSQL refuses.
    pub(crate) fn start() -> Result<Self> {
        let programs = programs().ok_or("PostgreSQL is not installed")?;
        let port = Port::reserve()?;
        let mut secret = [0; 15];
        File::open("/dev/urandom")?.read_exact(&mut secret)?;
        let password = URL_SAFE_NO_PAD.encode(secret);
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\n{SETTINGS}",
            port.addr().port()
        );
        let mut child = shell()?
            .args([
                "-c",
                include_str!("../../../tests/suite/support/postgres.sh"),
                "sh",
            ])
            .arg(&programs)
            .env("TMPDIR", env::temp_dir())
            .env("PASSWORD", &password)
            // It is for the loopback, and quick: `pgbench` counts the time in which its clients log in.
            .env("AUTH", "password")
            .env("SETTINGS", settings)
            .current_dir("/")
            // Ctrl-C ends the run, and this only after it.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut cluster = Self {
            commands: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().ok_or("no standard output")?),
            child,
            programs,
            port,
            password,
        };
        cluster.answered()?;
        writeln!(cluster.commands.as_mut().ok_or("it ends")?, "start")?;
        cluster.answered()?;
        Ok(cluster)
    }

    fn answered(&mut self) -> Result<()> {
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        match answer.trim_end() {
            "ok" => Ok(()),
            problem => Err(format!("PostgreSQL does not start: {problem}").into()),
        }
    }

    /// Where its database is.
    pub(crate) fn location(&self) -> Location {
        Location {
            name: format!("postgres://postgres@{}/postgres", self.addr()),
            password: Some(self.password.clone()),
        }
    }

    /// One of PostgreSQL's own programs, which knows where the database is.
    pub(crate) fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command
            .env("PGHOST", self.addr().ip().to_string())
            .env("PGPORT", self.addr().port().to_string())
            .env("PGUSER", "postgres")
            .env("PGDATABASE", "postgres");
        self.location().pass(&mut command);
        command
    }

    const fn addr(&self) -> SocketAddr {
        self.port.addr()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.commands = None;
        // Nobody is left to tell of an error.
        let _ = self.child.wait();
    }
}

/// `sh`, as somebody who isn't root.
fn shell() -> Result<Command> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(Command::new("sh"));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "sh"]);
    Ok(command)
}
