//! From a URL to connections.

use std::{str::FromStr as _, time::Duration};

use sqlx::{
    ConnectOptions as _, Connection as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{Instant, timeout};

use crate::storage::{ConnectionLoad, OpenError};

/// A connection that has done nothing for this long may have been cut by what lies in between, and is tried first.
const FRESH: Duration = Duration::from_millis(500);

/// How long that may take. One whose network is silent is replaced before callers lose patience.
const TRIED_FOR: Duration = Duration::from_secs(1);

/// Those that the server knows: it depends on its version.
const NO_TIMEOUTS: &str = "SELECT set_config(name, '0', false) FROM pg_settings
     WHERE name IN ('statement_timeout', 'lock_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout',
         'idle_session_timeout')";

/// The server of a URL, and what every connection to it has in common. What the URL leaves out comes from the variables and
/// files that PostgreSQL's own programs read (`PGPASSWORD`, `PGPASSFILE`, `PGSSLMODE` and so on).
pub(super) fn parse(url: &str) -> Result<PgConnectOptions, OpenError> {
    let options = PgConnectOptions::from_str(url).map_err(|_| OpenError::BadUrl)?;
    Ok(options
        .application_name("userbridge")
        // Nothing here is a floating-point number, and poolers refuse settings that they do not know.
        .extra_float_digits(None)
        .disable_statement_logging())
}

/// What a person calls the database: where it is, without a password.
pub(super) fn name(options: &PgConnectOptions) -> String {
    let host = match options.get_socket() {
        Some(path) => path.display().to_string(),
        None => options.get_host().to_owned(),
    };
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    format!("postgres://{host}:{}/{database}", options.get_port())
}

/// Opens a connection.
///
/// # Errors
///
/// PostgreSQL's. [`sqlx::Error::PoolTimedOut`]: it took too long.
pub(super) async fn connect(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, sqlx::Error> {
    in_time(patience, options.connect()).await
}

/// Opens a connection for statements that take as long as they take, whatever the role or the database is set to: what is large is
/// no reason to give up.
///
/// # Errors
///
/// As [`connect`].
pub(super) async fn connect_for_long(
    options: &PgConnectOptions,
    patience: Duration,
) -> Result<PgConnection, sqlx::Error> {
    let mut connection = connect(options, patience).await?;
    in_time(patience, sqlx::query(NO_TIMEOUTS).execute(&mut connection)).await?;
    Ok(connection)
}

/// Waits for an answer of the server.
///
/// # Errors
///
/// Those of the answer. [`sqlx::Error::PoolTimedOut`]: it took too long, and the connection is not to be used again.
pub(super) async fn in_time<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(patience, answer)
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Whether a connection still works that has done nothing for this long.
async fn works(connection: &mut PgConnection, idle_for: Duration, patience: Duration) -> bool {
    idle_for < FRESH || in_time(patience.min(TRIED_FOR), connection.ping()).await.is_ok()
}

/// A connection for one task, opened when needed.
pub(super) struct Kept {
    options: PgConnectOptions,
    patience: Duration,
    /// With the time of its last use.
    open: Option<(PgConnection, Instant)>,
}

impl Kept {
    pub(super) fn new(options: &PgConnectOptions, patience: Duration) -> Self {
        Self {
            options: options.clone(),
            patience,
            open: None,
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The connection, or a new one in place of one that broke while nobody used it.
    ///
    /// # Errors
    ///
    /// As [`connect`].
    pub(super) async fn get(&mut self) -> Result<&mut PgConnection, sqlx::Error> {
        let mut working = None;
        if let Some((mut connection, used_at)) = self.open.take()
            && works(&mut connection, used_at.elapsed(), self.patience).await
        {
            working = Some(connection);
        }
        let connection = match working {
            Some(connection) => connection,
            None => connect(&self.options, self.patience).await?,
        };
        let (connection, _) = self.open.insert((connection, Instant::now()));
        Ok(connection)
    }

    /// Gives it up after a failure.
    pub(super) fn give_up(&mut self) {
        self.open = None;
    }

    pub(super) async fn close(&mut self) {
        if let Some((connection, _)) = self.open.take() {
            // A server that does not hear it finds out by itself.
            let _ = in_time(self.patience, connection.close()).await;
        }
    }
}

/// Connections for one kind of work, opened when needed.
pub(super) fn pool(options: &PgConnectOptions, connections: u32, patience: Duration) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(patience)
        .test_before_acquire(false)
        .before_acquire(move |connection, idle| {
            Box::pin(async move { Ok(works(connection, idle.idle_for, patience).await) })
        })
        .connect_lazy_with(options.clone())
}

/// How many connections a pool has, under this name.
pub(super) fn load(name: &'static str, pool: &PgPool) -> ConnectionLoad {
    let open = usize::try_from(pool.size()).unwrap_or(usize::MAX);
    ConnectionLoad {
        name,
        open,
        busy: open.saturating_sub(pool.num_idle()),
    }
}
