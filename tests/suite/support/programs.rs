//! Where PostgreSQL is installed.

use std::{env, fs, path::PathBuf};

/// The folder with PostgreSQL's programs.
pub(crate) fn programs() -> Option<PathBuf> {
    let on_path = env::split_paths(&env::var_os("PATH")?).find_map(|folder| {
        // What is on the PATH may be a link into the folder that holds all of them.
        let initdb = folder.join("initdb").canonicalize().ok()?;
        Some(initdb.parent()?.to_owned())
    });
    on_path.or_else(|| {
        let version = |folder: &PathBuf| folder.file_name()?.to_str()?.parse::<u32>().ok();
        let versions = fs::read_dir("/usr/lib/postgresql").ok()?;
        let newest = versions
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|folder| folder.join("bin/initdb").exists())
            .max_by_key(version)?;
        Some(newest.join("bin"))
    })
}
