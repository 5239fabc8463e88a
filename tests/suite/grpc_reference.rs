//! `docs/grpc.md`, the reference of the gRPC contracts: made of the descriptors that the server reflects, with the comments of
//! `proto/`.

use std::{collections::HashMap, env, fmt::Write as _, fs};

use prost::Message as _;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet,
    ServiceDescriptorProto,
    field_descriptor_proto::{Label, Type},
};

use crate::{programs::tools::root, support::proto::DESCRIPTORS};

/// The file is written anew if this is set.
const REWRITE: &str = "USERBRIDGE_TEST_REWRITE";

const INTRODUCTION: &str = "# gRPC reference

<!-- Made from proto/: USERBRIDGE_TEST_REWRITE=1 cargo test --test suite grpc_reference -->

Every service, message and enum of [proto/userbridge](../proto/userbridge), in its own words. A server reflects the same, so
`grpcurl` and its like need no file. Pages in browsers call the same services in
[gRPC-Web](operations.md#calls-from-browsers).
";

/// Tags of the fields of descriptors, of which paths to comments are made.
mod tag {
    pub(super) const PACKAGE: i32 = 2;
    pub(super) const MESSAGE: i32 = 4;
    pub(super) const ENUM: i32 = 5;
    pub(super) const SERVICE: i32 = 6;
    /// Of a message's fields, a service's methods and an enum's values.
    pub(super) const PART: i32 = 2;
}

#[test]
fn the_reference_says_what_the_protos_say() {
    let made = reference();
    let path = root().join("docs/grpc.md");
    if env::var_os(REWRITE).is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        made == kept,
        "docs/grpc.md is stale. To make it anew: {REWRITE}=1 cargo test --test suite grpc_reference"
    );
}

#[test]
fn everything_in_the_reference_has_words_of_its_own() {
    let made = reference();
    for line in made.lines() {
        assert!(!line.ends_with("|  |"), "{line} has no comment");
    }
    assert!(
        made.contains("| `created_at` | `google.protobuf.Timestamp` |"),
        "{made}"
    );
}

fn reference() -> String {
    let set = FileDescriptorSet::decode(DESCRIPTORS).unwrap();
    let own = set
        .file
        .iter()
        .filter(|file| file.package().starts_with("userbridge."));
    let mut pages: Vec<_> = own.map(Page::of).collect();
    pages.sort_by_key(|page| page.file.name().to_owned());
    let known: Vec<_> = pages.iter().flat_map(Page::names).collect();
    let mut out = INTRODUCTION.to_owned();
    for page in pages {
        page.write(&known, &mut out);
    }
    out
}

/// One file of `proto/`, with its comments by path.
struct Page<'f> {
    file: &'f FileDescriptorProto,
    comments: HashMap<&'f [i32], &'f str>,
}

