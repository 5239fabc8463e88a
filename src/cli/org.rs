//! `userbridge org`.

use std::str::FromStr;

use clap::{Args, Subcommand};

use super::{
    CliError, Session,
    output::{OrganizationView, PAGE},
};
use crate::{
    domain::{
        BrandingPatch, Email, Idempotency, Idempotent, Locale, LogoUrl, OrganizationName, OrganizationPatch,
        OrganizationRef, PageRequest, Role, Slug,
    },
    service::Admin,
};

#[derive(Debug, Subcommand)]
pub(super) enum Org {
    /// Make an organization. Creates the database if there is none.
    Create {
        /// Its slug: lower-case letters, digits and single hyphens between them, at most 63.
        slug: Slug,
        /// Its name as people write it, at most 255 characters [default: the slug].
        #[arg(long)]
        name: Option<OrganizationName>,
    },
    /// List organizations.
    List,
    /// Show one organization.
    Show { slug: Slug },
    /// Change an organization. What is not given stays as it is.
    Update(Update),
    /// Delete an organization: its keys are refused from the next request on, its data stays in the database.
    Delete { slug: Slug },
}

#[derive(Args, Debug)]
pub(super) struct Update {
    /// Its present slug.
    #[arg(value_name = "SLUG")]
    organization: Slug,
    #[command(flatten)]
    values: Values,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Values {
    /// Its new slug: lower-case letters, digits and single hyphens between them, at most 63.
    #[arg(long)]
    slug: Option<Slug>,
    /// Its new name, at most 255 characters.
    #[arg(long)]
    name: Option<OrganizationName>,
    /// The role that somebody gets who is linked as staff without one: owner, admin, editor, viewer or
    /// `restricted_viewer`.
    #[arg(long, value_name = "ROLE")]
    default_role: Option<Role>,
    /// Erase members revoked this many days ago, 1 to 36500; or `off`.
    #[arg(long, value_name = "DAYS", value_parser = retention)]
    retention_days: Option<Retention>,
    /// How it calls itself in mails and on pages, at most 255 characters; empty for its name.
    #[arg(long, value_name = "NAME")]
    brand_name: Option<Clearable<OrganizationName>>,
    /// Its logo there, an https URL of at most 2048 characters; empty for none.
    #[arg(long, value_name = "URL")]
    brand_logo_url: Option<Clearable<LogoUrl>>,
    /// The address that mails are from; empty for the server's.
    #[arg(long, value_name = "ADDRESS")]
    brand_sender: Option<Clearable<Email>>,
    /// The language for members who have none, such as fr; empty for en.
    #[arg(long, value_name = "TAG")]
    brand_locale: Option<Clearable<Locale>>,
}

/// A value, or an empty text for none.
#[derive(Clone, Debug)]
struct Clearable<T>(Option<T>);

impl<T: FromStr> FromStr for Clearable<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(if text.is_empty() {
            None
        } else {
            Some(text.parse()?)
        }))
    }
}

/// How long revoked members are kept, in days; None: for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Retention(Option<u16>);

impl Org {
    pub(super) async fn run(self, session: &Session) -> Result<(), CliError> {
        let directory = &session.directory;
        let grant = Admin::OPERATOR;
        match self {
            Self::Create { slug, name } => {
                let name = name.unwrap_or_else(|| (&slug).into());
                let created = directory.create_organization(grant, slug, name, Idempotency::never());
                match created.await? {
                    Idempotent::Fresh(organization) => session.show(&OrganizationView::from(organization)),
                    Idempotent::Replayed(_) => Ok(()),
                }
            }
            Self::List => {
                let mut list = session.list();
                let mut after = None;
                loop {
                    let page = directory
                        .organizations(grant.clone(), PageRequest { after, limit: PAGE })
                        .await?;
                    let Some(end) = page.items.last() else { break };
                    after = Some(end.slug.clone());
                    for organization in page.items {
                        list.push(&OrganizationView::from(organization))?;
                    }
                }
                list.end()
            }
            Self::Show { slug } => {
                let organization = directory.organization(grant, OrganizationRef::Slug(slug)).await?;
                session.show(&OrganizationView::from(organization))
            }
            Self::Update(Update { organization, values }) => {
                let id = session.organization(&organization).await?;
                let patch = OrganizationPatch {
                    slug: values.slug,
                    name: values.name,
                    default_role: values.default_role,
                    retention_days: values.retention_days.map(|days| days.0),
                    branding: BrandingPatch {
                        name: values.brand_name.map(|value| value.0),
                        logo_url: values.brand_logo_url.map(|value| value.0),
                        sender: values.brand_sender.map(|value| value.0),
                        locale: values.brand_locale.map(|value| value.0),
                    },
                };
                let organization = directory.update_organization(grant, id, patch).await?;
                session.show(&OrganizationView::from(organization))
            }
            Self::Delete { slug } => {
                let organization = directory
                    .organization(grant.clone(), OrganizationRef::Slug(slug))
                    .await?;
                directory.delete_organization(grant, organization.id).await?;
                session.show(&OrganizationView::from(organization))
            }
        }
    }
}

fn retention(text: &str) -> Result<Retention, String> {
    if text == "off" {
        return Ok(Retention(None));
    }
    let days = text.parse().ok().filter(|days| (1..=36_500).contains(days));
    days.map(|days| Retention(Some(days)))
        .ok_or_else(|| "must be 1 to 36500, or off".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_retention_time_is_a_number_of_days_or_off() {
        assert_eq!(retention("off"), Ok(Retention(None)));
        assert_eq!(retention("1"), Ok(Retention(Some(1))));
        assert_eq!(retention("36500"), Ok(Retention(Some(36_500))));
        for bad in ["", "0", "36501", "-1", "30d", "OFF"] {
            assert!(retention(bad).is_err(), "{bad}");
        }
    }
}
