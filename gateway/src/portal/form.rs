//! What the visitor sent: the fields of a query or of a form.

use axum::{
    body::Body,
    extract::{FromRequest, Request},
    http::{Uri, request::Parts},
};

use super::{Portal, csrf, problem::Problem, session::Visitor};
use crate::body::{self, MAX_BODY};

/// Fields in the order in which they were sent; some come more than once.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    fn parse(encoded: &[u8]) -> Self {
        Self(form_urlencoded::parse(encoded).into_owned().collect())
    }

    /// Of the query of an address.
    pub(super) fn of(address: &Uri) -> Self {
        Self::parse(address.query().unwrap_or_default().as_bytes())
    }

    /// The first of this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// The first of this name without space around it and without control characters, which no text of the directory has.
    pub(super) fn text(&self, name: &str) -> String {
        let text = self.get(name).unwrap_or_default().trim();
        text.chars().filter(|letter| !letter.is_control()).collect()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }
}

/// The fields of a form that was sent from one of our pages.
pub(super) async fn read(request: &Parts, body: Body) -> Result<Fields, Problem> {
    if csrf::is_from_elsewhere(request) {
        return Err(Problem::Forged);
    }
    let bytes = body::read(body, MAX_BODY).await?;
    Ok(Fields::parse(&bytes))
}

/// A form that a visitor sent from a page of the same session.
pub(super) struct Submitted {
    pub(super) visitor: Visitor,
    pub(super) fields: Fields,
}

impl FromRequest<Portal> for Submitted {
    type Rejection = Problem;

    async fn from_request(request: Request, portal: &Portal) -> Result<Self, Problem> {
        let (request, body) = request.into_parts();
        let visitor = Visitor::of(portal, &request).await?;
        let fields = read(&request, body).await?;
        if !visitor.sent(fields.get(csrf::FIELD).unwrap_or_default()) {
            return Err(Problem::Forged);
        }
        Ok(Self { visitor, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_lose_space_around_and_control_characters() {
        let fields = Fields::parse("team=1&name=+A%00da%0A+L%C3%B6velace+&team=2&name=B".as_bytes());
        assert_eq!(fields.text("name"), "Ada L\u{f6}velace");
        assert_eq!(fields.all("team").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(fields.get("nothing"), None);
        assert_eq!(fields.text("nothing"), "");
    }
}
