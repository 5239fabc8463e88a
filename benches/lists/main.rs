//! Lists and searches in one large organization: is a late page as quick as the first, and is a part of a name found
//! without reading everybody? How long does a page with the number of all take, and what do the indexes cost?
//!
//! `cargo bench --bench lists [-- --members 1000000 --json]`

mod counted;
mod indexes;

use std::{error::Error, path::PathBuf, time::Instant};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use sqlx::{Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use userbridge::{
    domain::{Cursor, MemberFilter, MemberNumber, MemberOrder, MemberQuery, OrganizationId, SortValue},
    storage::{self, Migrate, Storage},
};
use uuid::Uuid;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Part of the file's name. Raise it when what is seeded changes.
const VERSION: u32 = 5;

const PAGE: u32 = 200;

/// How often each page is read, for the median.
const TIMES: usize = 31;

const ORGANIZATION: OrganizationId = OrganizationId::from_uuid(Uuid::from_u128(1));

#[derive(Parser)]
struct Arguments {
    /// How many members the organization has.
    #[arg(long, default_value_t = 1_000_000)]
    members: i64,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Cargo gives it to a benchmark, and not to a test.
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if !arguments.bench {
        // `cargo test --all-targets` only sees to it that it builds.
        return Ok(());
    }
    let path = database(arguments.members).await?;
    let url = format!("sqlite:{}", path.display());
    let storage = storage::connect(&url, Migrate::Always).await?;
    let last = arguments.members - i64::from(PAGE);
    let mut rows = Vec::new();
    for (list, order, part) in [
        ("all, as they were linked", MemberOrder::Number, None),
        ("all, by name", MemberOrder::Name, None),
        ("part that everybody has", MemberOrder::Number, Some("fam")),
        ("part that 1 in 1,000 has", MemberOrder::Number, Some("given777")),
        ("part that one has", MemberOrder::Number, Some("family000777777")),
        (
            "words nobody has at once",
            MemberOrder::Number,
            Some("given776 family000777777"),
        ),
        ("zeros that nobody has", MemberOrder::Number, Some("0000000000")),
        ("letters that nobody has", MemberOrder::Number, Some("zz")),
    ] {
        let query = |after: Option<i64>| MemberQuery {
            filter: MemberFilter {
                name_parts: part.map(str::to_owned).into_iter().collect(),
                ..MemberFilter::default()
            },
            order,
            after: after.map(|number| Cursor {
                number: MemberNumber(number),
                value: Some(SortValue::Text(name(number))).filter(|_| order == MemberOrder::Name),
            }),
            limit: PAGE,
            ..MemberQuery::default()
        };
        let first = median(&*storage, &query(None)).await?;
        let late = median(&*storage, &query(Some(last))).await?;
        rows.push((list, first, late));
    }
    let counted = counted::measure(&*storage).await?;
    storage.close().await;
    let unread = unread(&url).await?;
    let indexes = indexes::measure(&path, arguments.members).await?;
    report(&arguments, &rows, unread, &counted, &indexes);
    Ok(())
}

fn report(
    arguments: &Arguments,
    rows: &[(&str, f64, f64)],
    unread: f64,
    counted: &[counted::Row],
    indexes: &[indexes::Row],
) {
    if arguments.json {
        let rows: Vec<_> = rows
            .iter()
            .map(
                |(list, first, last)| serde_json::json!({ "list": list, "first_us": first, "last_us": last }),
            )
            .collect();
        let counted: Vec<_> = counted
            .iter()
            .map(|(list, [first, linked, middle])| {
                serde_json::json!({ "list": list, "first_us": first, "first_by_number_us": linked, "middle_us": middle })
            })
            .collect();
        let indexes: Vec<_> = indexes
            .iter()
            .map(|(write, [with, without])| {
                serde_json::json!({ "write": write, "with_us": with, "without_us": without })
            })
            .collect();
        println!(
            "{}",
            serde_json::json!({
                "members": arguments.members, "page": PAGE, "lists": rows, "unread_us": unread, "counted": counted, "indexes": indexes
            })
        );
        return;
    }
    println!(
        "{} members in one organization, {PAGE} a page; medians of {TIMES}.\n",
        arguments.members
    );
    println!("| list                     | first page µs | last page µs | ratio |");
    println!("| ------------------------ | ------------- | ------------ | ----- |");
    for (list, first, last) in rows {
        println!(
            "| {list:24} | {first:13.0} | {last:12.0} | {:5.2} |",
            last / first
        );
    }
    println!(
        "\nThe first page of a part that one has, of texts that the server has not read yet: {unread:.0} µs."
    );
    println!("\nStaff with how many there are, as the management page asks for them, in ms.\n");
    println!("| list                        | first by name | as linked | middle by name |");
    println!("| --------------------------- | ------------- | --------- | -------------- |");
    for (list, times) in counted {
        let [first, linked, middle] = times.map(|micros| micros / 1e3);
        println!("| {list:27} | {first:13.1} | {linked:9.1} | {middle:14.1} |");
    }
    println!("\nWith the indexes of lists by role and last seen, and without, in turn, in µs.\n");
    println!("| write                    | with | without | ratio |");
    println!("| ------------------------ | ---- | ------- | ----- |");
    for (write, [with, without]) in indexes {
        println!(
            "| {write:24} | {with:4.0} | {without:7.0} | {:5.2} |",
            with / without
        );
    }
}

/// Of times, in microseconds.
#[derive(Default)]
struct Median(Vec<f64>);

impl Median {
    fn add(&mut self, start: Instant) {
        self.add_share(start, 1);
    }

    /// What one of several took.
    fn add_share(&mut self, start: Instant, of: u32) {
        self.0.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(of));
    }

    fn micros(mut self) -> f64 {
        self.0.sort_by(f64::total_cmp);
        self.0[self.0.len() / 2]
    }
}

