//! The script, with the n-th call to the files failing, for every n.
//!
//! What did happen is known afterwards: each change has a time of its own, which is in the event log. So the script is run
//! again without faults and without what did not happen, and then both databases must be equal, table by table, and so
//! must all answers.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    rc::Rc,
    time::Duration,
};

use sqlx::{AssertSqlSafe, Connection as _, Row as _, SqliteConnection};
use tokio::{runtime::Runtime, time::timeout};
use userbridge::{
    domain::{Timestamp, UserId},
    service::ServiceError,
    storage::{self, Migrate},
};

use super::{
    layer::{Control, Fault, Kind, Layer, Mode},
    script::{Step, script},
    world::{Names, Part, World},
};
use crate::support::skip;

/// Long enough for anything that ends at all.
const NEVER: Duration = Duration::from_secs(10);

/// How long the script waits after a refusal before it goes on, if the directory does not take changes again sooner.
const PATIENCE: Duration = Duration::from_millis(300);

/// Which part of the runs a process does, such as `0/2`, and of how many of them one, such as `17`.
const PART: &str = "FAULTS_PART";
const ONE_OF: &str = "FAULTS_ONE_OF";

/// Runs in a row of which the tests do one. `USERBRIDGE_TEST_FAULTS=all` does all, which takes long.
const STRIDE: u32 = 151;

/// So many runs that went wrong tell what is wrong.
const ENOUGH: usize = 3;

