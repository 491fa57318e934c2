//! Conversations with daemons that are not installed here, and with hostile ones.

use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;

use nars3_store_api::NarStream;
use nars3_store_path::{Algorithm, Hash};

use nars3_store_api::StoreError;

use super::*;
use crate::verify::VerifyingReader;
use crate::worker_protocol::wire::read_bytes;

const DAEMON_MAGIC: u64 = 0x6478_696f;
const LAST: u64 = 0x616c_7473;
const READ: u64 = 0x6461_7461;

const ERROR: u64 = 0x6378_7470;
const FEATURE: &str = "realisation-with-path-not-hash";
const TAKING: Taking = Taking { repair: false, check_signatures: true };

fn open(stream: UnixStream) -> Connection {
    Connection::open(stream, StoreDir::default(), Wanted::default()).expect("agreed")
}

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
        numbers(&mut theirs, 1);
        if minor >= 38 {
            let offered: Vec<String> =
                read_list(&mut theirs, |from| read_string(from, "a feature")).expect("features");
            assert!(offered.iter().any(|name| name == FEATURE), "{offered:?}");
            write_list(&mut theirs, [FEATURE, "unheard-of"].into_iter(), write_string).expect("sent");
        }
        numbers(&mut theirs, 2);
        if minor >= 33 {
            write_string(&mut theirs, "2.99").expect("sent");
        }
        if minor >= 35 {
            write_number(&mut theirs, 2).expect("sent");
        }
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
    let mut connection = open(stream);
    assert_eq!(connection.agreement().minor, 21);
    let info = info(&nar);
    let reader = VerifyingReader::new(&"test", &StoreDir::default(), &info, stream_of(nar.clone()))
        .expect("consistent");
    let added = connection.add_to_store_nar(&info, reader, TAKING).expect("no error");
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
    let mut connection = open(stream);
    let info = info(b"right");
    let reader = VerifyingReader::new(&"test", &StoreDir::default(), &info, stream_of(b"wrong".to_vec()))
        .expect("consistent");
    let added = connection.add_to_store_nar(&info, reader, TAKING).expect("no error");
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
    let mut connection = open(stream);
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
    let mut connection = open(stream);
    let error = connection.all_valid_paths().expect_err("half an answer");
    assert!(matches!(error, DaemonError::Wire(WireError::Io(_))), "{error:?}");
    daemon.join().expect("no panic");
}

/// The bytes in the frames that come up to the end mark.
fn read_frames(stream: &mut UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match read_number(stream).expect("a frame") {
            0 => return bytes,
            length => {
                stream.take(length).read_to_end(&mut bytes).expect("its bytes");
            }
        }
    }
}

#[test]
fn many_paths_go_in_one_request() {
    let (stream, daemon) = daemon(32, |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::ADD_MULTIPLE_TO_STORE);
        let [repair, unchecked] = [0; 2].map(|_: u64| read_number(stream).expect("a number"));
        assert_eq!((repair, unchecked), (0, 0));
        let frames = read_frames(stream);
        write_number(stream, LAST).expect("sent");
        frames
    });
    let mut connection = open(stream);
    assert!(connection.takes_many());
    let large = vec![7; 200_000];
    let infos = [info(b"small"), info(&large)];
    let paths = [(&infos[0], b"small".as_slice()), (&infos[1], large.as_slice())];
    let sent = connection
        .add_multiple_to_store(&paths.map(|(info, _)| info), |place| Ok(paths[place].1.into()), TAKING)
        .expect("no error");
    assert!(matches!(sent, Outcome::Clean(Ok(()))), "{sent:?}");
    let bytes = daemon.join().expect("no panic");
    let mut from = bytes.as_slice();
    assert_eq!(read_number(&mut from).expect("a number"), 2);
    for (info, nar) in paths {
        let store_dir = StoreDir::default();
        let found = crate::worker_protocol::value::read_path(&mut from, &store_dir).expect("a path");
        let found = read_path_info(&mut from, &store_dir, 16, found).expect("a path info");
        assert_eq!((&found.path, found.nar_hash, found.nar_size), (&info.path, info.nar_hash, info.nar_size));
        assert_eq!(&from[..nar.len()], nar);
        from = &from[nar.len()..];
    }
    assert!(from.is_empty());
}

