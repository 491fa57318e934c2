//! Conversations with daemons that are not installed here, and with hostile ones.

use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use nars3_store_api::NarStream;
use nars3_store_path::{Algorithm, Hash};

use super::super::wire::read_bytes;
use super::*;

const DAEMON_MAGIC: u64 = 0x6478_696f;
const LAST: u64 = 0x616c_7473;
const READ: u64 = 0x6461_7461;

fn path() -> StorePath {
    "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo".parse().expect("well-formed")
}

fn info(nar: &[u8]) -> PathInfo {
    PathInfo::new(path(), Hash::digest(Algorithm::Sha256, nar), nar.len() as u64)
}

/// A daemon that speaks 1.`minor`, up to where `rest` takes over.
fn daemon<T: Send + 'static>(
    minor: u64,
    rest: impl FnOnce(&mut UnixStream) -> T + Send + 'static,
) -> (UnixStream, JoinHandle<T>) {
    let (ours, mut theirs) = UnixStream::pair().expect("a pair");
    let daemon = std::thread::spawn(move || {
        let numbers = |stream: &mut UnixStream, count: usize| -> Vec<u64> {
            (0..count).map(|_| read_number(stream).expect("a number")).collect()
        };
        assert_eq!(numbers(&mut theirs, 1), [0x6e69_7863]);
        write_number(&mut theirs, DAEMON_MAGIC).expect("sent");
        write_number(&mut theirs, 0x100 | minor).expect("sent");
        // Our version, and two obsolete numbers.
        numbers(&mut theirs, 3);
        write_number(&mut theirs, LAST).expect("sent");
        // The options.
        assert_eq!(numbers(&mut theirs, 14).first(), Some(&operation::SET_OPTIONS));
        write_number(&mut theirs, LAST).expect("sent");
        rest(&mut theirs)
    });
    (ours, daemon)
}

/// Reads the request of a path of `info`, without references.
fn read_request(stream: &mut UnixStream) {
    assert_eq!(read_number(stream).expect("a number"), operation::ADD_TO_STORE_NAR);
    for _path_deriver_hash in 0..3 {
        read_bytes(stream, "string").expect("a string");
    }
    let [_references, _time, _size, _ultimate, _signatures] =
        [0; 5].map(|_: u64| read_number(stream).expect("a number"));
    read_bytes(stream, "content address").expect("a string");
    let [_repair, _unchecked] = [0; 2].map(|_: u64| read_number(stream).expect("a number"));
}

fn stream_of(nar: Vec<u8>) -> NarStream {
    let (mut sender, stream) = NarStream::channel();
    std::thread::spawn(move || {
        sender.blocking_send(nar.into()).expect("received");
        sender.into_writer().finish();
    });
    stream
}

#[test]
fn a_daemon_of_nix_2_3_asks_for_the_nar_bit_by_bit() {
    let nar: Vec<u8> = (0..200_u8).collect();
    let (stream, daemon) = daemon(21, |stream| {
        read_request(stream);
        let mut received = Vec::new();
        while received.len() < 200 {
            write_number(stream, READ).expect("sent");
            write_number(stream, 64).expect("sent");
            let part = read_bytes(stream, "part").expect("a string");
            assert!(!part.is_empty() && part.len() <= 64, "{}", part.len());
            received.extend(part);
        }
        write_number(stream, LAST).expect("sent");
        received
    });
    let mut connection = Connection::open(stream, StoreDir::default()).expect("agreed");
    assert_eq!(connection.agreement().minor, 21);
    let info = info(&nar);
    let mut reader = VerifyingReader::new(&"test", &StoreDir::default(), &info, stream_of(nar.clone()))
        .expect("consistent");
    let added = connection.add_to_store_nar(&info, &mut reader, false, true).expect("no error");
    assert!(matches!(added, Outcome::Clean(Ok(()))), "{added:?}");
    assert_eq!(daemon.join().expect("no panic"), nar);
}

#[test]
fn a_wrong_nar_is_an_error_whatever_the_daemon_says() {
    let (stream, daemon) = daemon(30, |stream| {
        read_request(stream);
        loop {
            let frame = read_number(stream).expect("a frame");
            if frame == 0 {
                break;
            }
            stream.take(frame).read_to_end(&mut Vec::new()).expect("its bytes");
        }
        // This daemon believes everything.
        write_number(stream, LAST).expect("sent");
    });
    let mut connection = Connection::open(stream, StoreDir::default()).expect("agreed");
    let info = info(b"right");
    let mut reader = VerifyingReader::new(&"test", &StoreDir::default(), &info, stream_of(b"wrong".to_vec()))
        .expect("consistent");
    let added = connection.add_to_store_nar(&info, &mut reader, false, true).expect("no error");
    assert!(matches!(added, Outcome::Clean(Err(StoreError::NarHashMismatch { .. }))), "{added:?}");
    daemon.join().expect("no panic");
}

#[test]
fn a_daemon_that_asks_for_what_was_not_offered_is_left() {
    let (stream, daemon) = daemon(30, |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::QUERY_ALL_VALID_PATHS);
        write_number(stream, READ).expect("sent");
        write_number(stream, 64).expect("sent");
    });
    let mut connection = Connection::open(stream, StoreDir::default()).expect("agreed");
    let error = connection.all_valid_paths().expect_err("it makes no sense");
    assert!(matches!(error, DaemonError::Wire(WireError::UnexpectedRead)), "{error:?}");
    daemon.join().expect("no panic");
}

#[test]
fn a_daemon_that_dies_is_an_error() {
    let (stream, daemon) = daemon(30, |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::QUERY_ALL_VALID_PATHS);
        write_number(stream, LAST).expect("sent");
        write_number(stream, u64::MAX).expect("sent");
    });
    let mut connection = Connection::open(stream, StoreDir::default()).expect("agreed");
    let error = connection.all_valid_paths().expect_err("half an answer");
    assert!(matches!(error, DaemonError::Wire(WireError::Io(_))), "{error:?}");
    daemon.join().expect("no panic");
}
