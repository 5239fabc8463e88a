//! The text of a file, a piece of it at a time, and the line at which reading is.

use super::{decode::Text, error::FileError};

/// What is read at least at once, if there is so much.
const PIECE: usize = 64 << 10;

/// What was read of a file and is not done with yet.
pub(super) struct Input {
    text: Text,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    line: u64,
    /// Whether what was done with last is a carriage return, which a line feed belongs to.
    after_return: bool,
}

impl Input {
    pub(super) fn new(text: Text) -> Self {
        Self {
            text,
            buffer: vec![0; 2 * PIECE],
            start: 0,
            end: 0,
            line: 1,
            after_return: false,
        }
    }

    /// A text that is there already.
    pub(super) fn over(text: Vec<u8>) -> Self {
        Self::new(Text::over(text))
    }

    /// What is there.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The line of the first byte that is there, from 1. It ends with a line feed, a carriage return, or both.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Reads on behind what is there. False: there is no more.
    pub(super) fn more(&mut self) -> Result<bool, FileError> {
        if self.buffer.len() - self.end < PIECE {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
            if self.buffer.len() - self.end < PIECE {
                self.buffer.resize(2 * self.buffer.len(), 0);
            }
        }
        let read = self.text.read(&mut self.buffer[self.end..], self.line)?;
        self.end += read;
        Ok(read > 0)
    }

    /// Reads until there are so many bytes. False: there are fewer.
    pub(super) fn has(&mut self, count: usize) -> Result<bool, FileError> {
        while self.end - self.start < count {
            if !self.more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What is there, read on if that is nothing. Empty: the file is over.
    pub(super) fn some(&mut self) -> Result<&[u8], FileError> {
        self.has(1)?;
        Ok(self.bytes())
    }

    /// Goes on behind the first of the bytes that are there.
    pub(super) fn advance(&mut self, count: usize) {
        let done = &self.buffer[self.start..self.start + count];
        let Some(&last) = done.last() else {
            return;
        };
        let ends = memchr::memchr2_iter(b'\n', b'\r', done).filter(|&at| {
            let after_return = at
                .checked_sub(1)
                .map_or(self.after_return, |before| done[before] == b'\r');
            done[at] == b'\r' || !after_return
        });
        self.line += ends.count() as u64;
        self.after_return = last == b'\r';
        self.start += count;
    }

    /// How much memory it has for what is there.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.buffer.len()
    }
}
