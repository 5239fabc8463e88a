//! Finding the end of JSON values, however long they are.

use crate::transfer::read::{MAX_RECORD, error::FileError, input::Input};

/// Goes over JSON. What it has gone over it holds, up to the length of a record, or lets go of.
pub(super) struct Scan<'i> {
    input: &'i mut Input,
    /// The line at which it began.
    line: u64,
    /// How many of the bytes that are there were gone over.
    at: usize,
    holds: bool,
}

impl<'i> Scan<'i> {
    /// From here on, letting go.
    pub(super) const fn passing(input: &'i mut Input) -> Self {
        Self::new(input, false)
    }

    /// From here on, holding.
    pub(super) const fn holding(input: &'i mut Input) -> Self {
        Self::new(input, true)
    }

    const fn new(input: &'i mut Input, holds: bool) -> Self {
        let line = input.line();
        Self {
            input,
            line,
            at: 0,
            holds,
        }
    }

    /// The line at which it began.
    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// What was gone over. None: it is longer than a record may be.
    pub(super) fn held(&self) -> Option<&[u8]> {
        let is_all = self.holds && self.at <= MAX_RECORD;
        is_all.then(|| &self.input.bytes()[..self.at])
    }

    /// Lets go of all that was gone over.
    pub(super) fn pass(&mut self) {
        self.input.advance(self.at);
        self.at = 0;
    }

    /// That there is no JSON here.
    pub(super) fn broken(&mut self) -> FileError {
        self.pass();
        FileError::BrokenJson {
            line: self.input.line(),
        }
    }

    /// Goes over white space. None: the file is over.
    pub(super) fn next_byte(&mut self) -> Result<Option<u8>, FileError> {
        loop {
            let bytes = &self.input.bytes()[self.at..];
            let space = bytes.iter().take_while(|byte| SPACE.contains(byte)).count();
            let next = bytes.get(space).copied();
            self.at += space;
            if next.is_some() || !self.more()? {
                if !self.holds {
                    self.pass();
                }
                return Ok(next);
            }
        }
    }

    /// The same, where the file can't be over.
    pub(super) fn some_byte(&mut self) -> Result<u8, FileError> {
        self.next_byte()?.ok_or(FileError::CutJson { line: self.line })
    }

    /// Goes over one byte, which is there.
    pub(super) fn step(&mut self) {
        self.at += 1;
        if !self.holds {
            self.pass();
        }
    }

    /// Whether one of these begins here.
    pub(super) fn is_one_of(&mut self, texts: &[&[u8]]) -> Result<bool, FileError> {
        for text in texts {
            self.input.has(self.at + text.len())?;
            if self.input.bytes()[self.at..].starts_with(text) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Goes over the value that begins here.
    pub(super) fn value(&mut self) -> Result<(), FileError> {
        match self.some_byte()? {
            b'"' => self.string(),
            b'{' | b'[' => self.container(),
            _ => self.scalar(),
        }
    }

    fn string(&mut self) -> Result<(), FileError> {
        self.at += 1;
        loop {
            let bytes = &self.input.bytes()[self.at..];
            let Some(found) = memchr::memchr2(b'"', b'\\', bytes) else {
                self.at += bytes.len();
                self.some_more()?;
                continue;
            };
            let is_end = bytes[found] == b'"';
            self.at += found + 1;
            if is_end {
                return Ok(());
            }
            if self.at == self.input.bytes().len() {
                self.some_more()?;
            }
            // What the backslash stands before.
            self.at += 1;
        }
    }

    fn container(&mut self) -> Result<(), FileError> {
        let mut depth = 0_u64;
        loop {
            let bytes = &self.input.bytes()[self.at..];
            let Some(found) = bytes
                .iter()
                .position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'))
            else {
                self.at += bytes.len();
                self.some_more()?;
                continue;
            };
            let byte = bytes[found];
            self.at += found;
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'{' | b'[' => depth += 1,
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    /// A number, or a word.
    fn scalar(&mut self) -> Result<(), FileError> {
        let mut is_empty = true;
        loop {
            let bytes = &self.input.bytes()[self.at..];
            let length = bytes.iter().take_while(|byte| !ENDS.contains(byte)).count();
            let is_over = length < bytes.len();
            self.at += length;
            is_empty &= length == 0;
            if is_over || !self.more()? {
                return if is_empty { Err(self.broken()) } else { Ok(()) };
            }
        }
    }

    /// Reads on behind what was gone over, which is all that is there. False: there is no more.
    fn more(&mut self) -> Result<bool, FileError> {
        if !self.holds || self.at > MAX_RECORD {
            self.holds = false;
            self.pass();
        }
        self.input.more()
    }

    fn some_more(&mut self) -> Result<(), FileError> {
        if self.more()? {
            Ok(())
        } else {
            Err(FileError::CutJson { line: self.line })
        }
    }
}

const SPACE: &[u8] = b" \t\r\n";
const ENDS: &[u8] = b" \t\r\n,]}";
