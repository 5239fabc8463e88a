//! Programs that may be missing.

use std::{
    env, fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use crate::support::{process::USERBRIDGE, skip};

/// Where the project is.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of `tests/programs/`.
pub(crate) fn script(path: &str) -> PathBuf {
    root().join("tests/programs").join(path)
}

/// The Python with the packages of the tests.
pub(crate) fn python() -> String {
    env::var("USERBRIDGE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// buf.
pub(crate) fn buf() -> String {
    env::var("USERBRIDGE_TEST_BUF").unwrap_or_else(|_| "buf".to_owned())
}

/// The folder whose `node_modules` has the packages of the tests.
pub(crate) fn npm() -> PathBuf {
    env::var_os("USERBRIDGE_TEST_NPM").unwrap_or_default().into()
}

/// The browser.
pub(crate) fn chromium() -> String {
    env::var("USERBRIDGE_TEST_CHROMIUM").unwrap_or_else(|_| "/usr/bin/chromium".to_owned())
}

/// What a test may need beyond Rust.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Needs {
    Curl,
    /// Node with `fetch`.
    Node,
    /// Python with this module.
    Python(&'static str),
    Buf,
    Chromium,
    /// Node, and this package of npm.
    Npm(&'static str),
}

impl Needs {
    /// What grpcurl, or its stand-in, needs.
    pub(crate) const GRPCURL: Self =
        Self::Python("grpc_reflection.v1alpha.proto_reflection_descriptor_database");

    /// Why it can't be used here.
    fn missing(self) -> Option<String> {
        let (program, arguments, why): (String, &[&str], &str) = match self {
            Self::Curl => ("curl".to_owned(), &["--version"], "there is no curl"),
            Self::Node => (
                "node".to_owned(),
                &["--eval", "process.exit(typeof fetch === 'function' ? 0 : 1)"],
                "there is no Node 18 or later",
            ),
            Self::Python(module) => (
                python(),
                &[
                    "-c",
                    "import importlib, sys; importlib.import_module(sys.argv[1])",
                    module,
                ],
                "USERBRIDGE_TEST_PYTHON names no Python (default: python3) that has",
            ),
            Self::Buf => (
                buf(),
                &["--version"],
                "there is no buf, and USERBRIDGE_TEST_BUF names none",
            ),
            Self::Chromium => (
                chromium(),
                &["--version"],
                "there is no Chromium, and USERBRIDGE_TEST_CHROMIUM names none",
            ),
            Self::Npm(_) => (
                "node".to_owned(),
                &["--version"],
                "USERBRIDGE_TEST_NPM names no folder that has",
            ),
        };
        if let Self::Npm(package) = self
            && !npm().join("node_modules").join(package).exists()
        {
            return Some(format!("{why} the package {package}"));
        }
        let runs = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        match self {
            _ if runs => None,
            Self::Python(module) => Some(format!("{why} the module {module}")),
            Self::Npm(_) => Some("there is no Node".to_owned()),
            Self::Curl | Self::Node | Self::Buf | Self::Chromium => Some(why.to_owned()),
        }
    }
}

/// Whether the calling test, which needs these, can run. If not, the terminal says so.
#[must_use]
pub(crate) fn available(needs: &[Needs]) -> bool {
    let missing = needs.iter().find_map(|needs| needs.missing());
    if let Some(why) = &missing {
        skip(why);
    }
    missing.is_none()
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ran {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Ran {
        code: status.code(),
        stdout: String::from_utf8(stdout).expect("it writes UTF-8"),
        stderr: String::from_utf8(stderr).expect("it writes UTF-8"),
    }
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// What it printed, if it ended well.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.stdout
    }

    /// The JSON that it printed, if it ended well.
    #[track_caller]
    pub(crate) fn json(self) -> serde_json::Value {
        let stdout = self.ok();
        serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}"))
    }
}

/// A folder of programs to put before all others: the `userbridge` under test, the Python of the tests as `python3`,
/// and something that takes grpcurl's command line, if the machine has no grpcurl.
pub(crate) fn path_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    symlink(USERBRIDGE, folder.path().join("userbridge")).expect("a link");
    wrapper(
        &folder.path().join("python3"),
        &format!("exec '{}' \"$@\"", python()),
    );
    if Command::new("grpcurl").arg("-version").output().is_err() {
        let stand_in = script("grpcio/grpcurl.py");
        wrapper(
            &folder.path().join("grpcurl"),
            &format!("exec '{}' '{}' \"$@\"", python(), stand_in.display()),
        );
    }
    folder
}

/// The search path with the folder before all others.
pub(crate) fn path_with(folder: &Path) -> std::ffi::OsString {
    let old = env::var_os("PATH").unwrap_or_default();
    env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&old))).expect("a search path")
}

fn wrapper(path: &Path, line: &str) {
    // The shell looks the program up with the PATH it is given, so a bare name must not find the wrapper itself.
    let own = env::var("PATH").unwrap_or_default();
    fs::write(path, format!("#!/bin/sh\nPATH='{own}'\n{line}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
}
