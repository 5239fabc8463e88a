//! The peers as programs, each in a folder beside this file.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Result, servers::Program};

/// What installs them, in the repository's folder.
const INSTALL: &str = "    npm ci --prefix benches/service/peers/fastify
    python3 -m venv benches/service/peers/fastapi/.venv
    benches/service/peers/fastapi/.venv/bin/pip install -r benches/service/peers/fastapi/requirements.txt";

/// A server that somebody might write instead.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    Fastify1,
    Fastify2,
    FastApi2,
}

impl Peer {
    pub(crate) const ALL: [Self; 3] = [Self::Fastify1, Self::Fastify2, Self::FastApi2];

    /// Its name in the report.
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Fastify1 => "Fastify + better-sqlite3, 1 worker",
            Self::Fastify2 => "Fastify + better-sqlite3, 2 workers",
            Self::FastApi2 => "FastAPI + SQLAlchemy, 2 workers",
        }
    }

    /// The quickest at so many connections: one caller keeps one worker busy.
    pub(crate) const fn to_beat(connections: usize) -> Self {
        match connections {
            1 => Self::Fastify1,
            _ => Self::Fastify2,
        }
    }

    /// Starts it on a database of [`super::seed`].
    pub(crate) async fn start(self, database: &Path) -> Result<Program> {
        let (program, file, workers) = match self {
            Self::Fastify1 => (PathBuf::from("node"), "fastify/server.js", "1"),
            Self::Fastify2 => (PathBuf::from("node"), "fastify/server.js", "2"),
            Self::FastApi2 => (python(), "fastapi/serve.py", "2"),
        };
        let mut command = Command::new(program);
        command
            .arg(folder().join(file))
            .env("DB", database)
            .env("WORKERS", workers)
            .env("NODE_ENV", "production")
            .env("PYTHONDONTWRITEBYTECODE", "1");
        Program::foreign(command).await
    }
}

/// # Errors
///
/// Something that the peers need is missing: what installs it.
pub(crate) fn installed() -> Result<()> {
    let packages = folder().join("fastify/node_modules");
    let missing = [
        packages.join("fastify"),
        packages.join("better-sqlite3"),
        python(),
    ]
    .into_iter()
    .find(|path| !path.exists());
    match missing {
        None => Ok(()),
        Some(path) => Err(format!(
            "the peers are not installed, there is no {}. With Node, Python and a C++ compiler, these commands do it:\n\n{INSTALL}\n",
            path.display()
        )
        .into()),
    }
}

fn python() -> PathBuf {
    folder().join("fastapi/.venv/bin/python")
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/service/peers")
}
