//! Values of a file, before they are looked at as values of a member.

use std::borrow::Cow;

/// A value of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Cell<'a> {
    /// Absent, null, or empty.
    #[default]
    Nothing,
    /// Of a CSV, where all is text.
    Untyped(&'a str),
    Text(Cow<'a, str>),
    Bool(bool),
    Whole(i128),
    /// A number that is not whole.
    Fraction,
    /// An array of whole numbers; None: an array of something else.
    List(Option<Vec<i128>>),
    /// An object, with those of its texts that are looked for: its name, and the URL of a picture.
    Object {
        name: Option<Cow<'a, str>>,
        url: Option<Cow<'a, str>>,
    },
    /// The record has it more than once.
    Twice,
}

impl Cell<'_> {
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}
