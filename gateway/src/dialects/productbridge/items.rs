//! The list of a 422: Pydantic's items, written as `FastAPI` writes them.

use super::echo;
use super::python_json::Value;

/// One item. Its parts stand in the order they are written in.
pub struct Item<'v> {
    pub kind: Kind,
    pub at: At,
    pub message: &'v str,
    pub input: &'v Value<'v>,
    pub context: Context<'v>,
}

/// Where all items are.
pub const BODY: &str = "body";

/// What is wrong, as Pydantic calls it.
#[derive(Clone, Copy)]
pub enum Kind {
    Missing,
    ModelAttributesType,
    JsonInvalid,
    StringType,
    StringUnicode,
    UuidType,
    UuidParsing,
    ValueError,
}

impl Kind {
    pub const ALL: [Self; 8] = [
        Self::Missing,
        Self::ModelAttributesType,
        Self::JsonInvalid,
        Self::StringType,
        Self::StringUnicode,
        Self::UuidType,
        Self::UuidParsing,
        Self::ValueError,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::ModelAttributesType => "model_attributes_type",
            Self::JsonInvalid => "json_invalid",
            Self::StringType => "string_type",
            Self::StringUnicode => "string_unicode",
            Self::UuidType => "uuid_type",
            Self::UuidParsing => "uuid_parsing",
            Self::ValueError => "value_error",
        }
    }
}

/// What an item is about.
pub enum At {
    Body,
    Field(&'static str),
    /// A place in the text, in code points.
    Position(usize),
}

/// An item's `ctx`.
pub enum Context<'v> {
    None,
    /// `{"error": text}`.
    Error(&'v str),
    /// `{"error": {}}`: a Python exception, of which nothing is shown.
    Exception,
}

/// A list under construction.
#[derive(Default)]
pub struct Items {
    json: String,
    count: usize,
}

impl Items {
    pub fn push(&mut self, item: &Item<'_>) {
        let out = &mut self.json;
        out.push(if self.count == 0 { '[' } else { ',' });
        self.count += 1;
        out.push_str("{\"type\":");
        echo::text(item.kind.name(), out);
        out.push_str(",\"loc\":[");
        echo::text(BODY, out);
        match item.at {
            At::Body => {}
            At::Field(name) => {
                out.push(',');
                echo::text(name, out);
            }
            At::Position(position) => echo::push(out, format_args!(",{position}")),
        }
        out.push_str("],\"msg\":");
        echo::text(item.message, out);
        out.push_str(",\"input\":");
        echo::value(item.input, out);
        match item.context {
            Context::None => {}
            Context::Error(error) => {
                out.push_str(",\"ctx\":{\"error\":");
                echo::text(error, out);
                out.push('}');
            }
            Context::Exception => out.push_str(",\"ctx\":{\"error\":{}}"),
        }
        out.push('}');
    }

    pub fn len(&self) -> usize {
        self.count
    }

    /// The JSON array. There is no 422 without an item.
    pub fn finish(mut self) -> String {
        self.json.push(']');
        self.json
    }
}
