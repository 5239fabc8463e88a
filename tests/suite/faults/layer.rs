//! `tests/programs/faults/faults.c`, built, between a process and its files.

use std::{
    env,
    fs::{self, File},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use tempfile::TempDir;

const UNDER: &str = "FAULTS_UNDER";
const CONTROL: &str = "FAULTS_CONTROL";

/// The places of the numbers on the page of control, as the layer's `struct control` has them.
mod place {
    pub(super) const ARMED: u64 = 0;
    pub(super) const KINDS: u64 = 1;
    pub(super) const FIRST: u64 = 2;
    pub(super) const TIMES: u64 = 3;
    pub(super) const MODE: u64 = 4;
    pub(super) const FAILED: u64 = 5;
    pub(super) const CALLS: u64 = 6;
    pub(super) const LOG_WRITES: u64 = 11;
    pub(super) const LOG_UNSYNCED: u64 = 12;
}

/// What a process asks of its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Write,
    Sync,
    Truncate,
    Read,
    Open,
}

impl Kind {
    pub(super) const ALL: [Self; 5] = [Self::Write, Self::Sync, Self::Truncate, Self::Read, Self::Open];
}

/// How it fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Mode {
    /// `EIO`.
    IoError,
    /// `ENOSPC`.
    NoSpace,
    /// The first write writes half of what it should, further ones fail with `ENOSPC`.
    Torn,
    /// It does not return until the layer lets every call through, and then does what it should.
    Hanging,
}

/// Calls that fail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fault {
    pub(super) kind: Kind,
    pub(super) mode: Mode,
    /// The first of them, counted from 1.
    pub(super) first: u32,
    /// How many.
    pub(super) times: u32,
}

/// The layer and a folder whose files it is about.
pub(super) struct Layer {
    program: &'static Path,
    folder: TempDir,
    control: Control,
}

impl Layer {
    /// None: there is no C compiler.
    pub(super) fn new() -> Option<Self> {
        let program = built()?;
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("files")).unwrap();
        let control = folder.path().join("control");
        fs::write(&control, [0; 4096]).unwrap();
        Some(Self {
            program,
            control: Control::at(&control),
            folder,
        })
    }

    /// Where the files are that it is about.
    pub(super) fn files(&self) -> PathBuf {
        self.folder.path().join("files")
    }

    pub(super) fn control(&self) -> &Control {
        &self.control
    }

    /// Puts it in front of a program that is to be started.
    pub(super) fn before<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        command
            .env("LD_PRELOAD", self.program)
            .env(UNDER, self.files())
            .env(CONTROL, self.folder.path().join("control"))
    }

    /// This program again, with the layer in front of it, for one of its tests.
    pub(super) fn this_test(&self, name: &str) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        command
            .args(["--exact", name, "--nocapture"])
            .env("USERBRIDGE_LOG", "off");
        self.before(&mut command);
        command
    }
}

/// Compiles it once.
fn built() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/faults/faults.c");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        // Its own, then moved into place whole: other processes may be at it.
        let own = folder.join(format!("faults.{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"])
            .args([own.as_os_str(), source.as_ref(), "-ldl".as_ref()])
            .status()
            .ok()?;
        assert!(compiled.success(), "the layer of faults does not compile");
        let program = folder.join("faults.so");
        fs::rename(&own, &program).unwrap();
        Some(program)
    });
    built.as_deref()
}

/// The page through which the layer is told what to do and says what it has seen.
pub(super) struct Control(File);

impl Control {
    fn at(path: &Path) -> Self {
        Self(File::options().read(true).write(true).open(path).unwrap())
    }

    /// That of the layer in front of this process, with the folder that it is about. None: there is no layer.
    pub(super) fn of_this_process() -> Option<(Self, PathBuf)> {
        let control = env::var_os(CONTROL)?;
        let under = env::var_os(UNDER)?;
        Some((Self::at(control.as_ref()), under.into()))
    }

    /// Counts anew, and makes these calls fail.
    pub(super) fn arm(&self, fault: &Fault) {
        self.count_anew();
        self.set(place::KINDS, 1 << fault.kind as u32);
        self.set(place::FIRST, fault.first);
        self.set(place::TIMES, fault.times);
        self.set(place::MODE, fault.mode as u32);
        self.set(place::ARMED, 1);
    }

    /// Makes every call that changes a file fail from now on.
    pub(super) fn fail_all_changes(&self, mode: Mode) {
        self.arm(&Fault {
            kind: Kind::Write,
            mode,
            first: 0,
            times: u32::MAX,
        });
        let kinds = [Kind::Write, Kind::Sync, Kind::Truncate];
        self.set(place::KINDS, kinds.iter().map(|kind| 1 << *kind as u32).sum());
    }

    /// Makes every call that reads a file hang from now on.
    pub(super) fn hang_all_reads(&self) {
        self.arm(&Fault {
            kind: Kind::Read,
            mode: Mode::Hanging,
            first: 0,
            times: u32::MAX,
        });
    }

    /// Lets every call through.
    pub(super) fn disarm(&self) {
        self.set(place::ARMED, 0);
    }

    /// Lets every call through and begins to count.
    pub(super) fn count_anew(&self) {
        self.disarm();
        for kind in Kind::ALL {
            self.set(place::CALLS + kind as u64, 0);
        }
        self.set(place::FAILED, 0);
    }

    pub(super) fn calls(&self, kind: Kind) -> u32 {
        self.get(place::CALLS + kind as u64)
    }

    /// Calls that failed, or began to hang.
    pub(super) fn failed(&self) -> u32 {
        self.get(place::FAILED)
    }

    /// Calls that wrote to a write-ahead log.
    pub(super) fn log_writes(&self) -> u32 {
        self.get(place::LOG_WRITES)
    }

    /// Those of them that no sync came after.
    pub(super) fn log_unsynced(&self) -> u32 {
        self.get(place::LOG_UNSYNCED)
    }

    fn set(&self, place: u64, value: u32) {
        self.0.write_all_at(&value.to_ne_bytes(), place * 4).unwrap();
    }

    fn get(&self, place: u64) -> u32 {
        let mut bytes = [0; 4];
        self.0.read_exact_at(&mut bytes, place * 4).unwrap();
        u32::from_ne_bytes(bytes)
    }
}
