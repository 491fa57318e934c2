//! Store paths, content addresses and signatures against a real Nix: it adds objects of every kind, and each of
//! its paths must follow from what it tells about the object, and each of its signatures must be ours.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs;

use nars3_store_path::{
    Algorithm, ContentAddress, ContentAddressMethod, Hash, PublicKeys, SecretKey, Signature, StoreDir,
    StorePath, check_name, path_fingerprint, store_path_for,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::support::{Nix, random};

/// What Nix tells about one store object.
struct Info {
    path: StorePath,
    nar_hash: Hash,
    nar_size: u64,
    references: BTreeSet<StorePath>,
    ca: Option<ContentAddress>,
    signatures: BTreeSet<Signature>,
}

/// All objects in the store.
fn all_infos(nix: &Nix, store_dir: &StoreDir) -> Vec<Info> {
    let json: Value = serde_json::from_str(&nix.run("nix", ["path-info", "--json", "--all"])).unwrap();
    let info = |object: &Value| {
        let text = |key: &str| object[key].as_str().map(str::to_owned);
        let texts = |key: &str| {
            object[key]
                .as_array()
                .into_iter()
                .flatten()
                .map(|text| text.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        Info {
            path: store_dir.parse(&text("path").unwrap()).unwrap(),
            nar_hash: text("narHash").unwrap().parse().unwrap(),
            nar_size: object["narSize"].as_u64().unwrap(),
            references: texts("references").iter().map(|path| store_dir.parse(path).unwrap()).collect(),
            ca: text("ca").map(|ca| {
                let parsed: ContentAddress = ca.parse().unwrap();
                assert_eq!(parsed.to_string(), ca);
                parsed
            }),
            signatures: texts("signatures").iter().map(|text| Signature::new(text)).collect(),
        }
    };
    json.as_array().unwrap().iter().map(info).collect()
}

fn names() -> impl Strategy<Value = Vec<String>> {
    // Nix 2.8 knows no rule about leading dots, so none leads here.
    prop::collection::btree_set("[a-zA-Z0-9+_?=-][a-zA-Z0-9+._?=-]{0,60}", 12)
        .prop_map(|names| names.into_iter().collect())
}

/// Adds files with `--add` (which is a NAR's SHA-256) and with `--add-fixed`, and checks the printed paths.
fn add_files(nix: &Nix, store_dir: &StoreDir) {
    let names = random(names());
    // An argument of Nix must not look like an option, nor like a channel's `=` or a URL.
    let files: Vec<String> = names.iter().map(|name| format!("./{name}")).collect();
    let contents: Vec<Vec<u8>> =
        names.iter().map(|_| random(prop::collection::vec(any::<u8>(), 0..2000))).collect();
    for (file, bytes) in files.iter().zip(&contents) {
        fs::write(nix.path(file), bytes).unwrap();
    }
    let mut args = vec!["--add".to_owned()];
    args.extend(files.iter().cloned());
    nix.run("nix-store", &args);
    for algorithm in ["md5", "sha1", "sha256", "sha512"] {
        let mut args = vec!["--add-fixed".to_owned(), "--recursive".to_owned(), algorithm.to_owned()];
        args.extend(files.iter().cloned());
        nix.run("nix-store", &args);
        args.remove(1);
        let printed = nix.run("nix-store", &args);
        let algorithm: Algorithm = algorithm.parse().unwrap();
        // Flat hashes can be computed here; those of NARs are in the database.
        for ((line, name), bytes) in printed.lines().zip(&names).zip(&contents) {
            let ca =
                ContentAddress { method: ContentAddressMethod::Flat, hash: Hash::digest(algorithm, bytes) };
            let path = store_path_for(store_dir, name, &ca, &BTreeSet::new(), false).unwrap();
            assert_eq!(store_dir.print(&path), line);
        }
    }
}

/// Text with references, derivations (text, too), and outputs rewritten to content addresses, one of which refers
/// to itself.
fn add_text_and_outputs(nix: &Nix) {
    let mut expression = "let\n".to_owned();
    let count = 40;
    for i in 0..count {
        let name = random("[a-zA-Z0-9_][a-zA-Z0-9+._?=-]{0,20}");
        let references: BTreeSet<usize> = random(prop::collection::btree_set(0..count, 0..5));
        write!(expression, "t{i} = builtins.toFile \"{name}\" \"{i}").unwrap();
        for reference in references.range(..i) {
            write!(expression, " ${{t{reference}}}").unwrap();
        }
        expression.push_str("\";\n");
    }
    expression.push_str(
        r#"
        make = name: script: builtins.derivation {
          inherit name; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" script ];
        };
        alone = make "alone" "echo ${t39} ${t38} $out > $out";
        user = make "user" "echo ${alone} ${all} > $out";
        all = builtins.toFile "all" "#,
    );
    expression.push('"');
    for i in 0..count {
        write!(expression, "${{t{i}}}").unwrap();
    }
    expression.push_str("\";\nin { inherit alone user; }\n");
    fs::write(nix.path("default.nix"), expression).unwrap();
    let outputs = nix.run("nix-build", ["--no-out-link", "-A", "alone", "-A", "user"]);
    let mut args = vec!["store", "make-content-addressed"];
    args.extend(outputs.lines());
    nix.run("nix", &args);
}

#[test]
fn paths_follow_from_content_addresses_and_signatures_are_the_same() {
    let Some(nix) = Nix::new("paths and signatures of a real Nix") else { return };
    let store_dir = StoreDir::new(&nix.store_dir()).unwrap();
    add_files(&nix, &store_dir);
    add_text_and_outputs(&nix);

    let secret = SecretKey::from_seed("our-1", random(any::<[u8; 32]>())).unwrap();
    fs::write(nix.path("secret"), secret.to_secret_string().as_bytes()).unwrap();
    nix.run("nix", ["store", "sign", "--all", "--key-file", "secret"]);
    let trusted: PublicKeys = secret.public_key().to_string().parse().unwrap();

    let (mut addressed, mut with_references, mut with_self, mut input_addressed) = (0, 0, 0, 0);
    for info in all_infos(&nix, &store_dir) {
        let fingerprint =
            path_fingerprint(&store_dir, &info.path, &info.nar_hash, info.nar_size, &info.references)
                .unwrap();
        let ours = secret.sign(fingerprint.as_bytes());
        assert_eq!(info.signatures, [ours.clone()].into(), "{fingerprint}");
        assert!(trusted.verify(fingerprint.as_bytes(), &ours));

        let mut others = info.references.clone();
        let itself = others.remove(&info.path);
        let Some(ca) = info.ca else {
            input_addressed += 1;
            continue;
        };
        let path = store_path_for(&store_dir, info.path.name(), &ca, &others, itself);
        assert_eq!(path.as_ref(), Ok(&info.path), "{ca} {:?}", info.references);
        addressed += 1;
        with_references += usize::from(!others.is_empty());
        with_self += usize::from(itself);
    }
    // 12 files in 8 ways (two of which are one), 41 texts, 2 derivations, and rewritten outputs with their closure.
    assert!(addressed >= 12 * 8 + 41 + 2 + 2, "{addressed}");
    assert!(with_references >= 10, "{with_references}");
    assert_eq!(with_self, 1);
    assert_eq!(input_addressed, 2);
}

/// The path in the usual store directory, computed by a Nix that has no such store.
#[test]
fn fixed_paths_in_the_usual_store_directory() {
    let Some(nix) = Nix::new("fixed paths in the usual store directory") else { return };
    for algorithm in [Algorithm::Md5, Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512] {
        for recursive in [false, true] {
            let bytes = random(any::<[u8; 64]>());
            let hash = Hash::new(algorithm, &bytes[..algorithm.size()]).unwrap();
            let mut args = vec!["--print-fixed-path".to_owned()];
            args.extend(recursive.then(|| "--recursive".to_owned()));
            args.extend([algorithm.to_string(), hash.nix32_digest(), "a-name".to_owned()]);
            let printed = String::from_utf8(
                nix.command("nix-store", &args).env_remove("NIX_STORE_DIR").output().unwrap().stdout,
            )
            .unwrap();
            let method =
                if recursive { ContentAddressMethod::NixArchive } else { ContentAddressMethod::Flat };
            let ca = ContentAddress { method, hash };
            let store_dir = StoreDir::default();
            let path = store_path_for(&store_dir, "a-name", &ca, &BTreeSet::new(), false).unwrap();
            assert_eq!(printed.trim_end(), store_dir.print(&path));
        }
    }
}

/// Names that 2.8, which is here, and 2.29, whose rules are ours, judge differently: the rule about leading dots is
/// younger.
const JUDGED_DIFFERENTLY: [&str; 4] = [".", "..", ".-a", "..-a"];

#[test]
fn names_are_refused_by_both() {
    let Some(nix) = Nix::new("names are refused by both") else { return };
    let digest = "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
    let (longest, too_long) = ("n".repeat(211), "n".repeat(212));
    let names = [
        "a", "", "a b", "a/b", "ä", "a\n", "a~", "a:b", "a@b", "+-._?=", "a,b", "a%", "a*", "a\\", "a\"",
        ".a", "..a", "...", ".a-b", &longest, &too_long,
    ];
    for name in names.into_iter().chain(JUDGED_DIFFERENTLY) {
        let output = nix.output("nix-store", ["--print-fixed-path", "sha256", digest, name]);
        let ours = check_name(name).is_ok();
        let differently = JUDGED_DIFFERENTLY.contains(&name);
        assert_eq!(ours, output.status.success() != differently, "{name:?}");
    }
}
