//! What Nix's own vectors do not show: documents, signatures in two orders, and what is refused.

use nars3_store_path::{Hash, Signature, StoreDir, StorePath};
use serde_json::{Value, json};

use super::{
    Detail, PathInfoDocument, PathInfoFormat, nar_info_from_json, path_info_from_json, path_info_to_json,
};
use crate::{Compression, NarInfo, PathInfo};

const BAR: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar";
const NAR_HASH: &str = "sha256-FePFYIlMuycIXPZbWi7LGEiMmZSX9FMbaQenWBzm1Sc=";

fn bar() -> StorePath {
    StorePath::from_base_name(BAR).unwrap()
}

fn info() -> PathInfo {
    PathInfo::new(bar(), Hash::parse(NAR_HASH).unwrap(), 7)
}

/// The least a path info needs, with one key set to `value`.
fn least_with(key: &str, value: Value) -> Value {
    let mut json = json!({ "narHash": NAR_HASH, "narSize": 7, "references": [] });
    json[key] = value;
    json
}

fn complaint(json: &Value) -> String {
    nar_info_from_json(&bar(), &StoreDir::default(), json).unwrap_err().to_string()
}

#[test]
fn documents_of_2_29() {
    let mut document = PathInfoDocument::new(StoreDir::default());
    let mut narinfo = NarInfo::new(info(), "nar/x.nar.xz", Compression::Xz);
    narinfo.file_size = Some(3);
    document.insert(narinfo);
    document.insert_invalid(StorePath::from_base_name("00000000000000000000000000000000-gone").unwrap());
    let expected = format!(
        r#"{{"/nix/store/00000000000000000000000000000000-gone":null,"/nix/store/{BAR}":{{"ca":null,"compression":"xz","deriver":null,"downloadSize":3,"narHash":"{NAR_HASH}","narSize":7,"references":[],"registrationTime":null,"signatures":[],"ultimate":false,"url":"nar/x.nar.xz"}}}}"#
    );
    assert_eq!(document.to_json(PathInfoFormat::Nix229), expected);
    assert_eq!(PathInfoDocument::from_json(&StoreDir::default(), &expected).unwrap(), document);
    assert_eq!(PathInfoDocument::new(StoreDir::default()).to_json(PathInfoFormat::V1), "{}");
}

#[test]
fn documents_of_newer_formats() {
    let mut document = PathInfoDocument::new(StoreDir::default());
    document.insert(info());
    for (format, version) in [(PathInfoFormat::V2, 2), (PathInfoFormat::V3, 3)] {
        let expected = format!(
            r#"{{"info":{{"{BAR}":{{"ca":null,"deriver":null,"narHash":"{NAR_HASH}","narSize":7,"references":[],"registrationTime":null,"signatures":[],"storeDir":"/nix/store","ultimate":false,"version":{version}}}}},"storeDir":"/nix/store","version":{version}}}"#
        );
        assert_eq!(document.to_json(format), expected);
        assert_eq!(PathInfoDocument::from_json(&StoreDir::default(), &expected).unwrap(), document);
    }
}