/// Processes that share the work.
const PARTS: u32 = 2;

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost_and_everything_goes_on() {
    let all = std::env::var_os("USERBRIDGE_TEST_FAULTS").is_some_and(|which| which == "all");
    let stride = if all { 1 } else { STRIDE };
    let mut parts = Vec::new();
    for part in 0..PARTS {
        let Some(layer) = Layer::new() else {
            return skip("there is no C compiler");
        };
        let child = layer
            .this_test("faults::sweep::in_a_process_of_its_own")
            .env(PART, format!("{part}/{PARTS}"))
            .env(ONE_OF, stride.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        parts.push((child, layer));
    }
    for (child, _layer) in parts {
        let output = child.wait_with_output().unwrap();
        let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(output.status.success(), "{}\n{}", said[0], said[1]);
        // That the layer was there, and that something failed.
        let ran = said[0].lines().find(|line| line.starts_with("ran "));
        println!("{}", ran.expect("it says what it did"));
    }
}

/// What the test above starts, with the layer in front of it. By itself it does nothing.
#[test]
fn in_a_process_of_its_own() {
    let Some((control, files)) = Control::of_this_process() else {
        return;
    };
    let Ok(part) = std::env::var(PART) else { return };
    let (part, parts) = part.split_once('/').unwrap();
    let (part, parts): (u32, u32) = (part.parse().unwrap(), parts.parse().unwrap());
    let stride: u32 = std::env::var(ONE_OF).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut sweep = Sweep::new(control, &files, runtime);
    let mut wrong = Vec::new();
    let (mut runs, mut failed) = (0, 0);
    for fault in sweep.plan(part, parts, stride) {
        runs += 1;
        match sweep.run(&fault.0, fault.1) {
            Ok(calls) => failed += calls,
            Err(error) => wrong.push(format!("{fault:?}: {error}")),
        }
        if wrong.len() == ENOUGH {
            break;
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {runs} runs:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(failed > 0, "nothing failed");
    println!("ran {runs} times, with {failed} calls that failed");
}

/// Where a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// A database that has been migrated and holds nothing.
    Empty,
    /// No database.
    Nothing,
}

struct Sweep {
    control: Control,
    files: PathBuf,
    runtime: Runtime,
    steps: Vec<Step>,
    names: Rc<Names>,
    /// What comes of the script, by what of it is not done.
    expected: HashMap<Vec<(usize, usize)>, Rc<Expected>>,
}

/// What comes of the script without faults.
struct Expected {
    answers: BTreeMap<(usize, usize), String>,
    tables: String,
}

/// What happened under a fault.
struct Happened {
    /// By step and part. None: refused.
    answers: BTreeMap<(usize, usize), Option<String>>,
    parts: BTreeMap<(usize, usize), Option<UserId>>,
}

impl Sweep {
    fn new(control: Control, files: &Path, runtime: Runtime) -> Self {
        let files = files.canonicalize().unwrap();
        let template = files.join("template.db");
        runtime.block_on(async {
            let storage = storage::connect(&url(&template), Migrate::Always).await.unwrap();
            storage.close().await;
        });
        let mut sweep = Self {
            control,
            files,
            runtime,
            steps: script(),
            names: Rc::default(),
            expected: HashMap::new(),
        };
        sweep.expect(&[]);
        sweep
    }

    /// The faults of this part of the work: each kind of call, once and some times in a row.
    fn plan(&mut self, part: u32, parts: u32, stride: u32) -> Vec<(Fault, Start)> {
        let mut plan = Vec::new();
        let mut row = 0;
        for start in [Start::Empty, Start::Nothing] {
            let calls = self.calls(start);
            for kind in Kind::ALL {
                let calls = calls[kind as usize];
                assert!(calls > 0, "no call of the kind {kind:?} was counted");
                for (mode, times) in [
                    (Mode::IoError, 1),
                    (Mode::IoError, 20),
                    (Mode::NoSpace, 20),
                    (Mode::Torn, 3),
                ] {
                    if kind != Kind::Write && !matches!(mode, Mode::IoError) {
                        continue;
                    }
                    // Each row begins elsewhere, so that few runs see many different calls.
                    let mine = (1..=calls).filter(|first| first % parts == part);
                    let mine = mine.filter(|first| (first / parts + row).is_multiple_of(stride));
                    plan.extend(mine.map(|first| {
                        let fault = Fault {
                            kind,
                            mode,
                            first,
                            times,
                        };
                        (fault, start)
                    }));
                    row += 7;
                }
            }
        }
        plan
    }

    /// How many calls of each kind there are without faults, and some more, because not every run makes the same.
    fn calls(&mut self, start: Start) -> [u32; Kind::ALL.len()] {
        self.control.count_anew();
        let path = self.begin(start);
        self.runtime.block_on(async {
            match start {
                Start::Empty => {
                    let storage = storage::connect(&url(&path), Migrate::Always).await.unwrap();
                    let world = World::new(storage, self.names.clone());
                    for step in &self.steps {
                        step.run(&world, &[]).await;
                    }
                    world.storage.close().await;
                }
                Start::Nothing => {
                    let storage = storage::connect(&url(&path), Migrate::Always).await.unwrap();
                    storage.close().await;
                }
            }
        });
        Kind::ALL.map(|kind| self.control.calls(kind) * 21 / 20)
    }

    /// The database that a run begins with.
    fn begin(&self, start: Start) -> PathBuf {
        let path = self.files.join("users.db");
        for end in ["", "-wal", "-shm"] {
            // There may be none.
            let _ = fs::remove_file(self.files.join(format!("users.db{end}")));
        }
        if start == Start::Empty {
            fs::copy(self.files.join("template.db"), &path).unwrap();
        }
        path
    }

    /// Runs the script with a fault, and returns how many calls have failed.
    fn run(&mut self, fault: &Fault, start: Start) -> Result<u32, String> {
        let path = self.begin(start);
        self.control.arm(fault);
        let happened = self.runtime.block_on(self.under(&path));
        self.control.disarm();
        let happened = happened?;
        let failed = self.control.failed();
        let (times, tables) = self.runtime.block_on(read(&path))?;

        // Refused, and it did not happen either.
        let skipped: Vec<_> = happened
            .answers
            .iter()
            .filter(|(_, answer)| answer.is_none())
            .map(|(part, _)| *part)
            .filter(|part| {
                let at = self.steps[part.0].at;
                !times.contains(&(at, happened.parts[part]))
            })
            .collect();
        let expected = self.expect(&skipped);
        for (part, answer) in &happened.answers {
            let (Some(answer), Some(expected)) = (answer, expected.answers.get(part)) else {
                continue;
            };
            if answer != expected {
                let name = self.steps[part.0].name;
                return Err(format!("{name}: answered {answer}, which should be {expected}"));
            }
        }
        if tables != expected.tables {
            let (found, expected) = differing(&tables, &expected.tables);
            return Err(format!(
                "without {skipped:?} it should have\n{expected}\nand has\n{found}"
            ));
        }
        Ok(failed)
    }

    /// The script on a database whose files fail.
    async fn under(&self, path: &Path) -> Result<Happened, String> {
        let storage = match within("open", storage::connect(&url(path), Migrate::Always)).await? {
            Ok(storage) => storage,
            Err(error) if self.control.failed() == 0 => return Err(format!("not opened: {error}")),
            Err(_) => {
                self.control.disarm();
                let again = within("open", storage::connect(&url(path), Migrate::Always)).await?;
                again.map_err(|error| format!("not opened again: {error}"))?
            }
        };
        let world = World::new(storage, self.names.clone());
        let mut happened = Happened {
            answers: BTreeMap::new(),
            parts: BTreeMap::new(),
        };
        // The last steps find the fault over, if it has come.
        let last = self.steps.len() - 3;
        // Calls that had failed when changes were last taken; None: they are not.
        let mut well = Some(0);
        for (index, step) in self.steps.iter().enumerate() {
            if index == last && self.control.failed() > 0 {
                self.control.disarm();
                if !recovers(&world, NEVER).await? {
                    return Err("it does not recover".to_owned());
                }
                well = Some(self.control.failed());
            }
            for part in within(step.name, step.run(&world, &[])).await? {
                let answer = answer(&part);
                if answer.is_none() {
                    if well == Some(self.control.failed()) {
                        return Err(format!(
                            "{}: refused without a fault: {:?}",
                            step.name, part.outcome
                        ));
                    }
                    well = None;
                }
                let key = (index, part.index);
                happened.parts.insert(key, part.user);
                happened.answers.insert(key, answer);
            }
            if well.is_none() && recovers(&world, PATIENCE).await? {
                well = Some(self.control.failed());
            }
        }
        within("close", world.storage.close()).await?;
        Ok(happened)
    }

    /// What comes of the script without these parts of it.
    fn expect(&mut self, skipped: &[(usize, usize)]) -> Rc<Expected> {
        if !self.expected.contains_key(skipped) {
            self.control.disarm();
            let path = self.begin(Start::Empty);
            let expected = self.runtime.block_on(async {
                let storage = storage::connect(&url(&path), Migrate::Always).await.unwrap();
                let world = World::new(storage, self.names.clone());
                let mut answers = BTreeMap::new();
                for (index, step) in self.steps.iter().enumerate() {
                    let parts: Vec<_> = skipped.iter().filter(|part| part.0 == index).collect();
                    let parts: Vec<_> = parts.into_iter().map(|part| part.1).collect();
                    if parts == [0] && !step.has_parts() {
                        continue;
                    }
                    for part in step.run(&world, &parts).await {
                        let answer = answer(&part);
                        let answer = answer.unwrap_or_else(|| {
                            let outcome = part.outcome.as_ref().unwrap_err();
                            panic!("{}: {outcome} without a fault", step.name)
                        });
                        answers.insert((index, part.index), answer);
                    }
                }
                world.storage.close().await;
                let tables = read(&path).await.unwrap().1;
                Expected { answers, tables }
            });
            self.expected.insert(skipped.to_vec(), Rc::new(expected));
        }
        self.expected[skipped].clone()
    }
}

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

async fn within<T>(what: &str, call: impl Future<Output = T>) -> Result<T, String> {
    timeout(NEVER, call).await.map_err(|_| format!("{what}: stuck"))
}

/// None: it was refused for want of what it needs, and may have happened.
fn answer(part: &Part) -> Option<String> {
    match &part.outcome {
        Ok(answer) => Some(answer.clone()),
        Err(ServiceError::Overloaded | ServiceError::Unavailable(_) | ServiceError::Internal(_)) => None,
        Err(error) => Some(error.to_string()),
    }
}

/// Whether changes are taken again within this time.
async fn recovers(world: &World, patience: Duration) -> Result<bool, String> {
    let again = async {
        while within("nothing", world.change_nothing()).await?.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    };
    match timeout(patience, again).await {
        Ok(taken) => taken.map(|()| true),
        Err(_) => Ok(false),
    }
}

type Times = BTreeSet<(Timestamp, Option<UserId>)>;

/// Looks at a database that nobody has open: whether it is whole, the times of what was done, and all that is in it.
async fn read(path: &Path) -> Result<(Times, String), String> {
    let mut connection = SqliteConnection::connect(&url(path)).await.unwrap();
    let verdict: String = sqlx::query_scalar("PRAGMA integrity_check")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    if verdict != "ok" {
        return Err(verdict);
    }
    let broken = sqlx::query("PRAGMA foreign_key_check")
        .fetch_all(&mut connection)
        .await
        .unwrap();
    if !broken.is_empty() {
        return Err(format!("{} rows refer to nothing", broken.len()));
    }
    let gaps: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (
             SELECT 1 FROM events GROUP BY organization_id
             HAVING count(*) <> max(sequence) OR min(sequence) <> 1
         )",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    if gaps > 0 {
        return Err("the event log has gaps".to_owned());
    }
    let rows = sqlx::query(
        "SELECT at, user_id FROM events
         UNION ALL SELECT last_seen_at, NULL FROM members WHERE last_seen_at IS NOT NULL
         UNION ALL SELECT last_used_at, NULL FROM api_keys WHERE last_used_at IS NOT NULL",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    let mut times = Times::new();
    for row in rows {
        let at = Timestamp::from_millis(row.get(0));
        let user: Option<Vec<u8>> = row.get(1);
        let user = user.map(|id| UserId::from_uuid(uuid::Uuid::from_slice(&id).unwrap()));
        times.extend([(at, user), (at, None)]);
    }
    let tables = tables(&mut connection).await;
    connection.close().await.unwrap();
    Ok((times, tables))
}

/// Everything in a database, a line for each row.
async fn tables(connection: &mut SqliteConnection) -> String {
    let columns: Vec<(String, String)> = sqlx::query_as(
        "SELECT s.name, group_concat('quote(' || c.name || ')', ' || '','' || ')
         FROM sqlite_schema AS s, pragma_table_xinfo(s.name) AS c
         WHERE s.type = 'table' AND c.hidden <> 1 AND s.name <> '_sqlx_migrations'
             AND s.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
         GROUP BY s.name ORDER BY s.name",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut text = String::new();
    for (table, columns) in columns {
        // Safe: the names are the schema's own.
        let sql = format!("SELECT {columns} AS line FROM {table} ORDER BY line");
        let rows: Vec<String> = sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        for row in rows {
            writeln!(text, "{table}: {row}").unwrap();
        }
    }
    text
}

/// The lines that only one of the two has.
fn differing(one: &str, other: &str) -> (String, String) {
    let only = |this: &str, that: &str| {
        let that: HashSet<_> = that.lines().collect();
        let lines: Vec<_> = this.lines().filter(|line| !that.contains(line)).collect();
        lines.join("\n")
    };
    (only(one, other), only(other, one))
}