/// In microseconds.
async fn median(storage: &dyn Storage, query: &MemberQuery) -> Result<f64> {
    let mut median = Median::default();
    for _ in 0..TIMES {
        let start = Instant::now();
        storage.members(ORGANIZATION, query.clone()).await?;
        median.add(start);
    }
    Ok(median.micros())
}

/// The first page of a part that one has, found by servers that have just started, in microseconds.
async fn unread(url: &str) -> Result<f64> {
    let query = MemberQuery {
        filter: MemberFilter {
            name_parts: vec!["family000777777".to_owned()],
            ..MemberFilter::default()
        },
        limit: PAGE,
        ..MemberQuery::default()
    };
    let mut median = Median::default();
    for _ in 0..TIMES {
        let storage = storage::connect(url, Migrate::Never).await?;
        let start = Instant::now();
        storage.members(ORGANIZATION, query.clone()).await?;
        median.add(start);
        storage.close().await;
    }
    Ok(median.micros())
}

/// As the statement below makes it.
fn name(number: i64) -> String {
    format!("Given{:03} Family{number:09}", number % 1000)
}

/// The database, made once and kept under `target/bench-data`.
async fn database(members: i64) -> Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench-data");
    let path = folder.join(format!("lists-{members}-v{VERSION}.db"));
    if path.exists() {
        return Ok(path);
    }
    std::fs::create_dir_all(&folder)?;
    let unfinished = tempfile::tempdir_in(&folder)?;
    let new = unfinished.path().join("new.db");
    storage::connect(&format!("sqlite:{}", new.display()), Migrate::Always)
        .await?
        .close()
        .await;
    let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(&new)).await?;
    let id = ORGANIZATION.as_uuid().as_bytes().to_vec();
    sqlx::query(
        "INSERT INTO organizations (id, slug, name, created_at) VALUES ($1, 'big', 'Big', 0);
         INSERT INTO organization_counters (organization_id, members, teams) VALUES ($1, $2, 1);
         INSERT INTO member_counts (organization_id, role, live) VALUES ($1, 'viewer', $2);
         INSERT INTO teams (organization_id, number, slug, name, created_at) VALUES ($1, 1, 'root', 'Root', 0)",
    )
    .bind(&id)
    .bind(members)
    .execute(&mut connection)
    .await?;
    let style = ProgressStyle::with_template("seeding {bar:40} {human_pos} of {human_len} {eta}")?;
    let progress = ProgressBar::new(members.unsigned_abs()).with_style(style);
    let mut done = 0;
    while done < members {
        let end = members.min(done + 20_000);
        seed(&mut connection, &id, done + 1, end).await?;
        done = end;
        progress.set_position(done.unsigned_abs());
    }
    progress.finish_and_clear();
    sqlx::query("INSERT INTO search_backlog (next) VALUES (0)")
        .execute(&mut connection)
        .await?;
    connection.close().await?;
    println!("filling the search index");
    storage::connect(&format!("sqlite:{}", new.display()), Migrate::Always)
        .await?
        .close()
        .await;
    std::fs::rename(&new, &path)?;
    Ok(path)
}

async fn seed(connection: &mut SqliteConnection, organization: &[u8], first: i64, last: i64) -> Result<()> {
    let mut transaction = connection.begin().await?;
    for statement in [
        "WITH RECURSIVE n (i) AS (SELECT $2 UNION ALL SELECT i + 1 FROM n WHERE i < $3)
         INSERT INTO members (row, organization_id, id, user_id, email, name, role, created_at, number)
         SELECT i, $1, unhex(printf('%032x', i)), unhex(printf('%032x', i)), printf('%09d@example.com', i),
                printf('Given%03d Family%09d', i % 1000, i), 'viewer', i, i FROM n",
    ] {
        sqlx::query(statement)
            .bind(organization)
            .bind(first)
            .bind(last)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}
