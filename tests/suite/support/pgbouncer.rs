//! pgbouncer, the pooler that many put in front of PostgreSQL.

use std::{env, path::PathBuf};

use url::Url;

use super::{daemon::Daemon, port::Port, skip};

/// How long a client keeps the connection to the server that it was given.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// Until it goes. Everything works as without a pooler.
    Session,
    /// Until its transaction ends. Its next statement may meet another connection.
    Transaction,
}

/// A pgbouncer in front of a server. It ends with this, or with the test process.
pub(crate) struct PgBouncer {
    url: Url,
    _port: Port,
    _daemon: Daemon,
}

impl PgBouncer {
    /// For the role of a URL, and every database that the role may use there: up to 20 connections to each. `None`: there is
    /// no pgbouncer here, and the test has been said to be skipped.
    pub(crate) fn before(server: &str, mode: Mode) -> Option<Self> {
        Self::with_connections(server, mode, 20)
    }

    /// As [`Self::before`], with another number of connections to each database.
    pub(crate) fn with_connections(server: &str, mode: Mode, connections: u32) -> Option<Self> {
        let Some(program) = program() else {
            skip("pgbouncer is neither on the PATH nor in /usr/sbin");
            return None;
        };
        let port = Port::reserve().unwrap();
        let mut url = Url::parse(server).unwrap();
        let (host, server_port) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
        let mode = match mode {
            Mode::Session => "session",
            Mode::Transaction => "transaction",
        };
        // sqlx asks for exact floating point numbers, which pgbouncer refuses unless it may ignore that.
        let config = format!(
            "[databases]\n* = host={host} port={server_port}\n\
            [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\nunix_socket_dir =\n\
            auth_type = plain\nauth_file = users.txt\nignore_startup_parameters = extra_float_digits\n\
            pool_mode = {mode}\ndefault_pool_size = {connections}\nmax_client_conn = 400",
            port.addr().port(),
        );
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        let users = format!("\"{user}\" \"{password}\"");
        let script = include_str!("pgbouncer.sh");
        let daemon = Daemon::start(script, &program, &[("CONFIG", &config), ("USERS", &users)]);
        url.set_ip_host(port.addr().ip()).unwrap();
        url.set_port(Some(port.addr().port())).unwrap();
        Some(Self {
            url,
            _port: port,
            _daemon: daemon,
        })
    }

    /// The URL of the server, by way of pgbouncer.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }
}

fn program() -> Option<PathBuf> {
    // Debian's folder of it is on the PATH of root alone.
    let path = env::var_os("PATH")?;
    let folders = env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders
        .map(|folder| folder.join("pgbouncer"))
        .find(|program| program.exists())
}
