//! What came of the visitor's last action, told on the page that follows. Its name is in the page's address, so nothing
//! has to be remembered between the two; a forged one says something untrue and does nothing.

use axum::response::Response;

use super::{form::Fields, page};

/// The field of the address.
const FIELD: &str = "notice";

macro_rules! notices {
    ($($notice:ident, $name:literal, $good:literal, $text:literal;)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Notice {
            $($notice,)+
        }

        impl Notice {
            const ALL: &[Self] = &[$(Self::$notice,)+];

            const fn name(self) -> &'static str {
                match self {
                    $(Self::$notice => $name,)+
                }
            }

            pub(super) const fn text(self) -> &'static str {
                match self {
                    $(Self::$notice => $text,)+
                }
            }

            /// Whether what was asked for has happened.
            pub(super) const fn is_good(self) -> bool {
                match self {
                    $(Self::$notice => $good,)+
                }
            }
        }
    };
}

notices! {
    Invited, "invited", true, "Invited. A welcome mail with a link to set a password is on its way.";
    Added, "added", true, "Added, without a mail.";
    Saved, "saved", true, "Saved.";
    Enabled, "enabled", true, "Enabled: access is back.";
    Disabled, "disabled", true, "Disabled: there is no access until you enable it again.";
    Mailed, "mailed", true, "A mail with a link to set a new password is on its way. The link works for 24 hours.";
    Removed, "removed", true, "Removed.";
    Restored, "restored", true, "Restored, with role and teams as before.";
    LastOwner, "last-owner", false, "Nothing was changed: this is the last owner who can sign in. Make somebody else an owner first.";
    OwnersOnly, "owners-only", false, "Nothing was changed: only an owner can change an owner, or make somebody one.";
    NoEmail, "no-email", false, "No mail was sent: there is no address to send it to.";
    Conflict, "conflict", false, "Nothing was changed, because somebody else changed this person meanwhile. Below is how it is now; try again if you still want to.";
    Taken, "taken", false, "This person can\u{2019}t be restored: somebody with the same address is here already.";
    TooLate, "too-late", false, "This person can\u{2019}t be restored any more: it was removed too long ago.";
    Erased, "erased", false, "This person can\u{2019}t be restored: all personal data was erased.";
    TeamGone, "team-gone", false, "Nothing was changed: one of the teams does not exist any more.";
    NotPossible, "not-possible", false, "Nothing was changed: that is not possible as things are now.";
}

impl Notice {
    /// The one that an address has.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        let name = fields.get(FIELD)?;
        Self::ALL.iter().copied().find(|notice| notice.name() == name)
    }

    /// To a page, which tells it.
    pub(super) fn at(self, path: &str) -> Response {
        page::see_other(&format!("{path}?{FIELD}={}", self.name()))
    }
}
