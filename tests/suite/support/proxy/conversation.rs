//! PostgreSQL's messages on one connection, as far as it must be known which statement runs and what is answered.
//!
//! <https://www.postgresql.org/docs/15/protocol-message-formats.html>

use std::collections::HashMap;

/// What both sides have said so far.
#[derive(Default)]
pub(super) struct Conversation {
    phase: Phase,
    /// Asked whether it speaks TLS, the server answers with one byte and no message.
    bare_answer: bool,
    /// Prepared statements by their names, and what portals run by theirs.
    statements: HashMap<Vec<u8>, String>,
    portals: HashMap<Vec<u8>, String>,
    /// How many times the client has asked for a `ReadyForQuery`, and the server has sent one.
    asked: u64,
    answered: u64,
    /// The client is to hear no more.
    pub(super) withheld: bool,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Phase {
    /// The client's messages have no type.
    #[default]
    Startup,
    Messages,
    /// TLS, or the cancelling of a query: passed on unread.
    Opaque,
}

/// One message of the client.
pub(super) struct Message {
    /// In bytes.
    pub(super) length: usize,
    /// The text of the statement that it runs.
    pub(super) runs: Option<String>,
    /// The server says when it is done with it and everything before.
    pub(super) asks: bool,
}

impl Conversation {
    /// The first message of what the client sends, or `None` if it has not come whole.
    pub(super) fn hear_client(&mut self, bytes: &[u8]) -> Option<Message> {
        let message = match self.phase {
            // A TLS handshake.
            Phase::Startup if bytes.first() == Some(&0x16) => {
                self.phase = Phase::Opaque;
                return self.hear_client(bytes);
            }
            Phase::Startup => self.startup(bytes)?,
            Phase::Messages => self.message(bytes)?,
            Phase::Opaque => {
                let length = (!bytes.is_empty()).then_some(bytes.len())?;
                Message {
                    length,
                    runs: None,
                    asks: false,
                }
            }
        };
        self.asked += u64::from(message.asks);
        Some(message)
    }

    /// How many bytes the first message of the server has, or `None` if it has not come whole.
    pub(super) fn hear_server(&mut self, bytes: &[u8]) -> Option<usize> {
        let kind = bytes.first()?;
        if self.bare_answer {
            self.bare_answer = false;
            return Some(1);
        }
        if self.phase == Phase::Opaque {
            return Some(bytes.len());
        }
        let length = 1 + length(bytes.get(1..)?)?;
        bytes.get(..length)?;
        self.answered += u64::from(*kind == b'Z');
        Some(length)
    }

    /// The server has answered everything.
    pub(super) fn all_answered(&self) -> bool {
        self.answered == self.asked
    }

    fn startup(&mut self, bytes: &[u8]) -> Option<Message> {
        let length = length(bytes)?;
        let code = bytes.get(..length)?.get(4..8)?;
        let code = u32::from_be_bytes(code.try_into().ok()?);
        let asks = match code {
            // SSLRequest, GSSENCRequest
            80_877_103 | 80_877_104 => {
                self.bare_answer = true;
                false
            }
            80_877_102 => {
                self.phase = Phase::Opaque;
                false
            }
            _version => {
                self.phase = Phase::Messages;
                true
            }
        };
        Some(Message {
            length,
            runs: None,
            asks,
        })
    }

    fn message(&mut self, bytes: &[u8]) -> Option<Message> {
        let length = 1 + length(bytes.get(1..)?)?;
        let body = bytes.get(5..length)?;
        let mut texts = body.split(|byte| *byte == 0);
        let mut text = || texts.next().unwrap_or_default().to_vec();
        let mut runs = None;
        match bytes[0] {
            b'Q' => runs = Some(text()),
            b'P' => {
                let name = text();
                self.statements.insert(name, String::from_utf8(text()).ok()?);
            }
            b'B' => {
                let portal = text();
                if let Some(statement) = self.statements.get(&text()) {
                    self.portals.insert(portal, statement.clone());
                }
            }
            b'E' => runs = self.portals.get(&text()).map(|sql| sql.clone().into_bytes()),
            _other => {}
        }
        let runs = runs.and_then(|sql| String::from_utf8(sql).ok());
        // Query, Sync, FunctionCall
        let asks = matches!(bytes[0], b'Q' | b'S' | b'F');
        Some(Message { length, runs, asks })
    }
}

/// What a message says of its length, which counts these four bytes and not its type.
fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?);
    length.try_into().ok()
}
