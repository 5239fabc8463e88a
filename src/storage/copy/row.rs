//! Rows on their way, and what they add up to.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// A value of a column. An empty one still has a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::storage) enum Value {
    Uuid(Option<Uuid>),
    Text(Option<String>),
    Integer(Option<i64>),
    Bool(Option<bool>),
    Bytes(Option<Vec<u8>>),
}

/// Values in the order of a table's columns, or those of its key.
pub(in crate::storage) type Row = Vec<Value>;

/// How many rows a table has, and their SHA-256 in the order of the key. The same on every engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sum {
    /// Rows.
    pub rows: u64,
    /// In lower-case hexadecimal.
    pub sha256: String,
}

/// Takes rows and makes their [`Sum`].
#[derive(Default)]
pub(super) struct Summing {
    rows: u64,
    hash: Sha256,
}

impl Summing {
    pub(super) fn add(&mut self, row: &[Value]) {
        self.rows += 1;
        for value in row {
            match value {
                Value::Uuid(id) => self.value(id.as_ref().map(|id| &id.as_bytes()[..])),
                Value::Text(text) => self.value(text.as_deref().map(str::as_bytes)),
                Value::Integer(number) => self.fixed(number.map(i64::to_be_bytes)),
                Value::Bool(is) => self.fixed(is.map(|is| [u8::from(is)])),
                Value::Bytes(bytes) => self.value(bytes.as_deref()),
            }
        }
    }

    fn fixed<const N: usize>(&mut self, bytes: Option<[u8; N]>) {
        self.value(bytes.as_ref().map(|bytes| &bytes[..]));
    }

    /// No bytes: 0. Else 1, how many there are, and these. So no two rows are written alike.
    fn value(&mut self, bytes: Option<&[u8]>) {
        let Some(bytes) = bytes else {
            return self.hash.update([0]);
        };
        self.hash.update([1]);
        self.hash.update((bytes.len() as u64).to_be_bytes());
        self.hash.update(bytes);
    }

    pub(super) fn end(self) -> Sum {
        Sum {
            rows: self.rows,
            sha256: self.hash.finalize().iter().fold(String::new(), |mut text, byte| {
                // Writing to a text can't fail.
                let _ = write!(text, "{byte:02x}");
                text
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(rows: &[Row]) -> String {
        let mut summing = Summing::default();
        for row in rows {
            summing.add(row);
        }
        summing.end().sha256
    }

    #[test]
    fn rows_that_differ_in_anything_have_another_sum() {
        let text = |text: &str| Value::Text(Some(text.to_owned()));
        let rows: [&[Row]; 9] = [
            &[],
            &[vec![Value::Text(None), text("a")]],
            &[vec![text("a"), Value::Text(None)]],
            &[vec![text(""), text("a")]],
            &[vec![text("a"), text("")]],
            &[vec![text("ab"), text("c")]],
            &[vec![text("a"), text("bc")]],
            &[vec![Value::Integer(Some(1)), Value::Bool(Some(true))]],
            &[vec![Value::Integer(Some(1)), Value::Bool(Some(false))]],
        ];
        for (index, one) in rows.iter().enumerate() {
            for other in &rows[index + 1..] {
                assert_ne!(sum(one), sum(other));
            }
        }
        // By `printf '\001\000\000\000\000\000\000\000\001a' | sha256sum`.
        assert_eq!(
            sum(&[vec![text("a")]]),
            "b98e9326c737b541ce3b0951f4bb8b748b787ac9c6aad8798c07720aa373b6f6"
        );
    }
}