impl<'f> Page<'f> {
    fn of(file: &'f FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        Self {
            file,
            comments: locations
                .map(|location| (&location.path[..], location.leading_comments()))
                .collect(),
        }
    }

    /// The full names of what has a heading.
    fn names(&self) -> Vec<String> {
        let messages = self.file.message_type.iter().map(DescriptorProto::name);
        let enums = self.file.enum_type.iter().map(EnumDescriptorProto::name);
        messages
            .chain(enums)
            .map(|name| format!("{}.{name}", self.file.package()))
            .collect()
    }

    /// A comment, its lines without the blank in front.
    fn comment(&self, path: &[i32]) -> String {
        let text = self.comments.get(path).copied().unwrap_or_default();
        let lines = text.lines().map(|line| line.strip_prefix(' ').unwrap_or(line));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// A comment in one line, for a cell of a table.
    fn cell(&self, path: &[i32]) -> String {
        let comment = self.comment(path);
        comment
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
            .replace('|', "\\|")
    }

    fn write(&self, known: &[String], out: &mut String) {
        let file = self.file;
        let about = self.comment(&[tag::PACKAGE]);
        let _ = write!(out, "\n## {}\n\n`{}` {about}", title(file), file.name());
        out.truncate(out.trim_end().len());
        out.push('\n');
        for (index, service) in (0..).zip(&file.service) {
            self.service(index, service, known, out);
        }
        for (index, message) in (0..).zip(&file.message_type) {
            assert!(message.nested_type.is_empty() && message.enum_type.is_empty());
            self.message(index, message, known, out);
        }
        for (index, value) in (0..).zip(&file.enum_type) {
            self.values(index, value, out);
        }
    }

    fn service(&self, index: i32, service: &ServiceDescriptorProto, known: &[String], out: &mut String) {
        let path = [tag::SERVICE, index];
        let name = format!("{}.{}", self.file.package(), service.name());
        let _ = write!(out, "\n### {name}\n\n{}\n", self.comment(&path));
        for (place, method) in (0..).zip(&service.method) {
            let message = |name: &str, streams: bool| {
                let streams = if streams { "stream of " } else { "" };
                format!("{streams}{}", reference_to(name, known))
            };
            let _ = write!(
                out,
                "\n#### {}/{}\n\n{} → {}\n\n{}\n",
                service.name(),
                method.name(),
                message(method.input_type(), method.client_streaming()),
                message(method.output_type(), method.server_streaming()),
                self.comment(&[tag::SERVICE, index, tag::PART, place])
            );
        }
    }

    fn message(&self, index: i32, message: &DescriptorProto, known: &[String], out: &mut String) {
        let name = format!("{}.{}", self.file.package(), message.name());
        let _ = write!(out, "\n### {name}\n\n{}\n", self.comment(&[tag::MESSAGE, index]));
        if message.field.is_empty() {
            return;
        }
        out.push_str("\n| field | type | |\n|---|---|---|\n");
        for (place, field) in (0..).zip(&message.field) {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                field.name(),
                field_type(field, message, known),
                self.cell(&[tag::MESSAGE, index, tag::PART, place])
            );
        }
    }

    fn values(&self, index: i32, values: &EnumDescriptorProto, out: &mut String) {
        let name = format!("{}.{}", self.file.package(), values.name());
        let _ = write!(
            out,
            "\n### {name}\n\n{}\n\n| value | number | |\n|---|---|---|\n",
            self.comment(&[tag::ENUM, index])
        );
        for (place, value) in (0..).zip(&values.value) {
            let _ = writeln!(
                out,
                "| `{}` | {} | {} |",
                value.name(),
                value.number(),
                self.cell(&[tag::ENUM, index, tag::PART, place])
            );
        }
    }
}

/// What a file is about: its name, in the words of a heading.
fn title(file: &FileDescriptorProto) -> String {
    let name = file.name().rsplit('/').next().unwrap_or_default();
    let name = name.trim_end_matches(".proto").replace('_', " ");
    format!("{}: {name}", file.package())
}

/// A message or an enum by its full name, with a link if it is described here.
fn reference_to(name: &str, known: &[String]) -> String {
    let name = name.trim_start_matches('.');
    if !known.iter().any(|known| known == name) {
        return format!("`{name}`");
    }
    let short = name.rsplit('.').next().unwrap_or(name);
    // As forges make the anchor of a heading.
    format!("[{short}](#{})", name.to_lowercase().replace('.', ""))
}

fn field_type(field: &FieldDescriptorProto, message: &DescriptorProto, known: &[String]) -> String {
    let name = match field.r#type() {
        Type::Message | Type::Enum => reference_to(field.type_name(), known),
        scalar => format!(
            "`{}`",
            scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase()
        ),
    };
    let oneof = field
        .oneof_index
        .filter(|_| !field.proto3_optional())
        .and_then(|index| message.oneof_decl.get(usize::try_from(index).ok()?));
    match oneof {
        Some(oneof) => format!("{name}, one of `{}`", oneof.name()),
        None if field.label() == Label::Repeated => format!("repeated {name}"),
        None if field.proto3_optional() => format!("optional {name}"),
        None => name,
    }
}
