//! What a nix-daemon could send, from a stranger at its socket: whatever arrives is a value or an error, a conversation
//! comes to an end, and what is understood is written as something that is understood the same.
//!
//! The first byte of an input chooses what is read, the second the version of the protocol.
#![no_main]

use std::fmt::Debug;
use std::io;

use libfuzzer_sys::fuzz_target;
use nars3_nix_store::WireError;
use nars3_nix_store::worker_protocol::build::{
    DerivedPath, Outputs, read_build_mode, read_build_result, read_derived_path, write_build_mode,
    write_build_result, write_derived_path,
};
use nars3_nix_store::worker_protocol::handshake::{Agreement, shake_hands};
use nars3_nix_store::worker_protocol::message::{Message, read_message};
use nars3_nix_store::worker_protocol::realisation::{
    read_build_trace_entry, read_build_trace_entry_of, read_build_trace_key, read_drv_output,
    read_realisation, read_realisations_of, write_build_trace_entry, write_build_trace_key, write_drv_output,
    write_realisation,
};
use nars3_nix_store::worker_protocol::value::{
    read_content_address, read_optional_path, read_path_info, read_paths, read_trusted,
    write_content_address, write_optional_path, write_path_info, write_paths,
};
use nars3_store_path::{BuildTraceKey, DrvOutput, StoreDir, StorePath};

/// The oldest version that is spoken, 1.21, and how many there are up to 1.38.
const OLDEST: u64 = 21;
const VERSIONS: u64 = 18;

fuzz_target!(|input: &[u8]| {
    let [kind, version, bytes @ ..] = input else { return };
    let minor = OLDEST + u64::from(*version) % VERSIONS;
    // Only there can both sides have a feature.
    let agreement = Agreement::of(minor, minor == 38 && version & 0x80 != 0);
    let dir = StoreDir::default();
    match kind % 12 {
        0 => conversation(bytes, minor),
        1 => handshake(bytes),
        2 => path_info(bytes, &dir, minor),
        3 => {
            comes_back(bytes, |from| read_paths(from, &dir), |to, paths| write_paths(to, &dir, paths.iter()));
        }
        4 => comes_back(
            bytes,
            |from| read_optional_path(from, &dir),
            |to, path| write_optional_path(to, &dir, path.as_ref()),
        ),
        5 => comes_back(
            bytes,
            |from| read_content_address(from),
            |to, ca| write_content_address(to, ca.as_ref()),
        ),
        6 => derived_path(bytes, &dir, minor),
        7 => comes_back(
            bytes,
            |from| read_build_result(from, &dir, &agreement),
            |to, result| write_build_result(to, &dir, &agreement, result),
        ),
        8 => comes_back(bytes, |from| read_realisation(from), |to, value| write_realisation(to, value)),
        9 => comes_back(
            bytes,
            |from| read_build_trace_entry(from, &dir),
            |to, entry| write_build_trace_entry(to, &dir, entry),
        ),
        10 => {
            comes_back(bytes, |from| read_drv_output(from), |to, id| write_drv_output(to, id));
            comes_back(
                bytes,
                |from| read_build_trace_key(from, &dir),
                |to, key| write_build_trace_key(to, &dir, key),
            );
            comes_back(bytes, |from| read_build_mode(from), |to, mode| write_build_mode(to, *mode));
            let _ = read_trusted(&mut &*bytes);
        }
        _ => answers(bytes, &dir, minor),
    }
});

/// What is read is written, and read again as the same.
fn comes_back<T: PartialEq + Debug>(
    mut bytes: &[u8],
    read: impl Fn(&mut &[u8]) -> Result<T, WireError>,
    write: impl FnOnce(&mut Vec<u8>, &T) -> io::Result<()>,
) {
    let Ok(value) = read(&mut bytes) else { return };
    let mut written = Vec::new();
    write(&mut written, &value).expect("what was understood can be said");
    let mut rest = written.as_slice();
    assert_eq!(read(&mut rest).expect("our own bytes are understood"), value);
    assert!(rest.is_empty(), "more was written than is read");
}

/// All that a daemon says before it answers. None of it may control the terminal that it is shown on.
fn conversation(mut bytes: &[u8], minor: u64) {
    loop {
        let before = bytes.len();
        let Ok(message) = read_message(&mut bytes, minor) else { return };
        assert!(bytes.len() < before, "a message of no bytes would never end");
        match message {
            Message::Log(text) | Message::StartActivity(text) => harmless(&text),
            Message::Error(error) => {
                harmless(&error.message);
                error.traces.iter().for_each(|trace| harmless(trace));
                return;
            }
            Message::Last => return,
            _ => {}
        }
    }
}

fn harmless(text: &str) {
    let controls = |letter: char| letter.is_control() && !matches!(letter, '\n' | '\t');
    assert!(!text.chars().any(controls), "{text:?}");
}

fn handshake(bytes: &[u8]) {
    let mut sent = Vec::new();
    if let Ok(agreement) = shake_hands(&mut &*bytes, &mut sent) {
        assert!((OLDEST..OLDEST + VERSIONS).contains(&agreement.minor));
        assert_eq!(agreement.daemon_version.is_some(), agreement.minor >= 33);
    }
    assert!(sent.len() < 256, "the greeting grows");
}

fn path_info(bytes: &[u8], dir: &StoreDir, minor: u64) {
    let path: StorePath = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo".parse().expect("well-formed");
    comes_back(
        bytes,
        |from| read_path_info(from, dir, minor, path.clone()),
        |to, info| write_path_info(to, dir, minor, info),
    );
}

fn derived_path(bytes: &[u8], dir: &StoreDir, minor: u64) {
    let read = |from: &mut &[u8]| read_derived_path(from, dir, minor);
    // To the old, all outputs of what is no derivation cannot be said.
    if let Ok(DerivedPath::Built { drv_path, outputs: Outputs::All }) = read(&mut &*bytes)
        && minor < 30
        && !drv_path.is_derivation()
    {
        return;
    }
    comes_back(bytes, read, |to, wanted| write_derived_path(to, dir, minor, wanted));
}

/// Answers to a question are about what was asked.
fn answers(bytes: &[u8], dir: &StoreDir, minor: u64) {
    let key =
        BuildTraceKey::new("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv".parse().expect("well-formed"), "out");
    let key = key.expect("a usual name");
    if let Ok(Some(entry)) = read_build_trace_entry_of(&mut &*bytes, dir, &key) {
        assert_eq!(entry.key, key);
    }
    let id: DrvOutput = format!("sha256:{}!out", "0".repeat(64)).parse().expect("well-formed");
    if let Ok(Some(realisation)) = read_realisations_of(&mut &*bytes, dir, minor, &id)
        && minor < 31
    {
        assert_eq!(realisation.id, id);
    }
}
