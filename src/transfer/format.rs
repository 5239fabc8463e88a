//! The kinds of files.

use crate::domain::names::names;

names! {
    /// Whose file it is, and how it is written.
    Format,
    "must be one of csv, ndjson, json, zendesk, freshdesk, thebridge",
    /// A header and a row for each member, separated by `,`, `;` or tabs. Columns have the names of fields.
    Csv = "csv",
    /// A JSON object a line, whose keys are names of fields.
    Ndjson = "ndjson",
    /// An array of such objects.
    Json = "json",
    /// Zendesk's users: JSON in any of the forms of its API and its exports.
    Zendesk = "zendesk",
    /// Freshdesk's contacts: JSON of its API, or CSV.
    Freshdesk = "freshdesk",
    /// The Bridge's users: CSV.
    TheBridge = "thebridge",
}
