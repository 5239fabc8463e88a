//! `userbridge config`.

use clap::Args;
use serde::Serialize;
use url::Url;
use userbridge_gateway::config_file::{Setting, Source};

use super::{
    CliError, DATABASE_URL, Global, output, serve,
    table::{Columns, Table},
};

/// Instead of what is not to be shown.
const MASK: &str = "***";

#[derive(Args, Debug)]
pub(super) struct Config {
    #[command(flatten)]
    _serve: serve::Serve,
}

/// A setting, for people and scripts.
#[derive(Serialize)]
struct SettingView {
    name: String,
    /// None: not set.
    values: Option<Vec<String>>,
    from: &'static str,
    /// The variable, or the file and the line.
    at: Option<String>,
}

impl From<Setting> for SettingView {
    fn from(setting: Setting) -> Self {
        let (from, at) = match setting.source {
            Source::Flag => ("flag", None),
            Source::Environment(variable) => ("environment", Some(variable)),
            Source::File(line) => ("file", Some(line)),
            Source::Default => ("default", None),
        };
        // No default of the flag's own: with `serve --demo` it is another.
        let unset = (setting.name == "database-url").then(|| vec![DATABASE_URL.to_owned()]);
        let shown = |values: Vec<String>| {
            let shown = values.into_iter().map(|value| shown(value, setting.is_secret));
            shown.collect()
        };
        Self {
            name: setting.name,
            values: setting.values.map(shown).or(unset),
            from,
            at,
        }
    }
}

pub(super) fn show(global: &Global, settings: Vec<Setting>) -> Result<(), CliError> {
    let views: Vec<_> = settings.into_iter().map(SettingView::from).collect();
    if global.json {
        return output::json(&views);
    }
    let mut table = Table::new();
    for view in &views {
        let values = view.values.as_ref().map(|values| values.join(","));
        let from = match &view.at {
            Some(at) => format!("{} {at}", view.from),
            None => view.from.to_owned(),
        };
        let columns: Columns<'_> = vec![
            ("SETTING", &view.name),
            ("VALUE", values.as_deref().unwrap_or("-")),
            ("FROM", &from),
        ];
        table.push(&columns)?;
    }
    Ok(table.flush()?)
}

/// A value without the password that may be in it. Of a secret that is no URL nothing is left.
fn shown(value: String, is_secret: bool) -> String {
    let Ok(mut url) = Url::parse(&value) else {
        return if is_secret { MASK.to_owned() } else { value };
    };
    let is_password = |name: &str| name.to_ascii_lowercase().contains("password");
    let in_query = url.query_pairs().any(|(name, _)| is_password(&name));
    if url.password().is_none() && !in_query {
        return value;
    }
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    if in_query {
        let pairs: Vec<_> = url.query_pairs().into_owned().collect();
        let mut query = url.query_pairs_mut();
        query.clear();
        for (name, value) in &pairs {
            query.append_pair(name, if is_password(name) { MASK } else { value });
        }
    }
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        for (value, expected) in [
            (
                "postgres://bob:s3cret@db/users?sslmode=require",
                "postgres://bob:***@db/users?sslmode=require",
            ),
            (
                "postgres://bob@db/users?password=s3cret&sslmode=require",
                "postgres://bob@db/users?password=***&sslmode=require",
            ),
            (
                "smtp://bob:s3%40cret@mail.example.com:587",
                "smtp://bob:***@mail.example.com:587",
            ),
            ("postgres://bob:s3/cret@db/users", MASK),
            (
                "sqlite:/var/lib/userbridge/users.db",
                "sqlite:/var/lib/userbridge/users.db",
            ),
        ] {
            assert_eq!(shown(value.to_owned(), true), expected);
        }
        assert_eq!(shown("127.0.0.1:8080".to_owned(), false), "127.0.0.1:8080");
    }
}
