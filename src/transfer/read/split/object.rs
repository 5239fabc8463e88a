//! A record that is a JSON object.

use std::{borrow::Cow, fmt};

use serde::{
    Deserializer as _,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    domain::ImportRow,
    transfer::read::{
        Record,
        cell::Cell,
        error::{Flaw, Reason},
        layout::Layout,
        row,
    },
};

/// Of an object for a company.
const NAME: &str = "name";
/// Of an object for a picture: Zendesk's, Freshdesk's.
const URLS: [&str; 2] = ["content_url", "avatar_url"];

/// The record that begins at this line. No text: it is too long.
pub(in crate::transfer::read) fn record(layout: &Layout, line: u64, text: Option<&[u8]>) -> Record {
    let row = match text {
        Some(text) => row(layout, line, text),
        None => Err(vec![Flaw::whole(Reason::TooLong)]),
    };
    Record { line, row }
}

fn row(layout: &Layout, line: u64, bytes: &[u8]) -> Result<ImportRow, Vec<Flaw>> {
    let flaw = |reason| vec![Flaw::whole(reason)];
    let text = str::from_utf8(bytes).map_err(|_| flaw(Reason::NotUtf8))?;
    if !text.trim_ascii_start().starts_with('{') {
        return Err(flaw(Reason::NotAnObject));
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let cells = deserializer
        .deserialize_map(Cells(layout))
        .and_then(|cells| deserializer.end().map(|()| cells))
        .map_err(|error| {
            let line = line + error.line().saturating_sub(1) as u64;
            let column = error.column();
            flaw(Reason::NotJson { line, column })
        })?;
    row::row(layout, &cells)
}

/// The keys of a record. None: it is no object.
pub(in crate::transfer::read) fn keys(bytes: &[u8]) -> Option<Vec<String>> {
    let object: serde_json::Map<_, serde_json::Value> = serde_json::from_slice(bytes).ok()?;
    Some(object.into_iter().map(|(key, _)| key).collect())
}

/// The values of an object, in the places of the layout.
struct Cells<'l>(&'l Layout);

impl<'de> Visitor<'de> for Cells<'_> {
    type Value = Vec<Cell<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let mut cells = vec![Cell::Nothing; self.0.len()];
        while let Some(place) = object.next_key_seed(Key(|key: &str| self.0.place(key)))? {
            let Some(place) = place else {
                object.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = object.next_value_seed(Value)?;
            cells[place] = if cells[place].is_nothing() {
                value
            } else {
                Cell::Twice
            };
        }
        Ok(cells)
    }
}

/// A key, and what is known of it.
struct Key<F>(F);

impl<'de, T, F: FnOnce(&str) -> T> DeserializeSeed<'de> for Key<F> {
    type Value = T;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<T, F: FnOnce(&str) -> T> Visitor<'_> for Key<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<T, E> {
        Ok((self.0)(key))
    }
}

/// Any value.
struct Value;

impl<'de> DeserializeSeed<'de> for Value {
    type Value = Cell<'de>;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Cell<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value {
    type Value = Cell<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Cell::Nothing)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Cell::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Cell::Whole(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Cell::Whole(value.into()))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Cell::Fraction)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(text(Cow::Owned(value.to_owned())))
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<Self::Value, E> {
        Ok(text(Cow::Borrowed(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut numbers = Some(Vec::new());
        while let Some(value) = array.next_element_seed(Self)? {
            match (value, &mut numbers) {
                (Cell::Whole(number), Some(numbers)) => numbers.push(number),
                _ => numbers = None,
            }
        }
        Ok(Cell::List(numbers))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Self::Value, A::Error> {
        let (mut name, mut url) = (None, None);
        let known = |key: &str| (key == NAME, URLS.contains(&key));
        while let Some((is_name, is_url)) = object.next_key_seed(Key(known))? {
            if !is_name && !is_url {
                object.next_value::<IgnoredAny>()?;
            } else if let Cell::Text(text) = object.next_value_seed(Self)? {
                *(if is_name { &mut name } else { &mut url }) = Some(text);
            }
        }
        Ok(Cell::Object { name, url })
    }
}

fn text(text: Cow<'_, str>) -> Cell<'_> {
    if text.is_empty() {
        Cell::Nothing
    } else {
        Cell::Text(text)
    }
}
