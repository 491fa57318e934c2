//! The vectors of what can be asked for, and of what became of it.

use std::time::Duration;

use nars3_store_path::{Realisation, StoreDir, StorePath};
use serde_json::Value;

use super::super::build::{
    BuildMode, BuildResult, BuildStatus, BuiltOutputs, DerivedPath, Outputs, read_build_mode,
    read_build_result, read_derived_path, write_build_mode, write_build_result, write_derived_path,
};
use super::super::handshake::Agreement;
use super::super::realisation::UnkeyedRealisation;
use super::super::wire::{write_bool, write_list, write_number, write_string};
use super::{check, expected_json, foo, path, vectors};

const TEST: &str = "builds";

#[test]
fn build_modes() {
    check(
        "build_modes",
        "build-mode",
        &[BuildMode::Normal, BuildMode::Repair, BuildMode::Check],
        |from| read_build_mode(from),
        |to, value| write_build_mode(to, *value).expect("into memory"),
    );
}

#[test]
fn derived_paths() {
    let store_dir = StoreDir::default();
    let bar = path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv");
    let built = |outputs| DerivedPath::Built { drv_path: bar.clone(), outputs };
    let both = built(Outputs::Names(vec!["x".to_owned(), "y".to_owned()]));
    let old = [DerivedPath::Opaque(foo()), built(Outputs::All), both.clone()];
    let new = [
        DerivedPath::Opaque(foo()),
        DerivedPath::Opaque(path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-foo.drv")),
        built(Outputs::All),
        both,
    ];
    for (minor, values) in [(29, old.as_slice()), (30, new.as_slice())] {
        check(
            "derived_paths",
            &format!("derived-path-1.{minor}"),
            values,
            |from| read_derived_path(from, &store_dir, minor),
            |to, value| write_derived_path(to, &store_dir, minor, value).expect("into memory"),
        );
    }
    let file = DerivedPath::Opaque(bar);
    assert!(write_derived_path(&mut Vec::new(), &store_dir, 29, &file).is_err(), "it would be built");
}

/// What the JSON beside a vector says of one result.
fn result_of(value: &Value, by_name: bool) -> BuildResult {
    let number = |key: &str| value[key].as_u64().unwrap_or_default();
    let micros = |key: &str| value[key].as_u64().map(Duration::from_micros);
    let status = match value["status"].as_str().expect("a status") {
        "Built" => BuildStatus::Built,
        "OutputRejected" => BuildStatus::OutputRejected,
        "NotDeterministic" => BuildStatus::NotDeterministic,
        other => unreachable!("no vector has {other}"),
    };
    let outputs = value["builtOutputs"].as_object().cloned().unwrap_or_default();
    let outputs = if by_name {
        let of = |value: &Value| UnkeyedRealisation {
            out_path: value["outPath"].as_str().expect("a path").parse::<StorePath>().expect("well-formed"),
            signatures: Default::default(),
        };
        BuiltOutputs::ByName(outputs.iter().map(|(name, value)| (name.clone(), of(value))).collect())
    } else {
        let of = |value: &Value| Realisation::from_json(&value.to_string()).expect("a realisation");
        BuiltOutputs::ByHash(outputs.values().map(of).collect())
    };
    BuildResult {
        status,
        error_message: value["errorMsg"].as_str().unwrap_or_default().to_owned(),
        times_built: number("timesBuilt"),
        is_non_deterministic: value["isNonDeterministic"].as_bool().unwrap_or(false),
        start_time: number("startTime"),
        stop_time: number("stopTime"),
        cpu_user: micros("cpuUser"),
        cpu_system: micros("cpuSystem"),
        outputs,
    }
}

#[test]
fn build_results() {
    let store_dir = StoreDir::default();
    for (name, minor, by_name) in [
        ("build-result-1.27", 27, false),
        ("build-result-1.28", 28, false),
        ("build-result-1.29", 29, false),
        ("build-result-1.37", 37, false),
        ("build-result-realisation-with-path-not-hash", 38, true),
    ] {
        let agreement = Agreement::of(minor, by_name);
        // The older version has no JSON beside its vectors, and the same bytes.
        let Some(json) = expected_json("nix-2.36-dev", name) else { continue };
        let results = json.as_array().expect("a list").iter().map(|value| result_of(value, by_name));
        let results: Vec<BuildResult> = if minor < 28 {
            results.map(|result| BuildResult { outputs: BuiltOutputs::Unknown, ..result }).collect()
        } else {
            results.collect()
        };
        check(
            TEST,
            name,
            &results,
            |from| read_build_result(from, &store_dir, &agreement),
            |to, value| write_build_result(to, &store_dir, &agreement, value).expect("into memory"),
        );
    }
}

#[test]
fn keyed_build_results() {
    let store_dir = StoreDir::default();
    let name = "keyed-build-result-1.29";
    let agreement = Agreement::of(29, false);
    let Some(json) = expected_json("nix-2.36-dev", name) else { return };
    let opaque = DerivedPath::Opaque(path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-xxx"));
    let built = DerivedPath::Built {
        drv_path: path("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-bar.drv"),
        outputs: Outputs::Names(vec!["out".to_owned()]),
    };
    let results = json.as_array().expect("a list").iter().map(|value| result_of(value, false));
    let keyed: Vec<_> = [opaque, built].into_iter().zip(results).collect();
    check(
        TEST,
        name,
        &keyed,
        |from| {
            let key = read_derived_path(from, &store_dir, 29)?;
            Ok((key, read_build_result(from, &store_dir, &agreement)?))
        },
        |to, (key, result)| {
            write_derived_path(to, &store_dir, 29, key).expect("into memory");
            write_build_result(to, &store_dir, &agreement, result).expect("into memory");
        },
    );
}

/// What daemons that name outputs by path write to clients that do not: realisations with a hash of zeros, and nothing
/// but a path. No client writes them, so here the test does.
#[test]
fn build_results_for_older_clients() {
    let store_dir = StoreDir::default();
    let (name, agreement) = ("build-result-1.29-compat", Agreement::of(29, false));
    for (bytes, version) in vectors(TEST, name) {
        let json = expected_json(version, name).expect("there is one");
        let mut from = bytes.as_slice();
        let mut written = Vec::new();
        for value in json.as_array().expect("a list") {
            let found = read_build_result(&mut from, &store_dir, &agreement).expect("well-formed");
            let BuiltOutputs::ByHash(outputs) = &found.outputs else { unreachable!("it is 1.29") };
            let names: Vec<_> = outputs
                .iter()
                .map(|output| (output.id.output_name().to_owned(), output.out_path.to_string()))
                .collect();
            let expected = result_of(value, true);
            let BuiltOutputs::ByName(expected_outputs) = &expected.outputs else { unreachable!("as asked") };
            let expected_names: Vec<_> = expected_outputs
                .iter()
                .map(|(name, output)| (name.clone(), output.out_path.to_string()))
                .collect();
            assert_eq!(names, expected_names);
            assert_eq!(BuildResult { outputs: expected.outputs.clone(), ..found.clone() }, expected);

            write_number(&mut written, found.status as u64).expect("into memory");
            write_string(&mut written, &found.error_message).expect("into memory");
            write_number(&mut written, found.times_built).expect("into memory");
            write_bool(&mut written, found.is_non_deterministic).expect("into memory");
            write_number(&mut written, found.start_time).expect("into memory");
            write_number(&mut written, found.stop_time).expect("into memory");
            write_list(&mut written, outputs.iter(), |to, output| {
                write_string(to, output.id.to_string())?;
                write_string(to, format!(r#"{{"id":"{}","outPath":"{}"}}"#, output.id, output.out_path))
            })
            .expect("into memory");
        }
        assert!(from.is_empty());
        assert_eq!(written, bytes);
    }
}
