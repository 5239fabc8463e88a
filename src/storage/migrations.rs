//! The migrations of each engine, embedded in the program. sqlx's macro for that would have both drivers, and SQLite with them, built
//! once more for the compiler.

use sqlx::{
    SqlSafeStr as _,
    migrate::{Migration, MigrationType, Migrator},
};

/// Names of files without `.sql`, and what is in them.
pub(super) type Files = [(&'static str, &'static str)];

/// Reads files of an engine's folder at compile time: all of them, as a test says.
macro_rules! migrations {
    ($engine:literal: $($name:literal),+ $(,)?) => {
        crate::storage::migrations::migrator(&[$((
            $name,
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations/", $engine, "/", $name, ".sql")),
        )),+])
    };
}
pub(super) use migrations;

/// Names begin with a number, of which each has its own.
pub(super) fn migrator(files: &Files) -> Migrator {
    let migrations = files.iter().filter_map(|(name, sql)| {
        let (version, description) = name.split_once('_')?;
        let description = description.replace('_', " ");
        let sql = sql.into_sql_str();
        Some(Migration::new(
            version.parse().ok()?,
            description.into(),
            MigrationType::Simple,
            sql,
            false,
        ))
    });
    Migrator::with_migrations(migrations.collect())
}

/// That all files of an engine's folder are migrations, as they are.
#[cfg(test)]
pub(super) fn assert_whole(engine: &str, migrations: &Migrator) {
    use std::{collections::BTreeMap, fs};

    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files = BTreeMap::new();
    for file in fs::read_dir(folder.join(engine)).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let number: i64 = name.split('_').next().unwrap().parse().unwrap();
        assert_eq!(
            files.insert(number, fs::read_to_string(&path).unwrap()),
            None,
            "{name}"
        );
    }
    let embedded = migrations.iter();
    let embedded: BTreeMap<_, _> = embedded
        .map(|one| (one.version, one.sql.as_str().to_owned()))
        .collect();
    assert_eq!(embedded, files);
}
