//! The command line tools of this machine read what is written here, and the other way round.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod common;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;

use common::{compress, decompress, sample, skip};
use nars3_compression::{Compression, EncoderOptions};

/// What a filter program makes of the input; `None` when the machine does not have it.
fn filter(program: &str, arguments: &[&str], input: &[u8]) -> Option<Vec<u8>> {
    let mut child =
        Command::new(program).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    let mut stdin = child.stdin.take().unwrap();
    let output = thread::scope(|scope| {
        scope.spawn(move || stdin.write_all(input).unwrap());
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{program} {arguments:?} failed");
    Some(output.stdout)
}

/// Both directions, with an empty input, a small one and one of several blocks.
fn both_ways(test: &str, method: &Compression, program: &str, write: &[&str], read: &[&str], threads: u32) {
    for length in [0, 1, 100_000, 3 << 20] {
        let data = sample(length);
        let options = EncoderOptions { level: Some(1), threads, ..EncoderOptions::default() };
        let Some(theirs) = filter(program, write, &data) else { return skip(test, program) };
        assert!(decompress(method, &theirs).unwrap() == data, "we read {program}'s {length} bytes");
        let ours = compress(method, &options, &data);
        assert!(filter(program, read, &ours).unwrap() == data, "{program} reads our {length} bytes");
    }
}

#[test]
fn xz() {
    both_ways("xz", &Compression::Xz, "xz", &["-c", "-1"], &["-dc"], 1);
}

#[test]
fn xz_in_parallel() {
    both_ways("xz_in_parallel", &Compression::Xz, "xz", &["-c", "-0", "-T2"], &["-dc", "-T2"], 2);
}

#[test]
fn lzma() {
    let (write, read) = (&["-c", "-1", "--format=lzma"], &["-dc", "--format=lzma"]);
    both_ways("lzma", &Compression::Lzma, "xz", write, read, 1);
}

#[test]
fn zstd() {
    both_ways("zstd", &Compression::Zstd, "zstd", &["-c", "-q"], &["-dc", "-q"], 1);
}

#[test]
fn zstd_with_the_longest_usual_window() {
    let data = sample(100_000);
    let arguments = ["-c", "-q", "--ultra", "-22"];
    let Some(theirs) = filter("zstd", &arguments, &data) else {
        return skip("zstd_with_the_longest_usual_window", "zstd");
    };
    assert!(decompress(&Compression::Zstd, &theirs).unwrap() == data);
}

#[test]
fn gzip() {
    both_ways("gzip", &Compression::Gzip, "gzip", &["-c"], &["-dc"], 1);
}

#[test]
fn bzip2() {
    both_ways("bzip2", &Compression::Bzip2, "bzip2", &["-c"], &["-dc"], 1);
}

#[test]
fn brotli() {
    both_ways("brotli", &Compression::Brotli, "brotli", &["-c"], &["-dc"], 1);
}

#[test]
fn lz4() {
    both_ways("lz4", &Compression::Lz4, "lz4", &["-c", "-q"], &["-dc", "-q"], 1);
}

#[test]
fn lz4_with_linked_blocks() {
    let data = sample(300_000);
    let arguments = ["-c", "-q", "-BD", "-B4", "--content-size"];
    let Some(theirs) = filter("lz4", &arguments, &data) else {
        return skip("lz4_with_linked_blocks", "lz4");
    };
    assert!(decompress(&Compression::Lz4, &theirs).unwrap() == data);
}

#[test]
fn lzip() {
    both_ways("lzip", &Compression::Lzip, "lzip", &["-c", "-1"], &["-dc"], 1);
}

#[test]
fn lzip_as_the_xz_tool_reads_it() {
    // xz has read lzip since 5.4.
    let data = sample(100_000);
    let ours = compress(&Compression::Lzip, &EncoderOptions::default(), &data);
    let Some(plain) = filter("xz", &["-dc", "--format=lzip"], &ours) else {
        return skip("lzip_as_the_xz_tool_reads_it", "xz");
    };
    assert!(plain == data);
}
