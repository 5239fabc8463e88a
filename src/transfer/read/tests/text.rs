//! How a file is compressed and encoded.

use std::io::{self, Read, Write as _};

use flate2::{Compression as Level, write::GzEncoder};

use super::*;

const FILE: &str = "email,name\na@b,Zoë\nc@d,😀\n";

fn gzip(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Level::fast());
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(bytes.as_ref()).unwrap();
    encoder.finish().unwrap()
}

fn utf_16(text: &str, bytes: impl Fn(u16) -> [u8; 2]) -> Vec<u8> {
    let marked = std::iter::once(0xfeff).chain(text.encode_utf16());
    marked.flat_map(bytes).collect()
}

#[test]
fn a_file_reads_the_same_in_every_encoding_and_compression() {
    let plain = rows(FILE);
    assert_eq!(plain.len(), 2);
    for text in [
        format!("\u{feff}{FILE}").into_bytes(),
        utf_16(FILE, u16::to_le_bytes),
        utf_16(FILE, u16::to_be_bytes),
        FILE.replace('\n', "\r\n").into_bytes(),
    ] {
        assert_eq!(rows(&text), plain);
        assert_eq!(rows(gzip(&text)), plain);
        assert_eq!(rows(zstd(&text)), plain);
    }
}

#[test]
fn parts_that_were_compressed_apart_are_one_file() {
    let (start, end) = FILE.split_at(20);
    assert_eq!(rows([gzip(start), gzip(end)].concat()), rows(FILE));
    // A frame that is to be skipped between them: RFC 8878 §3.1.2.
    let skipped = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    assert_eq!(rows([zstd(start), skipped, zstd(end)].concat()), rows(FILE));
}

#[test]
fn a_compressed_file_that_is_cut_off_says_so() {
    let addresses: Vec<_> = (0..20_000).map(|n| format!("{n}@{}", n * 7919 % 9973)).collect();
    let file = format!("email\n{}\n", addresses.join("\n"));
    for compressed in [gzip(&file), zstd(&file)] {
        for end in [5, 20, compressed.len() / 2, compressed.len() - 1] {
            let said = error(&compressed[..end]);
            assert!(said.ends_with("file is cut off here"), "{said} at {end}");
        }
        // What came before is read.
        let mut reader = open(&compressed[..compressed.len() - 1]);
        let good = reader.by_ref().take_while(Result::is_ok).count();
        assert!(good > 1000, "{good}");
    }
}

#[test]
fn a_compressed_file_that_is_broken_says_so() {
    for mut compressed in [gzip(FILE), zstd(FILE)] {
        let sum = compressed.len() - 6;
        compressed[sum..].fill(0x55);
        let error = match reader(&compressed, ReadOptions::default()) {
            Ok(mut reader) => reader.find_map(Result::err).unwrap(),
            Err(error) => error,
        };
        assert!(
            matches!(
                error,
                FileError::BrokenCompression { .. } | FileError::CutCompression { .. }
            ),
            "{error:?}"
        );
    }
    assert!(error([&gzip(FILE)[..], b"garbage, and not only a little of it"].concat()).contains("broken"));
}

#[test]
fn a_window_that_takes_too_much_memory_is_refused() {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(FILE.as_bytes()).unwrap();
    assert!(error(encoder.finish().unwrap()).contains("broken"));
}

#[test]
fn what_is_no_utf_16_is_told_with_its_column() {
    let file = utf_16("email,name\na@b,X\nc@d,C\n", u16::to_le_bytes);
    let at = file.iter().position(|byte| *byte == b'X').unwrap();
    // Half of a pair.
    let broken = [&file[..at], &[0x00, 0xd8], &file[at + 2..]].concat();
    assert_eq!(told(broken), ["2: name: is not UTF-8", "3: c@d"]);
    // Half of a unit.
    let cut = &file[..file.len() - 3];
    assert_eq!(told(cut), ["2: a@b", "3: name: is not UTF-8"]);
}

#[test]
fn what_a_file_is_read_from_may_fail() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::UnexpectedEof))
        }
    }
    for file in [
        FILE.as_bytes().to_vec(),
        gzip(FILE.repeat(9))[..40].to_vec(),
        zstd(FILE)[..12].to_vec(),
    ] {
        let error = match Reader::new(Cursor::new(file).chain(Fails), ReadOptions::default()) {
            Ok(mut reader) => reader.find_map(Result::err).unwrap(),
            Err(error) => error,
        };
        assert!(matches!(error, FileError::Read { .. }), "{error:?}");
    }
}

#[test]
fn a_file_may_come_a_byte_at_a_time() {
    struct Slow(Cursor<Vec<u8>>, bool);
    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let length = into.len().min(1);
            self.0.read(&mut into[..length])
        }
    }
    let json = "[{\"email\":\"a@b\",\"name\":\"Zo\\u00eb\"}\n,\r\n {\"email\":\"c@d\"} ]";
    for file in [
        FILE.as_bytes().to_vec(),
        utf_16(FILE, u16::to_le_bytes),
        gzip(FILE),
        json.as_bytes().to_vec(),
    ] {
        let slow = Reader::new(Slow(Cursor::new(file.clone()), false), ReadOptions::default()).unwrap();
        assert_eq!(slow.map(Result::unwrap).collect::<Vec<_>>(), records(file));
    }
}
