//! `userbridge key`.

use std::{
    io::{self, IsTerminal as _, Write as _},
    time::Duration,
};

use clap::Subcommand;
use serde::Serialize;

use super::{
    CliError, Session,
    output::{self, KeyView, PAGE},
};
use crate::{
    domain::{
        ApiKey, ApiKeyId, Clock as _, Idempotency, Idempotent, OrganizationId, PageRequest, Resource, Scope,
        Scopes, Slug, SystemClock,
    },
    service::{Admin, CreatedApiKey, Expiry, MAX_OVERLAP},
};

/// The longest time that can be given: 36,500 days.
const LONGEST: Duration = Duration::from_hours(36_500 * 24);

#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// Make a key and print it. It can't be shown again.
    Create {
        /// The organization's slug [default: none; the key speaks for all, and can't have the scope `public_api`].
        #[arg(long)]
        org: Option<Slug>,
        /// What it may do: `public_api`, `directory.read`, `directory.write`, `admin`. May be given several times.
        #[arg(long = "scope", required = true, value_name = "SCOPE")]
        scopes: Vec<Scope>,
        /// Time until it expires, such as 90d or 12h [default: never].
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires_in: Option<Duration>,
    },
    /// Put a new key in the place of an old one and print it.
    Rotate {
        /// The organization's slug [default: none; a key that speaks for all].
        #[arg(long, required_unless_present = "id")]
        org: Option<Slug>,
        /// Time until the old key expires, such as 24h; at most 30d.
        #[arg(long, value_parser = overlap, value_name = "TIME", default_value = "0s")]
        overlap: Duration,
        /// Time until the new key expires, such as 90d [default: when the old one would have].
        #[arg(long, value_parser = duration, value_name = "TIME")]
        expires_in: Option<Duration>,
        /// The new key does not expire.
        #[arg(long, conflicts_with = "expires_in")]
        never_expires: bool,
        /// The key's id, as `key list` shows it [default: the newest active public key].
        #[arg(long, value_name = "ID")]
        id: Option<ApiKeyId>,
    },
    /// Revoke a key. From the next request on it is refused.
    Revoke {
        /// The organization's slug [default: none; a key that speaks for all].
        #[arg(long, required_unless_present = "id")]
        org: Option<Slug>,
        /// The key's id, as `key list` shows it [default: all active public keys].
        #[arg(long, value_name = "ID")]
        id: Option<ApiKeyId>,
    },
    /// Show one key. Its secret can't be shown.
    Show {
        /// The organization's slug [default: none; a key that speaks for all].
        #[arg(long)]
        org: Option<Slug>,
        /// The key's id, as `key list` shows it.
        #[arg(long, value_name = "ID")]
        id: ApiKeyId,
    },
    /// List keys. Their secrets can't be shown.
    List {
        /// The organization's slug [default: none; keys that speak for all].
        #[arg(long)]
        org: Option<Slug>,
    },
}

/// The only output with a key's text.
#[derive(Serialize)]
struct CreatedView<'a> {
    key: &'a str,
    #[serde(flatten)]
    view: KeyView,
}

impl Key {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        let directory = &session.directory;
        let grant = Admin::OPERATOR;
        match self {
            Self::Create {
                org,
                scopes,
                expires_in,
            } => {
                let scopes: Scopes = scopes.into_iter().collect();
                if org.is_none() && scopes.contains(Scope::PublicApi) {
                    return Err(CliError::Usage(
                        "a key with the scope public_api takes --org".to_owned(),
                    ));
                }
                let organization = owner(session, org).await?;
                let expires_at = expires_in.map(|time| SystemClock.now().saturating_add(time));
                let once = Idempotency::never();
                let created = directory.create_api_key(grant, organization, scopes, expires_at, once);
                print_created(session, created.await?)
            }
            Self::Rotate {
                org,
                overlap,
                expires_in,
                never_expires,
                id,
            } => {
                let organization = owner(session, org).await?;
                let old = match id {
                    Some(id) => id,
                    None => {
                        live_public(session, organization)
                            .await?
                            .last()
                            .ok_or_else(not_found)?
                            .id
                    }
                };
                let expiry = match expires_in {
                    Some(time) => Expiry::At(SystemClock.now().saturating_add(time)),
                    None if never_expires => Expiry::Never,
                    None => Expiry::Kept,
                };
                let once = Idempotency::never();
                let rotated = directory.rotate_api_key(grant, organization, old, overlap, expiry, once);
                print_created(session, rotated.await?)
            }
            Self::Revoke { org, id } => {
                let organization = owner(session, org).await?;
                let dying = match id {
                    Some(id) => vec![directory.api_key(grant.clone(), organization, id).await?],
                    None => live_public(session, organization).await?,
                };
                if dying.is_empty() {
                    return Err(not_found());
                }
                let mut list = session.list();
                for key in dying {
                    directory
                        .revoke_api_key(grant.clone(), organization, key.id)
                        .await?;
                    // With the time at which it was.
                    let key = directory.api_key(grant.clone(), organization, key.id).await?;
                    list.push(&KeyView::new(&key, state(&key)))?;
                }
                list.end()
            }
            Self::Show { org, id } => {
                let organization = owner(session, org).await?;
                let key = directory.api_key(grant, organization, id).await?;
                session.show(&KeyView::new(&key, state(&key)))
            }
            Self::List { org } => {
                let organization = owner(session, org).await?;
                let mut list = session.list();
                for key in all_keys(session, organization).await? {
                    list.push(&KeyView::new(&key, state(&key)))?;
                }
                list.end()
            }
        }
    }
}

