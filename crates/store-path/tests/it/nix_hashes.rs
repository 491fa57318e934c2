//! Hashes against a real Nix: conversions between all forms, and which texts are no hash.

use nars3_store_path::{Algorithm, Hash, HashFormat};
use proptest::prelude::*;

use crate::support::{Nix, random};

/// Nix 2.8 has no BLAKE3.
const ALGORITHMS: [Algorithm; 4] = [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];

fn hashes(algorithm: Algorithm) -> impl Strategy<Value = Vec<Hash>> {
    prop::collection::vec(any::<[u8; 64]>(), 200).prop_map(move |digests| {
        digests.iter().map(|digest| Hash::new(algorithm, &digest[..algorithm.size()]).unwrap()).collect()
    })
}

#[test]
fn random_hashes_convert_as_with_nix_hash() {
    let Some(nix) = Nix::new("random hashes convert as with nix-hash") else { return };
    for algorithm in ALGORITHMS {
        let hashes = random(hashes(algorithm));
        for from in [HashFormat::Base16, HashFormat::Nix32] {
            for (option, to) in [("--to-base16", HashFormat::Base16), ("--to-base32", HashFormat::Nix32)] {
                let mut args = vec!["--type".to_owned(), algorithm.to_string(), option.to_owned()];
                args.extend(hashes.iter().map(|hash| hash.print(from, false)));
                let printed = nix.run("nix-hash", &args);
                let ours: Vec<_> = hashes.iter().map(|hash| hash.print(to, false)).collect();
                assert_eq!(printed.lines().collect::<Vec<_>>(), ours);
                for (line, hash) in printed.lines().zip(&hashes) {
                    assert_eq!(Hash::parse_digest(algorithm, line), Ok(*hash));
                }
            }
        }
    }
}

#[test]
fn random_hashes_convert_as_with_nix_hash_to() {
    let Some(nix) = Nix::new("random hashes convert as with nix hash to-*") else { return };
    for algorithm in ALGORITHMS {
        let hashes = random(hashes(algorithm));
        for (command, to) in [
            ("to-base16", HashFormat::Base16),
            ("to-base32", HashFormat::Nix32),
            ("to-base64", HashFormat::Base64),
            ("to-sri", HashFormat::Sri),
        ] {
            let mut args =
                vec!["hash".to_owned(), command.to_owned(), "--type".to_owned(), algorithm.to_string()];
            // Every form in turn, with and without prefix.
            for (i, hash) in hashes.iter().enumerate() {
                args.push(hash.print(HashFormat::ALL[i % 4], i % 8 < 4));
            }
            let printed = nix.run("nix", &args);
            let ours: Vec<_> = hashes.iter().map(|hash| hash.print(to, false)).collect();
            assert_eq!(printed.lines().collect::<Vec<_>>(), ours);
        }
    }
}

/// Nix hashes a file as we hash its bytes.
#[test]
fn random_bytes_hash_as_with_nix_hash() {
    let Some(nix) = Nix::new("random bytes hash as with nix-hash") else { return };
    for algorithm in ALGORITHMS {
        let contents = random(prop::collection::vec(prop::collection::vec(any::<u8>(), 0..3000), 20));
        let mut args =
            vec!["--flat".to_owned(), "--base32".to_owned(), "--type".to_owned(), algorithm.to_string()];
        for (i, bytes) in contents.iter().enumerate() {
            std::fs::write(nix.path(&format!("f{i}")), bytes).unwrap();
            args.push(format!("f{i}"));
        }
        let ours: Vec<_> =
            contents.iter().map(|bytes| Hash::digest(algorithm, bytes).nix32_digest()).collect();
        assert_eq!(nix.run("nix-hash", &args).lines().collect::<Vec<_>>(), ours);
    }
}

#[test]
fn texts_that_are_no_hash_are_refused_by_both() {
    let Some(nix) = Nix::new("texts that are no hash are refused by both") else { return };
    let nix32 = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    let base64 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";
    let base16 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let cases = [
        String::new(),
        "sha256:".to_owned(),
        "sha256-".to_owned(),
        format!("sha256:{nix32}"),
        format!("sha256:{}", nix32.to_uppercase()),
        format!("sha256:{base16}"),
        format!("sha256:{}", base16.to_uppercase()),
        format!("sha256:{}g", &base16[1..]),
        format!("sha256:{base64}="),
        format!("sha256:{base64}"),
        format!("sha256:{base64}\n"),
        format!("sha256-{base64}="),
        format!("sha256-{base64}"),
        format!("sha256-{base64}=="),
        format!("sha256-{base64}=?foo"),
        format!("sha256-{base64}=\n"),
        format!("sha256-\n{base64}"),
        format!("sha256-{base64} "),
        format!("sha256-{base64}AA"),
        format!("sha256-{}", base64.replace('/', "_")),
        // The last digit carries two bits that no byte takes up.
        format!("sha256-{}V=", &base64[..42]),
        format!("sha256-{nix32}"),
        format!("sha256-{base16}"),
        format!("sha256::{nix32}"),
        format!("sha256:sha256:{nix32}"),
        format!("SHA256:{nix32}"),
        format!(" sha256:{nix32}"),
        format!("sha256:{nix32} "),
        format!("md5:{nix32}"),
        format!("sha1:{}", &nix32[..32]),
        format!("sha512:{nix32}"),
        // The first digit has four bits past the last byte.
        format!("sha256:1{}", &nix32[1..]),
        format!("sha256:2{}", &nix32[1..]),
        format!("sha256:z{}", &nix32[1..]),
        format!("sha256:{}e", &nix32[1..]),
        nix32.to_owned(),
        "md5:zzzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        "md5:7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        "md5:8zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
    ];
    let mut accepted = 0;
    for text in &cases {
        let output = nix.output("nix", ["hash", "to-base16", text]);
        let theirs = output.status.success().then(|| String::from_utf8(output.stdout).unwrap());
        let ours = Hash::parse(text).ok().map(|hash| format!("{}\n", hash.base16_digest()));
        assert_eq!(ours, theirs, "{text:?}: {}", String::from_utf8_lossy(&output.stderr));
        accepted += usize::from(ours.is_some());
    }
    assert!(accepted > 10 && accepted < cases.len() - 10, "{accepted}");
}
