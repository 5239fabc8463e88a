//! `GET /v3/users`.

use axum::{extract::Request, http::StatusCode, response::Response};

use super::{
    Feedier, bearer,
    input::{Input, Value},
    page::{self, Page, Position},
    response::{self, Refusal},
    rules::{self, Errors},
    user::{ROLES, User, role_name},
};
use crate::{
    Upstream,
    listen::Origin,
    proto::directory_v1::{ListMembersRequest, ListMembersResponse, Role},
    upstream::{Key, UpstreamError},
};

/// Users of a page, where the client does not say.
pub(super) const PER_PAGE: u32 = 15;

/// The most alternatives of one filter.
const MAX_PARTS: usize = 100;

/// The longest name and the longest address that the directory has, in characters. Nobody has a longer part.
const MAX_NAME: usize = 255;
const MAX_EMAIL: usize = 320;

#[derive(Debug, PartialEq, Eq)]
struct ListQuery {
    page: u64,
    per_page: u32,
    /// None: filters that nobody passes.
    filter: Option<Filter>,
}

/// Whom to list. Empty: all.
#[derive(Debug, Default, PartialEq, Eq, Hash)]
struct Filter {
    names: Vec<String>,
    emails: Vec<String>,
    roles: Vec<Role>,
}

pub(super) async fn list(feedier: &Feedier, request: Request) -> Result<Response, Refusal> {
    let (secret, key) = bearer(request.headers())?;
    let query = match read(&Input::of_query(request.uri().query())) {
        Ok(query) => query,
        Err(refusal) => {
            feedier.upstream.check_read(&key).await?;
            return Err(refusal);
        }
    };
    let found = if let Some(filter) = &query.filter {
        let list = (secret, filter, query.per_page);
        let cursor = match query.page {
            1 => None,
            page => feedier.page_cursors.after(&list, page - 1),
        };
        let found = fetch(&feedier.upstream, &key, filter, &query, cursor).await?;
        feedier
            .page_cursors
            .keep(&list, query.page, found.next_page_token.clone());
        found
    } else {
        feedier.upstream.check_read(&key).await?;
        ListMembersResponse::default()
    };
    let position = Position {
        page: query.page,
        per_page: query.per_page,
        total: u64::try_from(found.total.unwrap_or_default()).unwrap_or_default(),
        more: !found.next_page_token.is_empty(),
    };
    let users = found.members.into_iter().filter_map(User::of).collect();
    let origin = Origin::of(request.uri(), request.headers(), request.extensions());
    let url = page::url(origin, request.uri().path());
    Ok(response::json(StatusCode::OK, &Page::new(url, position, users)))
}

/// The members of a page: those after the cursor, if the directory takes it, or those at the page's number.
async fn fetch(
    upstream: &Upstream,
    key: &Key,
    filter: &Filter,
    query: &ListQuery,
    cursor: Option<String>,
) -> Result<ListMembersResponse, UpstreamError> {
    let request = |page_token: String, skip: u64| ListMembersRequest {
        page_size: i32::try_from(query.per_page).unwrap_or(i32::MAX),
        page_token,
        skip: i64::try_from(skip).unwrap_or(i64::MAX),
        with_total: true,
        roles: match &filter.roles[..] {
            [] => ROLES.map(i32::from).to_vec(),
            roles => roles.iter().map(|role| i32::from(*role)).collect(),
        },
        name_parts: filter.names.clone(),
        email_parts: filter.emails.clone(),
        ..ListMembersRequest::default()
    };
    if let Some(cursor) = cursor {
        match upstream.list_members(key, request(cursor, 0)).await {
            // It is from another version of the directory.
            Err(UpstreamError::InvalidArgument) => {}
            result => return result,
        }
    }
    let skip = (query.page - 1).saturating_mul(query.per_page.into());
    upstream.list_members(key, request(String::new(), skip)).await
}

fn read(input: &Input) -> Result<ListQuery, Refusal> {
    let mut errors = Errors::default();
    let per_page = rules::page_size(&mut errors, "per_page", input);
    let limit = rules::page_size(&mut errors, "limit", input);
    let page = input.given("page").and_then(rules::integer);
    let filters = match input.given("filter") {
        Some(Value::Array(filters)) => &filters[..],
        _ => &[],
    };
    let mut unknown = Vec::new();
    let mut filter = Some(Filter::default());
    for (name, value) in filters {
        let field = match name.as_str() {
            "name" => "filter.name",
            "email" => "filter.email",
            "role" => "filter.role",
            _ => {
                unknown.push(name.clone());
                continue;
            }
        };
        if is_garbled(value) {
            errors.add_format(field);
        }
        let parts = alternatives(value);
        if parts.len() > MAX_PARTS {
            errors.add(
                field,
                format!("The {field} field must not have more than {MAX_PARTS} items."),
            );
        }
        // A filter of nothing, but for one that is exact: nobody has the role "".
        if *value == Value::Null || parts.is_empty() && name != "role" {
            continue;
        }
        filter = filter.and_then(|filter| filter.with(name, parts));
    }
    if !errors.is_empty() {
        return Err(errors.into());
    }
    if !unknown.is_empty() {
        return Err(Refusal::UnknownFilters(unknown));
    }
    Ok(ListQuery {
        page: page.and_then(|page| u64::try_from(page).ok()).unwrap_or(1).max(1),
        per_page: per_page.or(limit).unwrap_or(PER_PAGE),
        filter,
    })
}