#[test]
fn a_refusal_in_the_midst_of_a_request_leaves_the_connection_as_it_was() {
    let (stream, daemon) = daemon(32, |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::ADD_MULTIPLE_TO_STORE);
        let [_repair, _unchecked] = [0; 2].map(|_: u64| read_number(stream).expect("a number"));
        write_number(stream, ERROR).expect("sent");
        for text in ["Error", "", "Error", "it lacks a signature"] {
            match text {
                "" => write_number(stream, 0).expect("sent"),
                text => write_string(stream, text).expect("sent"),
            }
        }
        for number in [0, 0] {
            write_number(stream, number).expect("sent");
        }
        read_frames(stream);
        assert_eq!(read_number(stream).expect("a number"), operation::QUERY_ALL_VALID_PATHS);
        write_number(stream, LAST).expect("sent");
        write_number(stream, 0).expect("sent");
    });
    let mut connection = open(stream);
    let large = vec![7; 4_000_000];
    let info = info(&large);
    let error = connection
        .add_multiple_to_store(&[&info], |_| Ok(large.as_slice().into()), TAKING)
        .expect_err("refused");
    assert!(matches!(&error, DaemonError::Remote(told) if told.message.contains("signature")), "{error:?}");
    assert!(connection.all_valid_paths().expect("an answer").is_empty());
    daemon.join().expect("no panic");
}

#[test]
fn features_are_what_both_sides_have() {
    let (stream, daemon) = daemon(38, |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::QUERY_REALISATION);
        let [path, name] = [0; 2].map(|_: u64| read_string(stream, "text").expect("a string"));
        write_number(stream, LAST).expect("sent");
        write_number(stream, 1).expect("sent");
        write_string(stream, path.trim_end_matches(".drv")).expect("sent");
        write_list(stream, ["key-1:AAAA"].into_iter(), write_string).expect("sent");
        name
    });
    let mut connection = open(stream);
    assert!(connection.agreement().features.realisation_with_path);
    assert!(!connection.agreement().features.disable_set_options);
    assert_eq!(connection.agreement().trusted, Some(false));
    let derivation = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed");
    let key = BuildTraceKey::new(derivation, "dev").expect("a name");
    let entry = connection.build_trace_entry(&key).expect("an answer").expect("known");
    assert_eq!((entry.out_path, entry.signatures.len()), (path(), 1));
    let id = format!("sha256:{}!out", "0".repeat(64)).parse().expect("well-formed");
    assert!(connection.realisation(&id).expect("not even asked").is_none());
    assert_eq!(daemon.join().expect("no panic"), "dev");
}

#[test]
fn nobody_waits_for_a_daemon_longer_than_he_wants_to() {
    let (told, tell) = std::sync::mpsc::channel::<()>();
    let (stream, daemon) = daemon(30, move |stream| {
        assert_eq!(read_number(stream).expect("a number"), operation::QUERY_ALL_VALID_PATHS);
        // Says nothing until the other side is gone.
        tell.recv().expect("told");
    });
    let mut connection = open(stream);
    let wanted = Wanted::default();
    connection.serve(&wanted);
    let guard = wanted.guard();
    let waiting = std::thread::spawn(move || connection.all_valid_paths());
    drop(guard);
    let error = waiting.join().expect("no panic").expect_err("given up");
    assert!(matches!(error, DaemonError::Wire(WireError::Io(_))), "{error:?}");
    told.send(()).expect("it waits");
    daemon.join().expect("no panic");
}

#[test]
fn a_nar_that_nobody_wants_any_more_is_not_sent_to_its_end() {
    let (stream, daemon) = daemon(30, |stream| {
        read_request(stream);
        let frames = read_frames(stream);
        write_number(stream, LAST).expect("sent");
        frames.len()
    });
    let mut connection = open(stream);
    let wanted = Wanted::default();
    wanted.give_up();
    connection.serve(&wanted);
    let nar = vec![7; 1 << 20];
    let info = info(&nar);
    let reader =
        VerifyingReader::new(&"test", &StoreDir::default(), &info, stream_of(nar)).expect("consistent");
    let added = connection.add_to_store_nar(&info, reader, TAKING).expect("the daemon has answered");
    assert!(matches!(added, Outcome::Clean(Ok(()))), "{added:?}");
    assert!(daemon.join().expect("no panic") < 1 << 20, "an honest daemon would refuse it");
}
