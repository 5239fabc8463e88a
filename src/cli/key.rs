//! `userbridge key`.

use std::time::Duration;

use clap::Subcommand;
use serde::Serialize;

use super::{
    CliError, Global, Session,
    output::{self, KeyView, List, PAGE},
};
use crate::{
    domain::{Actor, ApiKey, ApiKeyId, Clock as _, OrganizationId, Page, Scope, Slug, SystemClock},
    service::CreatedApiKey,
    storage::Migrate,
};

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key and print it. It can't be shown again.
    Create {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
        /// What it may do: `public_api`, `directory.read`, `directory.write`, `admin`. May be given several times.
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// How long it lives, such as 90d or 12h [default: until it is revoked].
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires_in: Option<Duration>,
    },
    /// Put a new key in the place of an old one and print it.
    Rotate {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
        /// How long the old key lives on, such as 24h.
        #[arg(long, value_parser = duration, value_name = "TIME", default_value = "0s")]
        overlap: Duration,
        /// Which key [default: the current public key].
        #[arg(long, value_name = "ID")]
        id: Option<ApiKeyId>,
    },
    /// Kill a key at once.
    Revoke {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
        /// Which key [default: every public key that is alive].
        #[arg(long, value_name = "ID")]
        id: Option<ApiKeyId>,
    },
    /// List keys. Their secrets can't be shown.
    List {
        /// The organization's handle.
        #[arg(long)]
        org: Slug,
    },
}

/// What `create` and `rotate` print.
#[derive(Serialize)]
struct CreatedView<'a> {
    key: &'a str,
    #[serde(flatten)]
    view: KeyView,
}

impl Key {
    pub(super) async fn run(self, global: &Global) -> Result<(), CliError> {
        let session = Session::open(global, Migrate::Never).await?;
        let result = self.run_in(&session, global).await;
        session.close(result).await
    }

    async fn run_in(self, session: &Session, global: &Global) -> Result<(), CliError> {
        let directory = &session.directory;
        match self {
            Self::Create {
                org,
                scopes,
                expires_in,
            } => {
                let organization = directory.organization(&org).await?.id;
                let expires_at = expires_in.map(|time| SystemClock.now().saturating_add(time));
                let scopes = scopes.into_iter().collect();
                print_created(
                    global,
                    &directory
                        .create_api_key(organization, scopes, expires_at, Actor::Operator)
                        .await?,
                )
            }
            Self::Rotate { org, overlap, id } => {
                let organization = directory.organization(&org).await?.id;
                let keys = all_keys(session, organization).await?;
                let old = keys.iter().rev().find(|key| match id {
                    Some(id) => key.id == id,
                    None => is_live_public(key),
                });
                let old = old.ok_or_else(|| CliError::NotFound("API key not found".to_owned()))?;
                print_created(
                    global,
                    &directory
                        .rotate_api_key(organization, old, overlap, Actor::Operator)
                        .await?,
                )
            }
            Self::Revoke { org, id } => {
                let organization = directory.organization(&org).await?.id;
                let keys = all_keys(session, organization).await?;
                let dying: Vec<_> = keys
                    .iter()
                    .filter(|key| match id {
                        Some(id) => key.id == id,
                        None => is_live_public(key),
                    })
                    .collect();
                if dying.is_empty() {
                    return Err(CliError::NotFound("API key not found".to_owned()));
                }
                let mut list = List::new(global);
                for key in dying {
                    directory
                        .revoke_api_key(organization, key.id, Actor::Operator)
                        .await?;
                    list.push(&KeyView::new(key, "revoked"))?;
                }
                list.end()
            }
            Self::List { org } => {
                let organization = directory.organization(&org).await?.id;
                let mut list = List::new(global);
                for key in all_keys(session, organization).await? {
                    list.push(&KeyView::new(&key, state(&key)))?;
                }
                list.end()
            }
        }
    }
}

fn print_created(global: &Global, created: &CreatedApiKey) -> Result<(), CliError> {
    let key = created.secret.reveal();
    if global.json {
        output::json(&CreatedView {
            key,
            view: KeyView::new(&created.key, "active"),
        })
    } else {
        println!("{key}");
        Ok(())
    }
}

/// An organization has few keys: one that is rotated daily has some hundreds after a year.
async fn all_keys(session: &Session, organization: OrganizationId) -> Result<Vec<ApiKey>, CliError> {
    let mut keys: Vec<ApiKey> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.id);
        let page = session
            .directory
            .api_keys(organization, Page { after, limit: PAGE })
            .await?;
        if page.is_empty() {
            return Ok(keys);
        }
        keys.extend(page);
    }
}

fn is_live_public(key: &ApiKey) -> bool {
    key.scopes.contains(Scope::PublicApi) && key.is_active(SystemClock.now())
}

fn state(key: &ApiKey) -> &'static str {
    if key.revoked_at.is_some() {
        "revoked"
    } else if key.is_active(SystemClock.now()) {
        "active"
    } else {
        "expired"
    }
}

/// A number and a unit, such as `24h`; also `1h 30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let span: jiff::SignedDuration = match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => jiff::SignedDuration::from_hours(days.checked_mul(24).ok_or("too long")?),
        _ => text
            .parse()
            .map_err(|_| "must be a time such as 24h, 90d or 30m")?,
    };
    Duration::try_from(span).map_err(|_| "must not be negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        assert_eq!(duration("24h"), Ok(Duration::from_secs(24 * 3600)));
        assert_eq!(duration("90d"), Ok(Duration::from_secs(90 * 24 * 3600)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["", "24", "h", "-1h", "99999999999999999999d"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
