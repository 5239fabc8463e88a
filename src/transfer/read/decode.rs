//! From the bytes of a file to its text: compression, byte order marks, UTF-16.

use std::{
    io::{self, BufReader, Cursor, Read},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_16BE, UTF_16LE};
use flate2::bufread::MultiGzDecoder;

use super::error::{Compression, FileError};

/// RFC 1952 §2.3.1.
const GZIP: &[u8] = &[0x1f, 0x8b];
/// RFC 8878 §3.1.1.
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
const UTF_8_MARK: &[u8] = &[0xef, 0xbb, 0xbf];
const UTF_16LE_MARK: &[u8] = &[0xff, 0xfe];
const UTF_16BE_MARK: &[u8] = &[0xfe, 0xff];

/// The window that RFC 8878 §3.1.1.1.2 asks of every decoder: 8 MiB, as much as `zstd -19` uses. More would be held in memory.
const MAX_WINDOW_LOG: u32 = 23;
const BUFFER: usize = 32 << 10;
/// No byte of UTF-8: stands for what is no UTF-16, so that the record with it is found to be broken.
const BROKEN: u8 = 0xff;

type Bytes = Box<dyn Read + Send>;

/// Reads a file as text: UTF-8 without a mark, as far as the file is right.
pub(super) struct Text {
    bytes: Bytes,
    compression: Option<Compression>,
    /// Whether what the file is read from has failed, and not what was in it.
    failed: Arc<AtomicBool>,
}

impl Text {
    pub(super) fn new(file: impl Read + Send + 'static) -> Result<Self, FileError> {
        let failed = Arc::new(AtomicBool::new(false));
        let file = Watched {
            file,
            failed: Arc::clone(&failed),
        };
        let mut text = Self {
            bytes: Box::new(file),
            compression: None,
            failed,
        };
        let start = text.peek(ZSTD.len())?;
        if start.starts_with(GZIP) {
            text.compression = Some(Compression::Gzip);
            text.wrap(|bytes| Ok(Box::new(MultiGzDecoder::new(BufReader::new(bytes)))))?;
        } else if start.starts_with(ZSTD) {
            text.compression = Some(Compression::Zstd);
            text.wrap(|bytes| {
                let mut decoder = zstd::Decoder::new(bytes)?;
                decoder.window_log_max(MAX_WINDOW_LOG)?;
                Ok(Box::new(decoder))
            })?;
        }
        let start = text.peek(UTF_8_MARK.len())?;
        if start == UTF_8_MARK {
            text.wrap(|bytes| skipped(bytes, UTF_8_MARK.len()))?;
        } else if start.starts_with(UTF_16LE_MARK) {
            text.wrap(|bytes| Ok(Box::new(Utf16::new(bytes, UTF_16LE))))?;
        } else if start.starts_with(UTF_16BE_MARK) {
            text.wrap(|bytes| Ok(Box::new(Utf16::new(bytes, UTF_16BE))))?;
        }
        Ok(text)
    }

    /// A text that is there already.
    pub(super) fn over(text: Vec<u8>) -> Self {
        Self {
            bytes: Box::new(Cursor::new(text)),
            compression: None,
            failed: Arc::default(),
        }
    }

    /// Reads some more. 0: there is no more. The place for it must have room for the longest character.
    pub(super) fn read(&mut self, into: &mut [u8], line: u64) -> Result<usize, FileError> {
        loop {
            match self.bytes.read(into) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(error, line)),
            }
        }
    }

    /// The first bytes: fewer if there are no more.
    fn peek(&mut self, count: usize) -> Result<Vec<u8>, FileError> {
        let mut start = vec![0; count];
        let mut there = 0;
        while there < count {
            let read = self.read(&mut start[there..], 1)?;
            if read == 0 {
                break;
            }
            there += read;
        }
        start.truncate(there);
        let again = Cursor::new(start.clone());
        self.wrap(|bytes| Ok(Box::new(again.chain(bytes))))?;
        Ok(start)
    }

    fn wrap(&mut self, wrap: impl FnOnce(Bytes) -> io::Result<Bytes>) -> Result<(), FileError> {
        let bytes = std::mem::replace(&mut self.bytes, Box::new(io::empty()));
        self.bytes = wrap(bytes).map_err(|error| self.error(error, 1))?;
        Ok(())
    }

    fn error(&self, source: io::Error, line: u64) -> FileError {
        match self.compression {
            Some(compression) if !self.failed.load(Ordering::Relaxed) => {
                if source.kind() == io::ErrorKind::UnexpectedEof {
                    FileError::CutCompression { line, compression }
                } else {
                    FileError::BrokenCompression {
                        line,
                        compression,
                        source,
                    }
                }
            }
            _ => FileError::Read { line, source },
        }
    }
}

fn skipped(mut bytes: Bytes, count: usize) -> io::Result<Bytes> {
    let mut mark = vec![0; count];
    bytes.read_exact(&mut mark)?;
    Ok(bytes)
}

/// A file that remembers whether it failed.
struct Watched<R> {
    file: R,
    failed: Arc<AtomicBool>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.file.read(into).inspect_err(|error| {
            if error.kind() != io::ErrorKind::Interrupted {
                self.failed.store(true, Ordering::Relaxed);
            }
        })
    }
}

/// Text in UTF-16, as UTF-8.
struct Utf16<R> {
    file: R,
    decoder: Decoder,
    buffer: Box<[u8]>,
    /// The part of the buffer that is still to be decoded.
    start: usize,
    end: usize,
    is_last: bool,
    is_over: bool,
}

impl<R: Read> Utf16<R> {
    fn new(file: R, encoding: &'static Encoding) -> Self {
        Self {
            file,
            decoder: encoding.new_decoder_with_bom_removal(),
            buffer: vec![0; BUFFER].into(),
            start: 0,
            end: 0,
            is_last: false,
            is_over: false,
        }
    }
}

impl<R: Read> Read for Utf16<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // One byte is kept for what is broken.
        let Some(room) = into.len().checked_sub(1) else {
            return Ok(0);
        };
        while !self.is_over {
            if self.start == self.end && !self.is_last {
                (self.start, self.end) = (0, self.file.read(&mut self.buffer)?);
                self.is_last = self.end == 0;
            }
            let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
                &self.buffer[self.start..self.end],
                &mut into[..room],
                self.is_last,
            );
            self.start += read;
            match result {
                DecoderResult::InputEmpty => {
                    self.is_over = self.is_last;
                    if written > 0 {
                        return Ok(written);
                    }
                }
                DecoderResult::OutputFull => return Ok(written),
                DecoderResult::Malformed(..) => {
                    into[written] = BROKEN;
                    return Ok(written + 1);
                }
            }
        }
        Ok(0)
    }
}
