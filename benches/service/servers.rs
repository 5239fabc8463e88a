//! Servers as processes of their own, and what the machine says about them.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde::Deserialize;

use crate::Result;

/// How long a program may take to say that it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a tick of `/proc/<pid>/stat` is: `USER_HZ` is 100 on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// Where a database is, as programs are told.
#[derive(Clone)]
pub(crate) struct Location {
    /// A URL or a file, without a password: `ps` shows it.
    pub(crate) name: String,
    pub(crate) password: Option<String>,
}

impl Location {
    /// Tells a program the password.
    pub(crate) fn pass(&self, command: &mut Command) {
        command.envs(self.password.iter().map(|password| ("PGPASSWORD", password)));
    }
}

/// A running program. It is killed, by its own id, when this is dropped.
pub(crate) struct Program {
    child: Child,
    addresses: Addresses,
}

/// What a program prints when it is ready.
#[derive(Default, Deserialize)]
struct Addresses {
    grpc_addr: Option<SocketAddr>,
    http_addr: Option<SocketAddr>,
}

/// Of a process, from `/proc`.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// User and system time since its start.
    pub(crate) cpu: Duration,
    /// Resident memory now, in KiB.
    pub(crate) resident: u64,
    /// The most resident memory since its start, in KiB.
    pub(crate) peak: u64,
}

impl Program {
    /// `userbridge serve`, as it is shipped, on a database.
    pub(crate) fn userbridge(database: &Location) -> Result<Self> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_userbridge"));
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("USERBRIDGE_") {
                command.env_remove(name);
            }
        }
        command
            .args([
                "serve",
                "--json",
                "--grpc-addr",
                "127.0.0.1:0",
                "--http-addr",
                "127.0.0.1:0",
            ])
            .args(["--database-url", &database.name]);
        database.pass(&mut command);
        Self::start(command)
    }

    /// A part of this program, on a database.
    pub(crate) fn part(arguments: &[&str], database: &Location) -> Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.args(arguments).args(["--database", &database.name]);
        database.pass(&mut command);
        Self::start(command)
    }

    fn start(mut command: Command) -> Result<Self> {
        // A baseline ends when this end of its standard input does, however this program ended.
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut program = Self {
            child,
            addresses: Addresses::default(),
        };
        let stdout = program.child.stdout.take().ok_or("no standard output")?;
        let (send, receive) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // Nobody may be waiting any more.
            let _ = send.send(lines.next());
            // The rest is read so that the program never waits for a full pipe.
            lines.for_each(drop);
        });
        let line = receive
            .recv_timeout(START_TIMEOUT)?
            .ok_or_else(|| format!("{command:?} ended before it was ready"))??;
        program.addresses = serde_json::from_str(&line)?;
        Ok(program)
    }

    pub(crate) fn grpc_addr(&self) -> Result<SocketAddr> {
        Ok(self.addresses.grpc_addr.ok_or("it serves no gRPC")?)
    }

    pub(crate) fn http_addr(&self) -> Result<SocketAddr> {
        Ok(self.addresses.http_addr.ok_or("it serves no JSON")?)
    }

    /// An error if it has ended.
    pub(crate) fn still_runs(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("a program ended early: {status}").into()),
        }
    }

    pub(crate) fn usage(&self) -> Result<Usage> {
        let process = format!("/proc/{}", self.child.id());
        let stat = fs::read_to_string(format!("{process}/stat"))?;
        // After the name, which may hold anything: user time is the 12th field, system time the 13th (proc(5)).
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in stat")?;
        let ticks = fields
            .split_ascii_whitespace()
            .skip(11)
            .take(2)
            .map(str::parse::<u32>)
            .sum::<std::result::Result<u32, _>>()?;
        let status = fs::read_to_string(format!("{process}/status"))?;
        let kib = |name: &str| {
            status
                .lines()
                .find_map(|line| {
                    line.strip_prefix(name)?
                        .split_ascii_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .ok_or_else(|| format!("no {name} in status"))
        };
        Ok(Usage {
            cpu: TICK * ticks,
            resident: kib("VmRSS:")?,
            peak: kib("VmHWM:")?,
        })
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
