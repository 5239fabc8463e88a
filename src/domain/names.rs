//! Values with names: what every enumeration that is stored and typed has in common.

use thiserror::Error;

/// There is no value of this name. Says what is wrong with it, never what it was.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct UnknownName(pub(crate) &'static str);

/// Defines an enumeration, what is said of a name that none of its values has, and a name for each value, as the database,
/// the command line and texts on the wire write it.
macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $unknown:literal, $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::domain::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let named = Self::ALL.iter().copied().find(|value| value.as_str() == text);
                named.ok_or($crate::domain::names::UnknownName($unknown))
            }
        }
    };
}
pub(crate) use names;
