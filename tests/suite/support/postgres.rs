//! Real PostgreSQL: an empty database for each test on a server that all share, and servers of a test's own.
//!
//! The shared server is the one that `USERBRIDGE_TEST_POSTGRES_URL` names, whose role must be allowed to create
//! databases, or else a cluster that lives as long as the test process. PostgreSQL's programs are found on the `PATH` or in
//! `/usr/lib/postgresql`; without them a test says that it is skipped.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex},
    thread,
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::{runtime, sync::OnceCell, task};
use url::Url;
use userbridge::domain::Random as _;

use super::{RANDOM, daemon::Daemon, port::Port, programs::programs, skip};

const MISSING: &str = "PostgreSQL's initdb is neither on the PATH nor in /usr/lib/postgresql/*/bin";

/// The role that tests connect as: no superuser, and it owns its databases.
const ROLE: &str = "userbridge";

/// An empty database. It is dropped with this, whoever is still connected.
pub(crate) struct Database {
    name: String,
    url: Url,
}

impl Database {
    /// `None`: there is no PostgreSQL here, and the test has been said to be skipped.
    pub(crate) fn create() -> Option<Self> {
        Some(Self::on(shared()?, "template1"))
    }

    /// The URL, with its password.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect(self.url()).await.unwrap()
    }

    /// A copy of it as it is now. Whoever is still connected to it is cut off.
    pub(crate) fn copied(&self) -> Option<Self> {
        let server = shared()?;
        let connected = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            self.name
        );
        execute(&server.url, connected).unwrap();
        Some(Self::on(server, &self.name))
    }

    /// A copy of another database of the server, which nobody may be connected to.
    fn on(server: &Shared, template: &str) -> Self {
        let name = format!("userbridge_test_{}", unique().to_lowercase().replace('-', "_"));
        let Shared { url, strategy } = server;
        execute(
            url,
            format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}"),
        )
        .unwrap();
        let mut url = url.clone();
        url.set_path(&name);
        Self { name, url }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Best effort: the test that took its server away has nothing left to drop.
        if let Some(server) = &*SHARED {
            let _ = execute(
                &server.url,
                format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
            );
        }
    }
}

/// A database that is filled once for a test process and then copied, which is quicker than to fill each.
/// On a server that is not ours it stays behind.
pub(crate) struct Template(OnceCell<Option<Database>>);

impl Template {
    pub(crate) const fn new() -> Self {
        Self(OnceCell::const_new())
    }

    /// A copy for a test. Whoever is first fills the original, and must not stay connected to it.
    pub(crate) async fn copy<F: Future<Output = ()>>(
        &self,
        fill: impl FnOnce(String) -> F,
    ) -> Option<Database> {
        let server = shared()?;
        let original = self.0.get_or_init(|| async {
            let database = Database::create()?;
            fill(database.url().to_owned()).await;
            Some(database)
        });
        let template = &original.await.as_ref()?.name;
        Some(Database::on(server, template))
    }
}

/// A cluster of its own: with everything on that makes commits durable, on a port that stays the same.
pub(crate) struct Cluster {
    daemon: Arc<Mutex<Daemon>>,
    port: Port,
    password: String,
}

impl Cluster {
    /// One that runs, with more lines for its `postgresql.conf` and a database. `None`: there is no PostgreSQL here, and
    /// the test has been said to be skipped.
    pub(crate) async fn own(settings: &[&str]) -> Option<Self> {
        let Some(programs) = programs() else {
            skip(MISSING);
            return None;
        };
        let settings = settings.join("\n");
        let start = move || {
            let cluster = Self::start_as(&programs, &env::temp_dir(), "scram-sha-256", &settings);
            let server = cluster.role("postgres");
            execute(&server, format!("CREATE DATABASE {ROLE} OWNER {ROLE}")).unwrap();
            cluster
        };
        Some(task::spawn_blocking(start).await.unwrap())
    }

    /// The URL of its database, for a role that is no superuser.
    pub(crate) fn url(&self) -> String {
        self.role(ROLE).into()
    }

    /// Starts it again, and returns when it takes connections.
    pub(crate) async fn start(&self) {
        self.tell("start").await;
    }

