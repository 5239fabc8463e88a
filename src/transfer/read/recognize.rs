//! Which format a file is, if nobody said it, by how it begins.

use super::{
    error::FileError,
    formats,
    input::Input,
    layout::{Layout, plain},
    split::{Csv, Documents, Header, is_lines, keys, next_line},
};
use crate::transfer::{Field, Format};

/// How much of JSON is looked at, and of how many records the keys.
const START: usize = 64 << 10;
const RECORDS: usize = 20;

/// How a file is split into records.
pub(super) enum Split {
    Csv(Box<Csv>),
    Lines,
    Documents(Documents),
}

/// A file whose format is known: it, what its columns say, and how it is split.
pub(super) struct Recognized {
    pub(super) format: Format,
    pub(super) layout: Layout,
    pub(super) split: Split,
}

/// Recognizes a file, or sees whether it can be what it was said to be.
pub(super) fn recognize(
    input: &mut Input,
    format: Option<Format>,
    map: &[(Field, String)],
) -> Result<Recognized, FileError> {
    input.has(START)?;
    let start = input.bytes();
    if start.is_empty() && format != Some(Format::Ndjson) {
        return Err(FileError::Empty);
    }
    let is_json = match format {
        Some(Format::Csv) => false,
        Some(Format::Ndjson | Format::Json) => true,
        _ => matches!(start.trim_ascii_start().first(), Some(b'[' | b'{')),
    };
    match format {
        Some(format @ Format::Zendesk) if !is_json => Err(FileError::OtherFormat(format)),
        Some(format @ Format::TheBridge) if is_json => Err(FileError::OtherFormat(format)),
        _ if is_json => json(start, format, map),
        _ => csv(input, format, map),
    }
}

fn json(start: &[u8], format: Option<Format>, map: &[(Field, String)]) -> Result<Recognized, FileError> {
    let is_lines = match format {
        Some(Format::Ndjson) => true,
        Some(Format::Json) => false,
        _ => is_lines(start),
    };
    let format = format.unwrap_or_else(|| {
        let keys = first_keys(start, is_lines);
        let ours = if is_lines { Format::Ndjson } else { Format::Json };
        formats::of_objects(|key| keys.iter().any(|other| other == key)).unwrap_or(ours)
    });
    Ok(Recognized {
        format,
        layout: Layout::new(format, map)?,
        split: if is_lines {
            Split::Lines
        } else {
            Split::Documents(Documents::default())
        },
    })
}

/// The keys of the first records.
fn first_keys(start: &[u8], is_lines: bool) -> Vec<String> {
    let mut input = Input::over(start.to_vec());
    let mut documents = Documents::default();
    let take = |_, text: Option<&[u8]>| text.and_then(keys).unwrap_or_default();
    let records = std::iter::from_fn(|| {
        let record = if is_lines {
            next_line(&mut input, take)
        } else {
            documents.next(&mut input, take)
        };
        // What is wrong with the file is found when it is read.
        record.ok().flatten()
    });
    records.take(RECORDS).flatten().collect()
}

fn csv(input: &mut Input, format: Option<Format>, map: &[(Field, String)]) -> Result<Recognized, FileError> {
    let told = format.map(|format| Layout::new(format, map)).transpose()?;
    let of_any = Format::ALL.iter().map(|format| Layout::new(*format, map));
    let known = match told {
        Some(layout) => vec![layout],
        None => of_any.collect::<Result<_, _>>()?,
    };
    let header = Header::find(input, |name| known.iter().any(|layout| layout.knows(name)))?;
    let names: Vec<_> = header.names.iter().map(|name| plain(name)).collect();
    let format = format.unwrap_or_else(|| formats::of_header(|name| names.iter().any(|other| other == name)));
    let (layout, cells) = Layout::new(format, map)?.for_header(&header.names)?;
    Ok(Recognized {
        format,
        layout,
        split: Split::Csv(Box::new(Csv::behind(input, header, cells)?)),
    })
}
