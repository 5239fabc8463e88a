//! How fast members come in from a file, and what that costs others: `cargo bench --bench import`.
//!
//! It makes users as Zendesk exports them, has `userbridge import` take them as a process of its own, and looks at its memory. Then it
//! does the same beside a server on the same database, whose callers look people up. `-- --help` lists what can be changed.

mod callers;
mod people;
#[expect(dead_code, reason = "it has more for others")]
#[path = "../tenants/server.rs"]
mod server;

use std::{
    error::Error,
    ffi::OsString,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use clap::Parser;
use procfs::process::Process;
use tempfile::TempDir;

use self::{callers::Callers, server::Server};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How often the memory of the import is looked at. Its own count of the most there ever was is read, so none is missed but at the end.
const LOOK: Duration = Duration::from_millis(20);

/// How long callers call before there is an import.
const UNDISTURBED: Duration = Duration::from_secs(5);

/// Rows of `--quick`.
const QUICK: u64 = 2000;

/// Imports users of Zendesk, alone and beside callers.
#[derive(Parser)]
#[command(bin_name = "cargo bench --bench import --")]
struct Flags {
    /// How many rows.
    #[arg(long, value_name = "N", default_value_t = 1_000_000)]
    rows: u64,
    /// Two empty PostgreSQL databases, one after the other; else it makes SQLite files.
    #[arg(long, value_name = "URL", num_args = 2)]
    database_url: Vec<String>,
    /// The program that is looked at; else the one that was built with this.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Few rows: shows that it works, and no more.
    #[arg(long)]
    quick: bool,
    /// Print one JSON object instead of the table.
    #[arg(long)]
    json: bool,
    /// Cargo gives it to a benchmark, and not to a test.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if !flags.bench {
        println!("nothing is measured without `cargo bench`");
        return ExitCode::SUCCESS;
    }
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> Result<()> {
    let rows = if flags.quick { QUICK } else { flags.rows };
    let place = Place::new(flags)?;
    let file = place.folder.path().join("users.ndjson");
    people::write(&file, rows)?;
    let alone = place.database(flags, 0)?;
    let first = place.import(&alone, &file)?;
    let again = place.import(&alone, &file)?;
    let shared = place.database(flags, 1)?;
    let (undisturbed, beside, third) = place.import_beside(&shared, &file)?;
    let rate = |import: &Import| import.rate(rows);
    if flags.json {
        let import = |import: &Import| serde_json::json!({ "rows_per_second": rate(import), "peak_kib": import.peak_kib });
        println!(
            "{}",
            serde_json::json!({
                "rows": rows, "new": import(&first), "unchanged": import(&again), "beside_callers": import(&third),
                "lookups_per_second": { "undisturbed": undisturbed, "beside": beside },
            })
        );
        return Ok(());
    }
    println!("| {rows} users of Zendesk | rows a second | most memory, MiB |");
    println!("| ---------------------------- | ------------- | ---------------- |");
    for (name, import) in [
        ("all are new", &first),
        ("none has changed", &again),
        ("all are new, beside callers", &third),
    ] {
        println!(
            "| {name:28} | {:>13.0} | {:>16.0} |",
            rate(import),
            import.peak_kib / 1024.0
        );
    }
    println!(
        "\nJSON retrieves a second beside it: {beside:.0}, {:.2} of the {undisturbed:.0} before",
        beside / undisturbed
    );
    Ok(())
}

/// Where everything is made.
struct Place {
    folder: TempDir,
    program: PathBuf,
}

/// One that has ended.
struct Import {
    took: Duration,
    peak_kib: f64,
}

impl Import {
    #[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^52")]
    fn rate(&self, rows: u64) -> f64 {
        rows as f64 / self.took.as_secs_f64()
    }
}

impl Place {
    fn new(flags: &Flags) -> Result<Self> {
        let parent = Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::create_dir_all(parent)?;
        let program = flags.program.clone();
        Ok(Self {
            folder: tempfile::tempdir_in(parent)?,
            program: program.unwrap_or_else(|| env!("CARGO_BIN_EXE_userbridge").into()),
        })
    }

    /// The URL of a database with an organization in it.
    fn database(&self, flags: &Flags, number: usize) -> Result<String> {
        let file = self.folder.path().join(format!("{number}.db"));
        let url = flags.database_url.get(number).cloned();
        let url = url.unwrap_or_else(|| format!("sqlite:{}", file.display()));
        self.done(&url, &["migrate"])?;
        self.done(&url, &["org", "create", "acme"])?;
        Ok(url)
    }

    fn command(&self, url: &str) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("USERBRIDGE_") {
                command.env_remove(name);
            }
        }
        command.env("USERBRIDGE_DATABASE_URL", url).stdin(Stdio::null());
        command
    }

    /// What a command prints that must succeed.
    fn done(&self, url: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(url).args(arguments).output()?;
        if output.status.success() {
            Ok(String::from_utf8(output.stdout)?)
        } else {
            Err(format!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)).into())
        }
    }

    fn import(&self, url: &str, file: &Path) -> Result<Import> {
        let begin = Instant::now();
        let arguments = ["import", "--org", "acme"].map(OsString::from);
        let mut child = self
            .command(url)
            .args(arguments)
            .arg(file)
            .stdout(Stdio::null())
            .spawn()?;
        let peak = watched(&mut child);
        let status = child.wait()?;
        let took = begin.elapsed();
        if !status.success() {
            return Err(format!("the import failed: {status}").into());
        }
        Ok(Import {
            took,
            peak_kib: peak?,
        })
    }

    /// Retrieves a second before and while people are imported.
    fn import_beside(&self, url: &str, file: &Path) -> Result<(f64, f64, Import)> {
        self.done(url, &["org", "create", "globex"])?;
        let email = "sally@globex.example.com";
        self.done(url, &["member", "link", "--org", "globex", "--email", email])?;
        let key = self.done(
            url,
            &[
                "key",
                "create",
                "--org",
                "globex",
                "--scope",
                "public_api",
                "--json",
            ],
        )?;
        let key: serde_json::Value = serde_json::from_str(&key)?;
        let secret = key["key"].as_str().ok_or("a new key is printed")?;
        let server = Server::start(&self.program, url, [] as [&str; 0])?;
        let callers = Callers::start(server.addresses.http_addr, secret, email)?;
        let undisturbed = callers.rate_during(|| {
            sleep(UNDISTURBED);
            Ok(())
        })?;
        let import = callers.rate_during(|| self.import(url, file))?;
        callers.stop()?;
        Ok((undisturbed.0, import.0, import.1))
    }
}

/// The most memory that a process has until it ends, in KiB.
#[expect(clippy::cast_precision_loss, reason = "memory is far below 2^52 KiB")]
fn watched(child: &mut Child) -> Result<f64> {
    let process = Process::new(child.id().try_into()?)?;
    let mut peak = 0;
    while child.try_wait()?.is_none() {
        // It fails when the process has just ended.
        let seen = process.status().ok().and_then(|status| status.vmhwm);
        peak = peak.max(seen.unwrap_or_default());
        sleep(LOOK);
    }
    Ok(peak as f64)
}
