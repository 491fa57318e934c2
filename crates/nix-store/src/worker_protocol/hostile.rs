//! What a hostile or broken daemon could send: well-formed answers with bytes changed, cut and repeated. Nothing of it
//! may panic, hang or take memory that was not paid for with bytes.

use nars3_store_path::StoreDir;

use super::build::{read_build_result, read_derived_path};
use super::handshake::{Agreement, shake_hands};
use super::message::read_message;
use super::realisation::{read_build_trace_entry, read_realisation};
use super::value::{read_path, read_path_info, read_paths};
use super::wire::{write_list, write_number, write_string};

const PATH: &str = "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo";

/// A generator of numbers that are the same in each run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap_or(0) % limit.max(1)
    }
}

/// An answer of each kind that is read here.
fn answers() -> Vec<Vec<u8>> {
    let mut error = Vec::new();
    let mut activity = Vec::new();
    let mut info = Vec::new();
    let mut greeting = Vec::new();
    let mut entry = Vec::new();
    let mut realisation = Vec::new();
    let mut result = Vec::new();
    let mut write = || -> std::io::Result<()> {
        write_number(&mut error, 0x6378_7470)?;
        write_string(&mut error, "Error")?;
        write_number(&mut error, 0)?;
        write_string(&mut error, "Error")?;
        write_string(&mut error, "\u{1b}[31;1merror:\u{1b}[0m no")?;
        for number in [0, 1, 0] {
            write_number(&mut error, number)?;
        }
        write_string(&mut error, "while trying")?;

        for number in [0x5354_5254, 7, 3, 100] {
            write_number(&mut activity, number)?;
        }
        write_string(&mut activity, "copying")?;
        for number in [1, 0, 5, 0, 0x616c_7473] {
            write_number(&mut activity, number)?;
        }

        write_string(&mut info, "")?;
        write_string(&mut info, "00".repeat(32))?;
        write_list(&mut info, [PATH, PATH].into_iter(), write_string)?;
        for number in [1, 96, 0, 1] {
            write_number(&mut info, number)?;
        }
        write_string(&mut info, "key-1:AAAA")?;
        write_string(&mut info, "")?;

        write_number(&mut greeting, 0x6478_696f)?;
        write_number(&mut greeting, 0x126)?;
        write_list(&mut greeting, ["feature"].into_iter(), write_string)?;
        write_string(&mut greeting, "2.29.1")?;
        write_number(&mut greeting, 1)?;

        write_string(&mut entry, format!("{PATH}.drv"))?;
        write_string(&mut entry, "out")?;
        write_string(&mut entry, PATH)?;
        write_list(&mut entry, ["key-1:AAAA"].into_iter(), write_string)?;

        let id = format!("sha256:{}!out", "0".repeat(64));
        let json = format!(r#"{{"id":"{id}","outPath":"{}"}}"#, PATH.trim_start_matches("/nix/store/"));
        write_string(&mut realisation, &json)?;

        write_number(&mut result, 0)?;
        write_string(&mut result, "")?;
        for number in [1, 0, 30, 50, 1, 7, 0, 1] {
            write_number(&mut result, number)?;
        }
        write_string(&mut result, id)?;
        write_string(&mut result, json)
    };
    write().expect("into memory");
    vec![error, activity, info, greeting, entry, realisation, result]
}

/// Reads `bytes` as everything that they could be. How many of the readings succeed.
fn read_all_ways(bytes: &[u8]) -> usize {
    let store_dir = StoreDir::default();
    let path = PATH.trim_start_matches("/nix/store/").parse().expect("well-formed");
    let agreement = Agreement::of(37, false);
    let ways = [
        read_message(&mut &*bytes, 34).is_ok(),
        read_message(&mut &*bytes, 21).is_ok(),
        read_path_info(&mut &*bytes, &store_dir, 34, path).is_ok(),
        read_paths(&mut &*bytes, &store_dir).is_ok(),
        read_path(&mut &*bytes, &store_dir).is_ok(),
        shake_hands(&mut &*bytes, &mut Vec::new()).is_ok(),
        read_build_trace_entry(&mut &*bytes, &store_dir).is_ok(),
        read_realisation(&mut &*bytes).is_ok(),
        read_derived_path(&mut &*bytes, &store_dir, 38).is_ok(),
        read_build_result(&mut &*bytes, &store_dir, &agreement).is_ok(),
    ];
    ways.into_iter().filter(|succeeded| *succeeded).count()
}

#[test]
fn whatever_arrives_is_an_answer_or_an_error() {
    let answers = answers();
    for answer in &answers {
        assert!(read_all_ways(answer) > 0, "as it is, each makes sense");
    }
    let mut numbers = Numbers(1);
    let mut understood = 0;
    for round in 0..20_000 {
        let Some(answer) = answers.get(round % answers.len()) else { continue };
        let mut bytes = answer.clone();
        for _ in 0..=numbers.below(4) {
            let place = numbers.below(bytes.len());
            match numbers.below(4) {
                0 => bytes.truncate(place),
                1 => bytes.extend_from_within(place..),
                _ => {
                    let value = numbers.next().to_le_bytes()[0];
                    if let Some(byte) = bytes.get_mut(place) {
                        *byte = value;
                    }
                }
            }
        }
        understood += read_all_ways(&bytes);
    }
    assert!(understood > 0, "some changes do no harm");
}