#[test]
fn documents_of_old_nix_tell_invalid_paths() {
    let json = format!(r#"[{{"path":"/nix/store/{BAR}","valid":false}}]"#);
    let document = PathInfoDocument::from_json(&StoreDir::default(), &json).unwrap();
    assert_eq!(document.entries.into_iter().collect::<Vec<_>>(), [(bar(), None)]);
}

#[test]
fn signatures_have_the_order_of_their_format() {
    let mut info = info();
    let (dash, plain) = (Signature::from_parts("a-1", &[1; 64]), Signature::from_parts("a", &[2; 64]));
    let odd = Signature::new(":no name");
    info.signatures.extend([dash.clone(), plain.clone(), odd.clone()]);
    let written =
        |format| path_info_to_json(&info, &StoreDir::default(), format, Detail::Impure)["signatures"].clone();
    assert_eq!(written(PathInfoFormat::Nix229), json!([":no name", dash.as_str(), plain.as_str()]));
    assert_eq!(written(PathInfoFormat::V2), json!([":no name", plain.as_str(), dash.as_str()]));
    let bytes = |signature: &Signature| signature.as_str().split_once(':').unwrap().1.to_owned();
    let expected = json!([
        { "keyName": "", "sig": ":no name" },
        { "keyName": "a", "sig": bytes(&plain) },
        { "keyName": "a-1", "sig": bytes(&dash) },
    ]);
    assert_eq!(written(PathInfoFormat::V3), expected);
    let json = path_info_to_json(&info, &StoreDir::default(), PathInfoFormat::V3, Detail::Impure);
    assert_eq!(path_info_from_json(&bar(), &StoreDir::default(), &json).unwrap(), info);
}

#[test]
fn signatures_are_bounded() {
    let mut json = path_info_to_json(&info(), &StoreDir::default(), PathInfoFormat::V3, Detail::Impure);
    json["signatures"] = vec!["a:b"; 1000].into();
    assert!(path_info_from_json(&bar(), &StoreDir::default(), &json).is_ok());
    json["signatures"] = vec!["a:b"; 1001].into();
    let error = path_info_from_json(&bar(), &StoreDir::default(), &json).unwrap_err().to_string();
    assert!(error.contains("1001 signatures, expected at most 1000"), "{error}");
}

#[test]
fn not_known_is_written_as_null_or_not_at_all() {
    let mut narinfo = NarInfo::new(PathInfo { registration_time: Some(0), ..info() }, "u", Compression::Zstd);
    narinfo.file_size = Some(0);
    let json =
        super::nar_info_to_json(&narinfo, &StoreDir::default(), PathInfoFormat::Nix229, Detail::Impure);
    assert_eq!(json["registrationTime"], Value::Null);
    assert_eq!(json.get("downloadSize"), None);
}

#[test]
fn refusals_name_the_key_and_the_value() {
    for (key, value, message) in [
        ("narSize", json!(-1), "at 'narSize': found -1, expected a whole number from 0 to 2^64-1"),
        ("narSize", json!(1.5), "at 'narSize': found 1.5, expected a whole number from 0 to 2^64-1"),
        ("narSize", json!("7"), "at 'narSize': found \"7\", expected a whole number from 0 to 2^64-1"),
        ("narHash", json!("md5"), "at 'narHash': it is no hash"),
        ("references", json!({}), "at 'references': found an object, expected an array"),
        ("references", json!([BAR]), "at 'references': it is no store path"),
        ("ca", json!("x"), "at 'ca': it is no content address"),
        ("ca", json!({"method": "nar", "hash": NAR_HASH}), "at 'ca': found an object, expected a string"),
        ("deriver", json!(1), "at 'deriver': found 1, expected a string"),
        ("ultimate", json!(null), "at 'ultimate': found null, expected true or false"),
        (
            "registrationTime",
            json!("now"),
            "at 'registrationTime': found \"now\", expected a whole number of 64 bits",
        ),
        ("signatures", json!("x"), "at 'signatures': found \"x\", expected an array"),
        (
            "signatures",
            json!(["a\nURL: b"]),
            "at 'signatures': found \"a\\nURL: b\", expected a string without line breaks",
        ),
        ("signatures", json!([{"keyName": "x"}]), "at 'signatures': the key 'sig' is missing"),
        ("version", json!(4), "at 'version': format version 4, expected 1, 2 or 3"),
        ("version", json!(2), ": the key 'storeDir' is missing"),
        (
            "storeDir",
            json!("/gnu/store"),
            "at 'storeDir': store directory '/gnu/store', expected '/nix/store'",
        ),
    ] {
        let expected = format!(
            "JSON of a path info is wrong{}{message}",
            if message.starts_with(':') { "" } else { " " }
        );
        assert_eq!(complaint(&least_with(key, value)), expected);
    }
    let url = least_with("url", json!("x\ny"));
    let expected =
        "JSON of a narinfo is wrong at 'url': found \"x\\ny\", expected a string without line breaks";
    assert_eq!(complaint(&url), expected);
    assert_eq!(complaint(&json!([])), "JSON of a path info is wrong: found an array, expected an object");
    assert_eq!(complaint(&json!({})), "JSON of a path info is wrong: the key 'narHash' is missing");
    let without_ca = json!({ "version": 3, "storeDir": "/nix/store", "narHash": NAR_HASH, "narSize": 7, "references": [] });
    assert_eq!(complaint(&without_ca), "JSON of a path info is wrong: the key 'ca' is missing");
}

#[test]
fn refused_documents_tell_the_whole_way() {
    let complaint =
        |json: &str| PathInfoDocument::from_json(&StoreDir::default(), json).unwrap_err().to_string();
    let expected =
        "JSON of path infos is wrong: it is not JSON: EOF while parsing a value at line 1 column 0";
    assert_eq!(complaint(""), expected);
    assert!(complaint(&"[".repeat(1_000_000)).contains("recursion limit exceeded"));
    assert_eq!(complaint("7"), "JSON of path infos is wrong: found 7, expected an object");
    assert_eq!(complaint(r#"{"x":null}"#), "JSON of path infos is wrong at 'x': it is no store path");
    let json = format!(r#"{{"info":{{"{BAR}":{{}}}},"storeDir":"/nix/store","version":2}}"#);
    let expected = format!("JSON of a path info is wrong at 'info' '{BAR}': the key 'narHash' is missing");
    assert_eq!(complaint(&json), expected);
    assert_eq!(complaint("[{}]"), "JSON of path infos is wrong: the key 'path' is missing");
}
