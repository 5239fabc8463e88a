//! So many people that the server's caches are full before it is looked at.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::JoinSet;
use userbridge::{
    domain::{OrganizationId, Scope},
    service::Directory,
};

use crate::{
    Result,
    client::{Client, with_key},
    place::{link, new_key, new_organization},
    proto::{
        directory_v1::{Member, UpdateMemberRequest, member_service_client::MemberServiceClient},
        users_v1::{RetrieveRequest, retrieve_request::By, user_service_client::UserServiceClient},
    },
};

/// Callers at once.
const CALLERS: usize = 32;

/// One in so many is changed.
const CHANGED: usize = 5;

/// The people of an organization of its own.
#[derive(Clone)]
pub(crate) struct Crowd {
    ids: Arc<[String]>,
    /// Opens the public API.
    public_key: String,
    /// Opens the directory, for changes too.
    key: String,
}

impl Crowd {
    pub(crate) async fn make(directory: &Directory, people: usize) -> Result<Self> {
        let crowd = new_organization(directory, "crowd").await?;
        let ids = each_of(people, "linking", {
            let directory = directory.clone();
            move |number| {
                let directory = directory.clone();
                async move { linked(&directory, crowd, number).await }
            }
        });
        Ok(Self {
            ids: ids.await?.into(),
            public_key: new_key(directory, crowd, Scope::PublicApi).await?,
            key: new_key(directory, crowd, Scope::DirectoryWrite).await?,
        })
    }

    /// Looks everybody up, and changes some of them: whatever keeps pages of the file keeps as many as it may from then on.
    pub(crate) async fn call_all(&self, client: &Client) -> Result<()> {
        let people = self.ids.len();
        let (crowd, channel) = (self.clone(), client.channel()?);
        let called = each_of(people, "calling", move |number| {
            let (crowd, channel) = (crowd.clone(), channel.clone());
            async move {
                let email = format!("{}@example.com", name(number));
                let request = with_key(
                    RetrieveRequest {
                        by: Some(By::Email(email)),
                    },
                    &crowd.public_key,
                )?;
                UserServiceClient::new(channel.clone()).retrieve(request).await?;
                if number.is_multiple_of(CHANGED) {
                    let request = with_key(renamed(&crowd.ids[number]), &crowd.key)?;
                    MemberServiceClient::new(channel).update_member(request).await?;
                }
                Ok(())
            }
        });
        called.await.map(drop)
    }
}

fn name(number: usize) -> String {
    format!("crowd{number}")
}

async fn linked(directory: &Directory, crowd: OrganizationId, number: usize) -> Result<String> {
    link(directory, crowd, &name(number), None).await
}

fn renamed(id: &str) -> UpdateMemberRequest {
    UpdateMemberRequest {
        id: id.to_owned(),
        member: Some(Member {
            name: Some("Somebody Else".to_owned()),
            ..Member::default()
        }),
        update_mask: Some(prost_types::FieldMask {
            paths: vec!["name".to_owned()],
        }),
        etag: String::new(),
    }
}

/// Does the same for each number below a count, some at once, and returns what came of it in order.
async fn each_of<T, F>(
    count: usize,
    doing: &'static str,
    one: impl Fn(usize) -> F + Clone + Send + 'static,
) -> Result<Vec<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<T>> + Send,
{
    let style = ProgressStyle::with_template("{prefix} {bar:40} {human_pos} of {human_len} people {eta}")?;
    let progress = ProgressBar::new(count.try_into()?)
        .with_style(style)
        .with_prefix(doing);
    let mut callers = JoinSet::new();
    for first in 0..CALLERS {
        let (one, progress) = (one.clone(), progress.clone());
        callers.spawn(async move {
            let mut done = Vec::new();
            for number in (first..count).step_by(CALLERS) {
                done.push((number, one(number).await?));
                progress.inc(1);
            }
            Result::Ok(done)
        });
    }
    let mut all = Vec::with_capacity(count);
    while let Some(ended) = callers.join_next().await {
        all.extend(ended??);
    }
    progress.finish_and_clear();
    all.sort_unstable_by_key(|(number, _)| *number);
    Ok(all.into_iter().map(|(_, done)| done).collect())
}
