//! A person in an organization, as calls change and see one.

use std::collections::BTreeSet;

use super::checker::Model;

/// What was answered to a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Done(Seen),
    NotFound,
    /// The version that was asked for is not the member's.
    Stale,
    /// None, or one that does not say whether it was done.
    Unknown,
}

/// What an answer says of a member. A text that it does not say is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) id: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) name: Option<String>,
}

/// A call for the person. Every change has a name that no other has.
#[derive(Clone, Debug)]
pub(super) enum Call {
    /// By address, with a new name.
    Link {
        name: String,
        created: bool,
        answer: Answer,
    },
    /// Of this id, or else of whoever has the address.
    Read { id: Option<String>, answer: Answer },
    /// Gives the member of this id a new name, if it has this version.
    Update {
        id: String,
        etag: Option<String>,
        name: String,
        answer: Answer,
    },
    Revoke {
        id: String,
        etag: Option<String>,
        answer: Answer,
    },
    /// An integrator's, of whoever is there.
    Delete { answer: Answer },
}

/// The live link. What no answer has told yet is none.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Live {
    id: Option<String>,
    etag: Option<String>,
    name: String,
}

/// The person, and the ids of links that have ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Person {
    live: Option<Live>,
    ended: BTreeSet<String>,
}

/// Whether the text may be that one; then it is known.
fn is(known: &mut Option<String>, told: Option<&String>) -> bool {
    match (&known, told) {
        (_, None) => true,
        (Some(known), Some(told)) => known == told,
        (None, Some(told)) => {
            *known = Some(told.clone());
            true
        }
    }
}

impl Person {
    fn with(&self, live: Option<Live>) -> Self {
        Self {
            live,
            ended: self.ended.clone(),
        }
    }

    /// The live member as it was seen. None: it is not.
    fn seen(&self, seen: &Seen) -> Option<Live> {
        let mut live = self.live.clone()?;
        let is_it = is(&mut live.id, seen.id.as_ref())
            && is(&mut live.etag, seen.etag.as_ref())
            && seen.name.as_ref().is_none_or(|name| *name == live.name);
        (is_it && live.id.as_ref().is_none_or(|id| !self.ended.contains(id))).then_some(live)
    }

    /// The live member, if it has this id and this version, whichever are given.
    fn meant(&self, id: Option<&String>, etag: Option<&String>) -> Option<Live> {
        self.seen(&Seen {
            id: id.cloned(),
            etag: etag.cloned(),
            name: None,
        })
    }

    /// The same after a change of the member of this id, or of whoever is there, at this version.
    fn changed(
        &self,
        (id, etag): (Option<&String>, Option<&String>),
        answer: &Answer,
        change: impl Fn(Live, &Seen) -> Option<Self>,
    ) -> Option<Self> {
        let nothing = Seen::default();
        match answer {
            Answer::Done(seen) => change(self.meant(id, etag)?, seen),
            Answer::Unknown => change(self.meant(id, etag)?, &nothing),
            Answer::Stale => {
                let live = self.meant(id, None)?;
                (live.etag.is_none() || live.etag.as_ref() != etag).then(|| self.clone())
            }
            Answer::NotFound => {
                let known = self.live.as_ref().map(|live| live.id.as_ref());
                let is_it = known.is_some_and(|known| id.is_none() || known == id);
                (!is_it).then(|| self.clone())
            }
        }
    }

    /// After the link of this member ended.
    fn without(&self, live: Live) -> Self {
        let mut ended = self.ended.clone();
        ended.extend(live.id);
        Self { live: None, ended }
    }

    /// With another name, and so at another version.
    fn renamed(&self, mut live: Live, name: &str, seen: &Seen) -> Option<Self> {
        let moves = seen.etag.is_none() || seen.etag != live.etag;
        name.clone_into(&mut live.name);
        live.etag.clone_from(&seen.etag);
        let told = seen.name.as_ref().is_none_or(|told| told == name);
        (moves && told && is(&mut live.id, seen.id.as_ref())).then(|| self.with(Some(live)))
    }
}

impl Model for Person {
    type Call = Call;

    fn after(&self, call: &Call) -> Option<Self> {
        match call {
            Call::Link {
                name,
                created,
                answer,
            } => {
                let nothing = Seen::default();
                let (seen, known) = match answer {
                    Answer::Done(seen) => (seen, true),
                    Answer::Unknown => (&nothing, false),
                    Answer::NotFound | Answer::Stale => return None,
                };
                let Some(live) = self.live.clone() else {
                    let is_new = seen.id.as_ref().is_none_or(|id| !self.ended.contains(id));
                    let live = Live {
                        id: seen.id.clone(),
                        etag: seen.etag.clone(),
                        name: name.clone(),
                    };
                    return (is_new && (*created || !known)).then(|| self.with(Some(live)));
                };
                if known && *created {
                    return None;
                }
                self.renamed(live, name, seen)
            }
            Call::Read { id, answer } => self.changed((id.as_ref(), None), answer, |_, seen| {
                self.seen(seen).map(|live| self.with(Some(live)))
            }),
            Call::Update {
                id,
                etag,
                name,
                answer,
            } => self.changed((Some(id), etag.as_ref()), answer, |live, seen| {
                self.renamed(live, name, seen)
            }),
            Call::Revoke { id, etag, answer } => {
                self.changed((Some(id), etag.as_ref()), answer, |live, _| {
                    Some(self.without(live))
                })
            }
            Call::Delete { answer } => self.changed((None, None), answer, |live, _| Some(self.without(live))),
        }
    }
}
