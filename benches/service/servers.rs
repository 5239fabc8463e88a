//! Servers as processes of their own, and what the machine says about them.

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{Result, port::Port};

/// How long a program may take to say that it is ready.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How often to see whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

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

/// A running program. It is killed, by its own id and with all that it has started, when this is dropped.
pub(crate) struct Program {
    child: Child,
    addresses: Addresses,
    /// That of a program that is told where to listen.
    _port: Option<Port>,
}

/// What a program prints when it is ready.
#[derive(Default, Deserialize)]
struct Addresses {
    grpc_addr: Option<SocketAddr>,
    http_addr: Option<SocketAddr>,
}

/// Of processes, from `/proc`.
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

    /// Somebody else's program, which listens on a port that it finds in `PORT`. It is ready when it takes a connection.
    pub(crate) async fn foreign(mut command: Command) -> Result<Self> {
        let port = Port::reserve()?;
        let addr = port.addr();
        command.env("PORT", addr.port().to_string()).stdout(Stdio::null());
        let mut program = Self {
            child: Self::spawn(&mut command)?,
            addresses: Addresses {
                http_addr: Some(addr),
                grpc_addr: None,
            },
            _port: Some(port),
        };
        let ready = async {
            while TcpStream::connect(addr).await.is_err() {
                program.still_runs()?;
                sleep(LOOK_EVERY).await;
            }
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        };
        timeout(START_TIMEOUT, ready)
            .await
            .map_err(|_| format!("{command:?} does not listen"))??;
        Ok(program)
    }

    /// Ends, if it is one of ours or one written for this, when this end of its standard input does, however this program
    /// ended. It leads a group of processes, so that what it has started ends with it.
    fn spawn(command: &mut Command) -> Result<Child> {
        Ok(command.stdin(Stdio::piped()).process_group(0).spawn()?)
    }

    fn start(mut command: Command) -> Result<Self> {
        let child = Self::spawn(command.stdout(Stdio::piped()))?;
        let mut program = Self {
            child,
            addresses: Addresses::default(),
            _port: None,
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

    /// Of it and of all that it has started.
    pub(crate) fn usage(&self) -> Result<Usage> {
        let mut all = Usage {
            cpu: Duration::ZERO,
            resident: 0,
            peak: 0,
        };
        let mut processes = vec![self.child.id()];
        while let Some(process) = processes.pop() {
            let one = usage(process)?;
            all.cpu += one.cpu;
            all.resident += one.resident;
            all.peak += one.peak;
            // Those of its first thread, which is where programs start others.
            let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children"))?;
            for child in children.split_ascii_whitespace() {
                processes.push(child.parse()?);
            }
        }
        Ok(all)
    }
}

/// Of one process.
fn usage(process: u32) -> Result<Usage> {
    let process = format!("/proc/{process}");
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

impl Drop for Program {
    fn drop(&mut self) {
        // An error means that it has ended.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
    }
}
