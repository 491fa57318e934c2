//! A nix-cache-info from a stranger: what was understood prints to something that is understood the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use nars3_narinfo::CacheInfo;

fuzz_target!(|text: &str| {
    let mut info = CacheInfo::parse(text);
    for problem in info.problems.drain(..) {
        assert!(!problem.to_string().contains('\n'), "a message of one line: {problem}");
    }
    assert_eq!(CacheInfo::parse(&info.to_text()), info);
});