impl Filter {
    /// With the alternatives of one more filter. None: nobody passes it.
    fn with(mut self, name: &str, parts: Vec<String>) -> Option<Self> {
        let some = |parts: Vec<String>, max: usize| {
            let parts: Vec<_> = parts.into_iter().filter(|part| can_be(part, max)).collect();
            (!parts.is_empty()).then_some(parts)
        };
        match name {
            "name" => self.names = some(parts, MAX_NAME)?,
            "email" => self.emails = some(parts, MAX_EMAIL)?,
            _ => {
                self.roles = ROLES
                    .into_iter()
                    .filter(|role| role_name(*role).is_some_and(|name| parts.iter().any(|part| part == name)))
                    .collect();
                if self.roles.is_empty() {
                    return None;
                }
            }
        }
        Some(self)
    }
}

/// Whether anything in the directory can have this part.
fn can_be(part: &str, max: usize) -> bool {
    part.chars().nth(max).is_none() && !part.chars().any(char::is_control)
}

/// Whether there is a text in it that is no UTF-8.
fn is_garbled(value: &Value) -> bool {
    match value {
        Value::NotUtf8 => true,
        Value::Array(items) => items.iter().any(|(_, item)| is_garbled(item)),
        _ => false,
    }
}

/// What is between commas, but for nothing, in one text or in many; each once.
fn alternatives(value: &Value) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut waiting = vec![value];
    while let Some(value) = waiting.pop() {
        match value {
            Value::Text(text) => {
                for part in text.split(',').filter(|part| !part.is_empty()) {
                    if found.len() <= MAX_PARTS && found.iter().all(|there| there != part) {
                        found.push(part.to_owned());
                    }
                }
            }
            Value::Array(items) => waiting.extend(items.iter().rev().map(|(_, item)| item)),
            // A query has neither numbers nor truths nor files, and what is garbled is refused.
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::NotUtf8 | Value::Opaque => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(query: &str) -> ListQuery {
        read(&Input::of_query(Some(query))).unwrap()
    }

    fn filter(query: &str) -> Option<Filter> {
        self::query(query).filter
    }

    #[test]
    fn a_page_that_is_no_positive_integer_is_the_first() {
        for page in ["", "0", "-1", "abc", "1.5", "99999999999999999999", "01"] {
            assert_eq!(query(&format!("page={page}")).page, 1, "{page}");
        }
        assert_eq!(query("page[]=2").page, 1);
        assert_eq!(query("page=2&page=3").page, 3);
        assert_eq!(query("page=+7").page, 7);
    }

    #[test]
    fn a_page_has_as_many_as_asked_for() {
        assert_eq!(query("").per_page, 15);
        assert_eq!(query("limit=20").per_page, 20);
        assert_eq!(query("per_page=30&limit=20").per_page, 30);
        assert!(read(&Input::of_query(Some("per_page=30&limit=0"))).is_err());
    }

    #[test]
    fn a_comma_means_or_and_so_does_an_array() {
        let names = |names: &[&str]| {
            Some(Filter {
                names: names.iter().map(|name| (*name).to_owned()).collect(),
                ..Filter::default()
            })
        };
        assert_eq!(filter("filter[name]=a,b,,a"), names(&["a", "b"]));
        assert_eq!(
            filter("filter%5Bname%5D[]=a&filter[name][]=b,c"),
            names(&["a", "b", "c"])
        );
        assert_eq!(filter("filter[name]=%25_"), names(&["%_"]));
        assert_eq!(filter("filter[name]=&filter[email]=,"), names(&[]));
        assert_eq!(filter("filter=x"), names(&[]));
        assert_eq!(
            filter(&format!("filter[name]={},a", "x".repeat(256))),
            names(&["a"])
        );
        assert_eq!(filter(&format!("filter[name]={}", "x".repeat(256))), None);
        assert_eq!(filter("filter[email]=a%01"), None);
    }

    #[test]
    fn admin_is_also_the_owner() {
        let roles = |query: &str| filter(query).map(|filter| filter.roles);
        assert_eq!(roles("filter[role]=admin"), Some(vec![Role::Owner, Role::Admin]));
        assert_eq!(roles("filter[role]=viewer,nope"), Some(vec![Role::Viewer]));
        assert_eq!(roles("filter[role][]=editor"), Some(vec![Role::Editor]));
        assert_eq!(roles("filter[role]=owner"), None);
        assert_eq!(roles("filter[role]=Admin"), None);
        assert_eq!(roles("filter[role]="), Some(Vec::new()));
        assert_eq!(roles("filter[role]=viewer,"), Some(vec![Role::Viewer]));
        for nobody in [
            "filter[role]=,",
            "filter[role][]=",
            "filter[role][]=,,&filter[role][]=",
        ] {
            assert_eq!(roles(nobody), None, "{nobody}");
        }
    }

    #[test]
    fn what_is_too_much_or_unknown_is_refused() {
        let many: Vec<_> = (0..101).map(|index| index.to_string()).collect();
        let query = format!("filter[name]={}", many.join(","));
        assert!(matches!(
            read(&Input::of_query(Some(&query))),
            Err(Refusal::Invalid(_))
        ));
        for garbled in ["filter[name]=%ff", "filter[role][]=admin&filter[role][]=%C3"] {
            assert!(
                matches!(read(&Input::of_query(Some(garbled))), Err(Refusal::Invalid(_))),
                "{garbled}"
            );
        }
        let Err(Refusal::UnknownFilters(names)) = read(&Input::of_query(Some(
            "filter[x]=&filter[]=1&filter[name]=a&filter[ name]=b",
        ))) else {
            panic!("unknown filters are refused");
        };
        assert_eq!(names, ["x", "0", " name"]);
    }
}
