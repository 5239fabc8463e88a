//! The envelope of a page (Laravel's `LengthAwarePaginator`).

use serde::Serialize;
use utoipa::ToSchema;

use super::user::User;
use crate::listen::Origin;

/// A page, its keys in this order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = feedier::Page)]
pub(super) struct Page {
    data: Vec<User>,
    links: Links,
    meta: Meta,
}

/// URLs of other pages, with the page and nothing else in their query.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = feedier::Links)]
struct Links {
    first: String,
    last: String,
    #[schema(required)]
    prev: Option<String>,
    #[schema(required)]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = feedier::Meta)]
struct Meta {
    current_page: u64,
    /// The place of the first user of this page among all, from 1; null if the page is empty.
    #[schema(required)]
    from: Option<u64>,
    last_page: u64,
    path: String,
    per_page: u32,
    #[schema(required)]
    to: Option<u64>,
    total: u64,
}

/// Where a page is among the others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    /// 1 and up.
    pub(super) page: u64,
    /// 1 and up.
    pub(super) per_page: u32,
    /// How many users there are on all pages.
    pub(super) total: u64,
    /// Whether any come after those of this page.
    pub(super) more: bool,
}

impl Page {
    /// `path` is the list's own URL without a query.
    pub(super) fn new(path: String, position: Position, data: Vec<User>) -> Self {
        let Position {
            page,
            per_page,
            total,
            more,
        } = position;
        let count = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let full = total.div_ceil(per_page.into()).max(1);
        // Users who were removed while their list is walked may have made it one page longer or shorter than its count.
        let last_page = match (more, count) {
            (true, _) => full.max(page.saturating_add(1)),
            (false, 0) => full,
            (false, _) => page,
        };
        let from = (count > 0).then(|| {
            let counted = (page - 1).saturating_mul(per_page.into());
            counted.min(total.saturating_sub(count + u64::from(more))) + 1
        });
        let link = |page: u64| format!("{path}?page={page}");
        Self {
            links: Links {
                first: link(1),
                last: link(last_page),
                prev: (page > 1).then(|| link(page - 1)),
                next: (page < last_page).then(|| link(page + 1)),
            },
            meta: Meta {
                current_page: page,
                from,
                last_page,
                path,
                per_page,
                to: from.map(|from| from + count - 1),
                total,
            },
            data,
        }
    }
}

/// The URL of a path by which a client has come, without a query.
pub(super) fn url(origin: Origin<'_>, path: &str) -> String {
    let scheme = origin.scheme;
    let host = origin.host.unwrap_or("localhost").to_ascii_lowercase();
    let usual = if origin.is_https() { ":443" } else { ":80" };
    let host = host.strip_suffix(usual).unwrap_or(&host);
    format!("{scheme}://{host}/{}", path.trim_matches('/'))
}

#[cfg(test)]
mod tests {
    use axum::http::{Extensions, HeaderMap, Uri, header};

    use super::*;
    use crate::proto::directory_v1::{Member, Role};

    fn page(page: u64, per_page: u32, total: u64, count: usize, more: bool) -> serde_json::Value {
        let user = || {
            User::of(Member {
                role: Role::Viewer.into(),
                ..Member::default()
            })
        };
        let data = (0..count).filter_map(|_| user()).collect();
        let position = Position {
            page,
            per_page,
            total,
            more,
        };
        let mut value =
            serde_json::to_value(Page::new("http://a/v3/users".to_owned(), position, data)).unwrap();
        value.as_object_mut().unwrap().remove("data");
        value
    }

    #[test]
    fn the_sample_page() {
        assert_eq!(
            page(1, 15, 25, 15, true).to_string(),
            serde_json::json!({
                "links": {
                    "first": "http://a/v3/users?page=1", "last": "http://a/v3/users?page=2",
                    "prev": null, "next": "http://a/v3/users?page=2"
                },
                "meta": {
                    "current_page": 1, "from": 1, "last_page": 2, "path": "http://a/v3/users",
                    "per_page": 15, "to": 15, "total": 25
                }
            })
            .to_string()
        );
    }

    #[test]
    fn ends_and_beyond() {
        let last = page(2, 15, 25, 10, false);
        assert_eq!(
            (&last["meta"]["from"], &last["meta"]["to"]),
            (&16.into(), &25.into())
        );
        assert!(last["links"]["next"].is_null());
        assert_eq!(last["links"]["prev"], "http://a/v3/users?page=1");
        let beyond = page(9, 15, 25, 0, false);
        assert!(beyond["meta"]["from"].is_null() && beyond["meta"]["to"].is_null());
        assert!(beyond["links"]["next"].is_null());
        assert_eq!(beyond["links"]["prev"], "http://a/v3/users?page=8");
        assert_eq!(beyond["meta"]["last_page"], 2);
        assert_eq!(page(1, 15, 0, 0, false)["meta"]["last_page"], 1);
        assert_eq!(page(u64::MAX, 15, 25, 0, false)["meta"]["last_page"], 2);
    }

    #[test]
    fn a_page_that_begins_earlier_than_it_would_by_count_still_adds_up() {
        // 32 users; three of the first page were removed after it was read.
        let second = page(2, 15, 29, 15, true);
        assert_eq!(
            (&second["meta"]["from"], &second["meta"]["to"]),
            (&14.into(), &28.into())
        );
        assert_eq!(second["links"]["next"], "http://a/v3/users?page=3");
        let third = page(3, 15, 29, 2, false);
        assert_eq!(
            (&third["meta"]["from"], &third["meta"]["to"]),
            (&28.into(), &29.into())
        );
        assert!(third["links"]["next"].is_null());
    }

    #[test]
    fn links_are_the_requests_own() {
        let of = |uri: &str, host: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(host) = host {
                headers.insert(header::HOST, host.parse().unwrap());
            }
            headers.insert("x-forwarded-host", "evil.example".parse().unwrap());
            let uri: Uri = uri.parse().unwrap();
            url(Origin::of(&uri, &headers, &Extensions::new()), uri.path())
        };
        assert_eq!(
            of("/v3/users?a=b", Some("API.example:8080")),
            "http://api.example:8080/v3/users"
        );
        assert_eq!(
            of("/v3/users/", Some("api.example:80")),
            "http://api.example/v3/users"
        );
        assert_eq!(
            of("https://api.example/v3/users", None),
            "https://api.example/v3/users"
        );
        assert_eq!(of("/v3/users", None), "http://localhost/v3/users");
    }
}
