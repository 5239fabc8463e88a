//! What the list of people is to show: its place in the address, so that a page can be kept, sent and gone back to.

use form_urlencoded::Serializer;

use super::{PAGE_SIZE, PEOPLE, form::Fields};
use crate::proto::directory_v1::ListMembersRequest;

/// The longest text that is searched for, in characters.
const MAX_TEXT: usize = 320;

/// The last page that can be asked for: beyond it there is nobody.
const MAX_PAGE: i64 = 10_000_000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    #[default]
    Name,
    Email,
    Role,
    Added,
    Seen,
}

impl Sort {
    pub(super) const ALL: [Self; 5] = [Self::Name, Self::Email, Self::Role, Self::Added, Self::Seen];

    /// As the directory orders it, and as the address says it.
    pub(super) const fn field(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Email => "email",
            Self::Role => "role",
            Self::Added => "created_at",
            Self::Seen => "last_seen_at",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Name => "Name",
            Self::Email => "Email",
            Self::Role => "Role",
            Self::Added => "Added",
            Self::Seen => "Last seen",
        }
    }

    /// Of times, the latest is what is looked for first.
    const fn begins_descending(self) -> bool {
        matches!(self, Self::Added | Self::Seen)
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Show {
    #[default]
    Everybody,
    Enabled,
    Disabled,
    /// Not live any more, but to be restored.
    Removed,
}

impl Show {
    pub(super) const ALL: [Self; 4] = [Self::Everybody, Self::Enabled, Self::Disabled, Self::Removed];

    pub(super) const fn value(self) -> &'static str {
        match self {
            Self::Everybody => "",
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
        }
    }

    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::Everybody => "Everybody",
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::Removed => "Removed in the last 30 days",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ListQuery {
    pub(super) text: String,
    pub(super) sort: Sort,
    pub(super) descending: bool,
    pub(super) show: Show,
    /// 1 and up.
    pub(super) page: i64,
    /// A later page of those who were removed, which is not numbered.
    pub(super) place: Option<Place>,
}

/// Where a later page of those who were removed begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Since when they were removed, as on the first page: in seconds since 1970.
    pub(super) since: i64,
    /// The directory's, which goes on in that list only.
    pub(super) token: String,
}

impl ListQuery {
    /// What can't be understood is as if it were not there.
    pub(super) fn of(fields: &Fields) -> Self {
        let field = |name| fields.get(name).unwrap_or_default();
        let sort = Sort::ALL
            .into_iter()
            .find(|sort| sort.field() == field("sort"))
            .unwrap_or_default();
        let show = Show::ALL
            .into_iter()
            .find(|show| show.value() == field("show"))
            .unwrap_or_default();
        Self {
            text: fields.text("text").chars().take(MAX_TEXT).collect(),
            sort,
            descending: match field("order") {
                "desc" => true,
                "asc" => false,
                _ => sort.begins_descending(),
            },
            show,
            page: field("page").parse().unwrap_or(1).clamp(1, MAX_PAGE),
            // Without a token nobody has checked since when.
            place: Some(field("token"))
                .filter(|token| !token.is_empty())
                .zip(field("since").parse().ok())
                .map(|(token, since)| Place {
                    since,
                    token: token.to_owned(),
                }),
        }
    }

    /// Its address.
    pub(super) fn href(&self) -> String {
        let mut query = Serializer::new(String::new());
        if !self.text.is_empty() {
            query.append_pair("text", &self.text);
        }
        if self.show != Show::default() {
            query.append_pair("show", self.show.value());
        }
        if self.sort != Sort::default() {
            query.append_pair("sort", self.sort.field());
        }
        if self.descending != self.sort.begins_descending() {
            query.append_pair("order", self.order());
        }
        if self.page > 1 {
            query.append_pair("page", &self.page.to_string());
        }
        if let Some(Place { since, token }) = &self.place {
            query.append_pair("since", &since.to_string());
            query.append_pair("token", token);
        }
        let query = query.finish();
        if query.is_empty() {
            PEOPLE.to_owned()
        } else {
            format!("{PEOPLE}?{query}")
        }
    }

    pub(super) const fn order(&self) -> &'static str {
        if self.descending { "desc" } else { "asc" }
    }

    /// The same list from its start, in this order; the other way round if it has this order already.
    pub(super) fn sorted(&self, sort: Sort) -> Self {
        let descending = if self.sort == sort {
            !self.descending
        } else {
            sort.begins_descending()
        };
        Self {
            sort,
            descending,
            page: 1,
            ..self.clone()
        }
    }

    pub(super) fn at_page(&self, page: i64) -> Self {
        Self { page, ..self.clone() }
    }

    pub(super) fn at_place(&self, place: Place) -> Self {
        Self {
            place: Some(place),
            ..self.clone()
        }
    }

    /// Whether fewer people than all are asked for.
    pub(super) fn is_narrow(&self) -> bool {
        !self.text.is_empty() || self.show != Show::Everybody
    }

    /// How many come before this page.
    pub(super) const fn skip(&self) -> i64 {
        (self.page - 1) * PAGE_SIZE as i64
    }

    /// What to ask the directory for: live staff.
    pub(super) fn request(&self) -> ListMembersRequest {
        let direction = if self.descending { " desc" } else { "" };
        ListMembersRequest {
            page_size: PAGE_SIZE,
            roles: super::words::ROLES.map(Into::into).to_vec(),
            enabled: match self.show {
                Show::Enabled => Some(true),
                Show::Disabled => Some(false),
                Show::Everybody | Show::Removed => None,
            },
            order_by: format!("{}{direction}", self.sort.field()),
            with_total: true,
            skip: self.skip(),
            text: Some(self.text.clone()).filter(|text| !text.is_empty()),
            ..ListMembersRequest::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(encoded: &str) -> ListQuery {
        ListQuery::of(&Fields::of(&format!("/?{encoded}").parse().unwrap()))
    }

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for encoded in [
            "text=ada+%26+%3Cb%3E&show=disabled&sort=email&order=desc&page=7",
            "show=removed&since=1764500000&token=abc",
            "sort=last_seen_at&order=asc",
        ] {
            let href = query(encoded).href();
            assert_eq!(href, format!("{PEOPLE}?{encoded}"));
        }
        assert_eq!(query("").href(), PEOPLE);
    }

    #[test]
    fn nonsense_shows_everybody_from_the_start() {
        for nonsense in [
            "page=-3",
            "page=x&sort=secret",
            "show=all&order=up",
            "page=0",
            "since=0",
            "since=0&token=",
            "token=abc",
        ] {
            assert_eq!(query(nonsense), query(""), "{nonsense}");
        }
        assert_eq!(query("page=99999999999").skip(), (MAX_PAGE - 1) * 50);
    }

    #[test]
    fn a_column_that_is_sorted_by_turns_round() {
        let by_name = query("page=3");
        assert_eq!(by_name.sorted(Sort::Name).href(), format!("{PEOPLE}?order=desc"));
        let seen = by_name.sorted(Sort::Seen);
        assert!(seen.descending);
        assert_eq!(seen.href(), format!("{PEOPLE}?sort=last_seen_at"));
        assert!(!seen.sorted(Sort::Seen).descending);
    }
}
