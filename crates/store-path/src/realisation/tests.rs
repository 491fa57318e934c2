use super::*;
use crate::hash::Hash;

const ID: &str = "sha256:15e3c560894cbb27085cf65b5a2ecb18488c999497f4531b6907a7581ce6d527!out";
const OTHER: &str = "sha256:6f869f9ea2823bda165e06076fd0de4366dead2c0e8d2dbbad277d4f15c373f5!lib";
const PATH: &str = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo";

fn realisation() -> Realisation {
    Realisation::new(ID.parse().unwrap(), PATH.parse().unwrap())
}

fn entry() -> BuildTraceEntry {
    let key = format!("{PATH}.drv^out").parse().unwrap();
    BuildTraceEntry::new(key, PATH.parse().unwrap())
}

fn key() -> SecretKey {
    SecretKey::from_seed("k-1", [7; 32]).unwrap()
}

#[test]
fn object_keys() {
    assert_eq!(realisation().id.object_key(), format!("realisations/{ID}.doi"));
    assert_eq!(entry().key.object_key(), format!("build-trace-v2/{PATH}.drv/out.doi"));
    assert_eq!(entry().key.to_string(), format!("{PATH}.drv^out"));
}

#[test]
fn dependencies_are_printed_in_the_order_of_their_text() {
    let mut realisation = realisation();
    // By value md5 comes first, by text it comes last but one.
    for id in [
        OTHER,
        "sha1:00000000000000000000000000000000000000ff!out",
        "md5:000000000000000000000000000000ff!out",
    ] {
        realisation.dependent_realisations.insert(id.parse().unwrap(), PATH.parse().unwrap());
    }
    let json = realisation.to_json();
    assert_eq!(
        json,
        format!(
            r#"{{"dependentRealisations":{{"md5:000000000000000000000000000000ff!out":"{PATH}","sha1:00000000000000000000000000000000000000ff!out":"{PATH}","{OTHER}":"{PATH}"}},"id":"{ID}","outPath":"{PATH}","signatures":[]}}"#
        )
    );
    assert_eq!(Realisation::from_json(&json).unwrap(), realisation);
    assert_eq!(realisation.fingerprint(), json.replace(r#","signatures":[]"#, ""));
}

#[test]
fn absent_and_unknown_keys_are_fine() {
    let text = format!(r#"{{"outPath":"{PATH}","id":"{ID}","more":[1]}}"#);
    assert_eq!(Realisation::from_json(&text).unwrap(), realisation());
    let value = format!(r#"{{"outPath":"{PATH}"}}"#);
    assert_eq!(BuildTraceEntry::from_value_json(entry().key, &value).unwrap(), entry());
}

#[test]
fn signing_and_verifying() {
    let keys = [key().public_key()].into_iter().collect();
    let mut signed = realisation();
    signed.sign(&key());
    signed.signatures.insert(Signature::new("k-1:AAAA"));
    signed.signatures.insert(Signature::new("nonsense"));
    assert_eq!(signed.valid_signatures(&keys), 1);
    assert_eq!(Realisation::from_json(&signed.to_json()).unwrap(), signed);
    signed.out_path = format!("{PATH}x").parse().unwrap();
    assert_eq!(signed.valid_signatures(&keys), 0);

    let mut signed = entry();
    signed.sign(&key());
    assert_eq!(signed.valid_signatures(&keys), 1);
    assert_eq!(BuildTraceEntry::from_json(&signed.to_json().unwrap()).unwrap(), signed);
    signed.key = BuildTraceKey::new(signed.key.drv_path, "outx").unwrap();
    assert_eq!(signed.valid_signatures(&keys), 0);
}

/// `//8=` sorts before `AAA=` as text but after it as bytes; and a key name that begins another comes first.
#[test]
fn signature_objects_are_in_the_order_of_their_bytes() {
    let mut entry = entry();
    for text in ["a:AAA=", "a://8=", "a.b:AAA="] {
        entry.signatures.insert(Signature::new(text));
    }
    assert_eq!(
        entry.value_json().unwrap(),
        format!(
            r#"{{"outPath":"{PATH}","signatures":[{{"keyName":"a","sig":"AAA="}},{{"keyName":"a","sig":"//8="}},{{"keyName":"a.b","sig":"AAA="}}]}}"#
        )
    );
}

#[test]
fn both_forms_of_signatures_are_read_and_written() {
    let text = format!(
        r#"{{"dependentRealisations":{{}},"id":"{ID}","outPath":"{PATH}","signatures":["a:AAA=",{{"keyName":"b","sig":"AQ=="}}]}}"#
    );
    let realisation = Realisation::from_json(&text).unwrap();
    assert!(realisation.to_json().ends_with(r#""signatures":["a:AAA=","b:AQ=="]}"#));
    let structured = realisation.to_json_structured().unwrap();
    assert!(
        structured.ends_with(r#""signatures":[{"keyName":"a","sig":"AAA="},{"keyName":"b","sig":"AQ=="}]}"#)
    );
    assert_eq!(Realisation::from_json(&structured).unwrap(), realisation);
}

#[test]
fn signatures_of_no_form_cannot_be_objects() {
    let mut entry = entry();
    entry.signatures.insert(Signature::new("asdf"));
    let expected =
        "the signature 'asdf' is not of the form '<key name>:<base64>', so it cannot be written as an object";
    assert_eq!(entry.to_json().unwrap_err().to_string(), expected);
    let mut realisation = realisation();
    realisation.signatures = entry.signatures;
    assert_eq!(realisation.to_json_structured().unwrap_err().to_string(), expected);
}

#[test]
fn errors_name_the_key() {
    for (text, message) in [
        ("[]", "realisation: the document is an array, expected an object".to_owned()),
        ("{}", "realisation: the key 'id' is missing".to_owned()),
        (r#"{"id":1}"#, "realisation: 'id' is a number, expected a string".to_owned()),
        (
            r#"{"id":"x"}"#,
            "realisation, key 'id': 'x' names no derivation output: expected '<derivation>!<output name>'"
                .to_owned(),
        ),
        (&format!(r#"{{"id":"{ID}"}}"#), "realisation: the key 'outPath' is missing".to_owned()),
        (
            &format!(r#"{{"id":"{ID}","outPath":"/nix/store/{PATH}"}}"#),
            format!(
                "realisation, key 'outPath': '/' at byte 0 of '/nix/store/{PATH}' is not a Nix32 character"
            ),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","signatures":{{}}}}"#),
            "realisation: 'signatures' is an object, expected an array".to_owned(),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","signatures":[null]}}"#),
            "realisation: an element of 'signatures' is null, expected a string or an object".to_owned(),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","signatures":[{{"keyName":"a:b","sig":""}}]}}"#),
            "realisation, key 'signatures': unusable key name in the signature object of the key 'a:b'"
                .to_owned(),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","signatures":[{{"keyName":"a","sig":"*"}}]}}"#),
            "realisation, key 'signatures': no base64 in 'sig' in the signature object of the key 'a'"
                .to_owned(),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","dependentRealisations":[]}}"#),
            "realisation: 'dependentRealisations' is an array, expected an object".to_owned(),
        ),
        (
            &format!(r#"{{"id":"{ID}","outPath":"{PATH}","dependentRealisations":{{"{OTHER}":true}}}}"#),
            format!("realisation: 'dependentRealisations.{OTHER}' is a boolean, expected a string"),
        ),
    ] {
        assert_eq!(Realisation::from_json(text).unwrap_err().to_string(), message);
    }
    assert!(matches!(Realisation::from_json("{"), Err(RealisationError::Syntax { .. })));
    assert!(matches!(BuildTraceEntry::from_json("{}"), Err(RealisationError::Shape { .. })));
}

/// The name becomes part of an object key, so it cannot climb out of its prefix.
#[test]
fn output_names_are_checked() {
    let hash = ID.strip_suffix("!out").unwrap();
    let (drv_hash, drv_path): (Hash, StorePath) =
        (Hash::parse(hash).unwrap(), format!("{PATH}.drv").parse().unwrap());
    assert_eq!(DrvOutput::new(drv_hash, "out"), ID.parse());
    assert_eq!(DrvOutput::new(drv_hash, "out").unwrap().output_name(), "out");
    assert_eq!(BuildTraceKey::new(drv_path.clone(), "out"), Ok(entry().key));
    assert_eq!(entry().key.output_name(), "out");
    for output in ["", "../../nix-cache-info", "a/b", "a b", "."] {
        let made = DrvOutput::new(drv_hash, output);
        assert!(matches!(made, Err(DrvOutputError::OutputName { .. })), "{made:?}");
        let made = BuildTraceKey::new(drv_path.clone(), output);
        assert!(matches!(made, Err(DrvOutputError::OutputName { .. })), "{made:?}");
        let text = format!("{hash}!{output}");
        assert!(matches!(text.parse::<DrvOutput>(), Err(DrvOutputError::OutputName { .. })), "{text}");
        let text = format!("{PATH}.drv^{output}");
        assert!(matches!(text.parse::<BuildTraceKey>(), Err(DrvOutputError::OutputName { .. })), "{text}");
        let text = format!(
            r#"{{"key":{{"drvPath":"{PATH}.drv","outputName":"{output}"}},"value":{{"outPath":"{PATH}"}}}}"#
        );
        assert!(
            matches!(BuildTraceEntry::from_json(&text), Err(RealisationError::DrvOutput { .. })),
            "{text}"
        );
    }
    assert!(matches!("x^out".parse::<BuildTraceKey>(), Err(DrvOutputError::DrvPath { .. })));
    assert!(matches!(
        "x".parse::<BuildTraceKey>(),
        Err(DrvOutputError::MissingSeparator { separator: '^', .. })
    ));
    assert!(matches!("sha256:x!out".parse::<DrvOutput>(), Err(DrvOutputError::Hash { .. })));
}

#[test]
fn signatures_are_bounded() {
    let with = |count: usize| {
        let signatures = vec!["\"a:b\""; count].join(",");
        let text = format!(
            r#"{{"key":{{"drvPath":"{PATH}.drv","outputName":"out"}},"value":{{"outPath":"{PATH}","signatures":[{signatures}]}}}}"#
        );
        BuildTraceEntry::from_json(&text)
    };
    assert!(with(1000).is_ok());
    assert_eq!(with(1001), Err(RealisationError::TooManySignatures { found: 1001 }));
}
