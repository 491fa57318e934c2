//! What a daemon says while it works on a request: any number of messages, then the end or an error.
//!
//! (Nix calls this stream "stderr", after what it once was.)

use std::io::Read;

use super::error::{RemoteError, WireError};
use super::wire::{read_bytes, read_list, read_number, read_string};

const NEXT: u64 = 0x6f6c_6d67;
const READ: u64 = 0x6461_7461;
const WRITE: u64 = 0x6461_7416;
const LAST: u64 = 0x616c_7473;
const ERROR: u64 = 0x6378_7470;
const START_ACTIVITY: u64 = 0x5354_5254;
const STOP_ACTIVITY: u64 = 0x5354_4f50;
const RESULT: u64 = 0x5253_4c54;

/// The minor version since which an error has a level and traces.
const STRUCTURED_ERRORS_SINCE: u64 = 26;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A line for the log.
    Log(String),
    /// Something that takes time begins; the text says what.
    StartActivity(String),
    /// It ended, or made progress: of no interest here.
    Activity,
    /// The daemon asks for up to so many bytes.
    Read(u64),
    /// The daemon sends bytes outside of a reply. No request of ours makes it do so.
    Write,
    /// The request was carried out; the reply follows.
    Last,
    /// The request failed.
    Error(RemoteError),
}

/// Reads one message of a daemon that speaks protocol 1.`minor`.
///
/// # Errors
///
/// When it is none of the protocol's, or not whole.
pub fn read_message(from: &mut impl Read, minor: u64) -> Result<Message, WireError> {
    match read_number(from)? {
        NEXT => Ok(Message::Log(text(&read_bytes(from, "a log line")?))),
        READ => Ok(Message::Read(read_number(from)?)),
        WRITE => read_bytes(from, "data").map(|_| Message::Write),
        LAST => Ok(Message::Last),
        ERROR => read_error(from, minor).map(Message::Error),
        START_ACTIVITY => {
            let [_id, _level, _kind] = [read_number(from)?, read_number(from)?, read_number(from)?];
            let what = text(&read_bytes(from, "an activity")?);
            skip_fields(from)?;
            let _parent = read_number(from)?;
            Ok(Message::StartActivity(what))
        }
        STOP_ACTIVITY => read_number(from).map(|_id| Message::Activity),
        RESULT => {
            let [_id, _kind] = [read_number(from)?, read_number(from)?];
            skip_fields(from)?;
            Ok(Message::Activity)
        }
        found => Err(WireError::BadNumber { what: "a message", expected: "one of the protocol's", found }),
    }
}

fn read_error(from: &mut impl Read, minor: u64) -> Result<RemoteError, WireError> {
    if minor < STRUCTURED_ERRORS_SINCE {
        let message = text(&read_bytes(from, "an error")?);
        let _exit_status = read_number(from)?;
        return Ok(RemoteError { message, level: 0, traces: Vec::new() });
    }
    let _type = read_string(from, "the type of an error")?;
    let level = read_number(from)?;
    let _name = read_bytes(from, "the name of an error")?;
    let message = text(&read_bytes(from, "an error")?);
    read_no_position(from)?;
    let traces = read_list(from, |from| {
        read_no_position(from)?;
        Ok(text(&read_bytes(from, "the trace of an error")?))
    })?;
    Ok(RemoteError { message, level, traces })
}

/// Every Nix writes that there is no position.
fn read_no_position(from: &mut impl Read) -> Result<(), WireError> {
    match read_number(from)? {
        0 => Ok(()),
        found => Err(WireError::BadNumber { what: "the position of an error", expected: "0", found }),
    }
}

fn skip_fields(from: &mut impl Read) -> Result<(), WireError> {
    for _ in 0..read_number(from)? {
        match read_number(from)? {
            0 => drop(read_number(from)?),
            1 => drop(read_bytes(from, "a field of an activity")?),
            found => {
                return Err(WireError::BadNumber { what: "the type of a field", expected: "0 or 1", found });
            }
        }
    }
    Ok(())
}

/// The bytes as text that cannot control a terminal: without escape sequences, the rest as it is.
fn text(bytes: &[u8]) -> String {
    let mut text = String::new();
    let decoded = String::from_utf8_lossy(bytes);
    let mut characters = decoded.trim_end().chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                // `ESC [ … letter`, or `ESC` and one character.
                if characters.next() == Some('[') {
                    characters.by_ref().find(char::is_ascii_alphabetic);
                }
            }
            '\n' | '\t' => text.push(character),
            control if control.is_control() => {}
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker_protocol::wire::{write_number, write_string};

    #[test]
    fn an_error_of_either_age_is_understood() {
        let mut old = Vec::new();
        write_number(&mut old, ERROR).expect("into memory");
        write_string(&mut old, "\u{1b}[31;1merror:\u{1b}[0m no\n").expect("into memory");
        write_number(&mut old, 1).expect("into memory");
        let expected = RemoteError { message: "error: no".to_owned(), level: 0, traces: Vec::new() };
        assert_eq!(read_message(&mut old.as_slice(), 21).expect("well-formed"), Message::Error(expected));

        let mut new = Vec::new();
        write_number(&mut new, ERROR).expect("into memory");
        write_string(&mut new, "Error").expect("into memory");
        write_number(&mut new, 0).expect("into memory");
        write_string(&mut new, "Error").expect("into memory");
        write_string(&mut new, "no").expect("into memory");
        for number in [0, 1, 0] {
            write_number(&mut new, number).expect("into memory");
        }
        write_string(&mut new, "while trying").expect("into memory");
        let expected =
            RemoteError { message: "no".to_owned(), level: 0, traces: vec!["while trying".to_owned()] };
        assert_eq!(read_message(&mut new.as_slice(), 34).expect("well-formed"), Message::Error(expected));
    }

    #[test]
    fn activities_are_read_to_their_end() {
        let mut bytes = Vec::new();
        for number in [START_ACTIVITY, 7, 3, 100] {
            write_number(&mut bytes, number).expect("into memory");
        }
        write_string(&mut bytes, "copying").expect("into memory");
        for number in [2, 0, 5, 1] {
            write_number(&mut bytes, number).expect("into memory");
        }
        write_string(&mut bytes, "field").expect("into memory");
        for number in [0, RESULT, 7, 105, 0, STOP_ACTIVITY, 7, LAST] {
            write_number(&mut bytes, number).expect("into memory");
        }
        let mut from = bytes.as_slice();
        let expected = [
            Message::StartActivity("copying".to_owned()),
            Message::Activity,
            Message::Activity,
            Message::Last,
        ];
        for message in expected {
            assert_eq!(read_message(&mut from, 34).expect("well-formed"), message);
        }
        assert!(from.is_empty());
    }

    #[test]
    fn an_unknown_message_is_an_error() {
        let bytes = 0xdead_u64.to_le_bytes();
        assert!(matches!(
            read_message(&mut bytes.as_slice(), 34),
            Err(WireError::BadNumber { found: 0xdead, .. })
        ));
    }
}