    /// Cuts all connections, writes everything down, and has ended.
    pub(crate) async fn stop(&self) {
        self.tell("fast").await;
    }

    /// Ends every process of it at once. It recovers when it starts again.
    pub(crate) async fn stop_immediately(&self) {
        self.tell("immediate").await;
    }

    pub(crate) async fn restart(&self) {
        self.stop().await;
        self.start().await;
    }

    /// `kill -9` of the process that the others stand on. They end when they notice.
    pub(crate) async fn kill(&self) {
        self.tell("kill").await;
    }

    async fn tell(&self, command: &'static str) {
        let daemon = Arc::clone(&self.daemon);
        let told = task::spawn_blocking(move || daemon.lock().unwrap().tell(command));
        told.await.unwrap();
    }

    /// A running cluster in a new folder inside of one, with the role of the tests in it.
    fn start_as(programs: &Path, place: &Path, auth: &str, settings: &str) -> Self {
        let port = Port::reserve().unwrap();
        let password = unique();
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\n{settings}",
            port.addr().port()
        );
        let script = include_str!("postgres.sh");
        let variables = [
            ("TMPDIR", place.to_str().unwrap()),
            ("PASSWORD", &password),
            ("AUTH", auth),
            ("SETTINGS", &settings),
        ];
        let mut daemon = Daemon::start(script, programs, &variables);
        daemon.tell("start");
        let cluster = Self {
            daemon: Arc::new(Mutex::new(daemon)),
            port,
            password,
        };
        let role = format!(
            "CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD '{}'",
            cluster.password
        );
        execute(&cluster.role("postgres"), role).unwrap();
        cluster
    }

    /// Where a role finds the database of its own name.
    fn role(&self, name: &str) -> Url {
        let (addr, password) = (self.port.addr(), &self.password);
        Url::parse(&format!("postgres://{name}:{password}@{addr}/{name}")).unwrap()
    }
}

/// Where tests create their databases.
struct Shared {
    url: Url,
    /// How it copies, if not as it likes.
    strategy: &'static str,
}

static SHARED: LazyLock<Option<Shared>> = LazyLock::new(|| {
    /// For the life of the process.
    static CLUSTER: Mutex<Option<Cluster>> = Mutex::new(None);

    if let Ok(url) = env::var("USERBRIDGE_TEST_POSTGRES_URL") {
        let url = Url::parse(&url).unwrap();
        return Some(Shared { url, strategy: "" });
    }
    // Quick, and durable only while it runs.
    let settings = "max_connections = 400\nautovacuum = off\n\
        fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n\
        wal_level = minimal\nmax_wal_senders = 0\nmax_wal_size = 256MB";
    let cluster = Cluster::start_as(&programs()?, &memory(), "password", settings);
    let mut url = cluster.role(ROLE);
    url.set_path("postgres");
    *CLUSTER.lock().unwrap() = Some(cluster);
    // Half the time of the other one where nothing is synced.
    let strategy = "STRATEGY FILE_COPY";
    Some(Shared { url, strategy })
});

fn shared() -> Option<&'static Shared> {
    let server = SHARED.as_ref();
    if server.is_none() {
        skip(MISSING);
    }
    server
}

/// A folder in memory that has room for databases of tests, or else the one for temporary files. A database is 300 files,
/// and ext4 takes ten times as long to create as many when as many have just been deleted.
fn memory() -> PathBuf {
    const ROOM: u64 = 2 << 30;

    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |stat| stat.f_bavail * stat.f_frsize);
    if room < ROOM {
        env::temp_dir()
    } else {
        memory.to_owned()
    }
}

/// A text that nobody can guess, of letters, digits, `-` and `_`.
fn unique() -> String {
    let mut bytes = [0; 15];
    RANDOM.fill(&mut bytes).unwrap();
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Runs one statement on a connection of its own, on a thread of its own: the caller may be in a runtime and can't wait in it.
fn execute(server: &Url, statement: String) -> sqlx::Result<()> {
    let run = async {
        let mut connection = PgConnection::connect(server.as_str()).await?;
        sqlx::query(AssertSqlSafe(statement))
            .execute(&mut connection)
            .await?;
        connection.close().await
    };
    let wait = || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(run)
    };
    thread::scope(|scope| scope.spawn(wait).join().unwrap())
}