fn print_created(session: &Session, created: Idempotent<CreatedApiKey>) -> Result<(), CliError> {
    let Idempotent::Fresh(created) = created else {
        return Ok(());
    };
    let key = created.secret.reveal();
    if session.json {
        output::json(&CreatedView {
            key,
            view: KeyView::new(&created.key, "active"),
        })?;
    } else {
        output::line(key)?;
    }
    if io::stdout().is_terminal() {
        // Without it the key is as good.
        let _ = writeln!(io::stderr(), "Keep this key now: it can't be shown again.");
    }
    Ok(())
}

async fn owner(session: &Session, org: Option<Slug>) -> Result<Option<OrganizationId>, CliError> {
    Ok(match org {
        Some(slug) => Some(session.organization(&slug).await?),
        None => None,
    })
}

fn not_found() -> CliError {
    CliError::NotFound(Resource::ApiKey.to_string())
}

/// An organization has few keys: one that is rotated daily has some hundreds after a year.
async fn all_keys(session: &Session, organization: Option<OrganizationId>) -> Result<Vec<ApiKey>, CliError> {
    let mut keys: Vec<ApiKey> = Vec::new();
    loop {
        let after = keys.last().map(|key| key.id);
        let page = PageRequest { after, limit: PAGE };
        let page = session
            .directory
            .api_keys(Admin::OPERATOR, organization, page)
            .await?;
        keys.extend(page.items);
        if !page.more {
            return Ok(keys);
        }
    }
}

/// Active public keys, the newest last.
async fn live_public(
    session: &Session,
    organization: Option<OrganizationId>,
) -> Result<Vec<ApiKey>, CliError> {
    let mut keys = all_keys(session, organization).await?;
    keys.retain(is_live_public);
    Ok(keys)
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

/// A number and a unit, such as `24h`; also `1h 30m`. A time that ends before the year 9999, as expiries do.
fn duration(text: &str) -> Result<Duration, String> {
    let too_long = || "must be at most 36500d".to_owned();
    let span: jiff::SignedDuration = match text.strip_suffix('d').map(str::parse::<i64>) {
        Some(Ok(days)) => days
            .checked_mul(24)
            .and_then(jiff::SignedDuration::try_from_hours)
            .ok_or_else(too_long)?,
        _ => text
            .parse()
            .map_err(|_| "must be a time such as 24h, 90d or 30m")?,
    };
    let duration = Duration::try_from(span).map_err(|_| "must not be negative".to_owned())?;
    Some(duration)
        .filter(|duration| *duration <= LONGEST)
        .ok_or_else(too_long)
}

fn overlap(text: &str) -> Result<Duration, String> {
    let overlap = duration(text)?;
    Some(overlap)
        .filter(|overlap| *overlap <= MAX_OVERLAP)
        .ok_or_else(|| "must be at most 30d".to_owned())
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
        assert_eq!(duration("36500d"), Ok(LONGEST));
        for bad in [
            "",
            "24",
            "h",
            "-1h",
            "36501d",
            "99999999999d",
            "99999999999999999d",
            "99999999999999999999d",
            "2562047788015215h",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
        assert_eq!(overlap("30d"), Ok(MAX_OVERLAP));
        assert!(overlap("31d").is_err());
    }
}
