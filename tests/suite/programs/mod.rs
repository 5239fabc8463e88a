//! Other people's programs against a running server: what integrators do, and clients that share no code with it.
//!
//! The programs are in `tests/programs/`. On a machine that lacks one, its tests say SKIPPED on the terminal and why;
//! `.ci/run` installs them all and fails on a skip. `USERBRIDGE_TEST_PYTHON` names a Python that has the packages of
//! `.ci/requirements.txt` (default `python3`), `USERBRIDGE_TEST_BUF` names buf (default `buf`), `USERBRIDGE_TEST_NPM` the
//! folder with the packages of `.ci/package.json`, `USERBRIDGE_TEST_CHROMIUM` Chromium (default `/usr/bin/chromium`).

mod buf;
pub(crate) mod demo;
mod grpcio;
pub(crate) mod pasted;
mod samples;
mod schemathesis;
pub(crate) mod tools;
