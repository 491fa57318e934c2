//! 3.6 listings and links to debug information.

use anyhow::{Context, Result, ensure};
use nars3_tests::closure::narinfo_key;
use serde_json::Value;

use super::{BUILD_ID, Row, World, check, nar_of};

fn listing_key(path: &str) -> String {
    narinfo_key(path).replace(".narinfo", ".ls")
}

/// The paths that can be listed: those whose names are text.
fn listed(world: &World) -> impl Iterator<Item = &str> {
    world.paths().filter(|path| !path.ends_with("-bytes"))
}

fn parse(bytes: &[u8]) -> Result<Value> {
    Ok(serde_json::from_slice(bytes)?)
}

/// JSON with sorted keys and without white space, as Nix's library prints it.
fn dump(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by_key(|(name, _)| name.as_str());
            let members = members
                .into_iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), dump(value)));
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(dump).collect::<Vec<_>>().join(",")),
        other => other.to_string(),
    }
}

/// Calls `check` with the path inside and the node of each regular file.
fn files(node: &Value, at: &str, check: &mut dyn FnMut(&str, &Value) -> Result<()>) -> Result<()> {
    if node["type"] == "regular" {
        return check(at, node);
    }
    for (name, child) in node["entries"].as_object().into_iter().flatten() {
        files(child, &format!("{at}/{name}"), check)?;
    }
    Ok(())
}

const ROWS: &[Row] = &[
    ("3.6", "listings say what those of Nix say", |world| {
        for path in listed(world) {
            let [ours, http, file] = world.thrice(&listing_key(path))?;
            // The members of its objects are not sorted in Nix 2.8, as they are since.
            ensure!(parse(&ours)? == parse(&file)? && parse(&ours)? == parse(&http)?, "{path}");
        }
        Ok(())
    }),
    ("3.6", "listings have sorted keys, and no white space and no line break outside of names", |world| {
        for path in listed(world) {
            let text = world.ours().get_text(&listing_key(path))?;
            ensure!(text == dump(&serde_json::from_str(&text)?), "{text}");
            ensure!(text.starts_with(r#"{"root":{"#) && text.ends_with(r#""version":1}"#), "{text}");
        }
        Ok(())
    }),
    ("3.6", "executable is told only where it is true, and no offset is zero", |world| {
        for path in listed(world) {
            let text = world.ours().get_text(&listing_key(path))?;
            ensure!(!text.contains(r#""executable":false"#) && !text.contains(r#""narOffset":0,"#), "{text}");
        }
        let app = world.ours().get_text(&listing_key(&world.closure.app))?;
        ensure!(app.contains(r#""executable":true"#), "{app}");
        Ok(())
    }),
    ("3.6", "an offset leads to the contents in the NAR", |world| {
        for path in listed(world) {
            let nar = world.ours().get(&nar_of(&world.narinfo(path)?)?)?;
            let listing = parse(&world.ours().get(&listing_key(path))?)?;
            files(&listing["root"], "", &mut |at, node| {
                let number = |name: &str| -> Result<usize> {
                    Ok(usize::try_from(node[name].as_u64().with_context(|| format!("no {name} of {at}"))?)?)
                };
                let (offset, size) = (number("narOffset")?, number("size")?);
                let contents = std::fs::read(format!("{path}{at}"))?;
                ensure!(nar.get(offset..offset + size) == Some(contents.as_slice()), "{path}{at}");
                Ok(())
            })?;
        }
        Ok(())
    }),
    ("3.6", "a link to debug information has the bytes that Nix writes", |world| {
        let key = format!("debuginfo/{BUILD_ID}.debug");
        world.equal(&key)?;
        let nar = nar_of(&world.narinfo(&world.debug)?)?;
        let (first, rest) = BUILD_ID.split_at(2);
        let expected =
            format!(r#"{{"archive":"../{nar}","member":"lib/debug/.build-id/{first}/{rest}.debug"}}"#);
        ensure!(world.ours().get_text(&key)? == expected);
        Ok(())
    }),
    ("3.6", "a link that is there is not overwritten", |world| {
        let bucket = world.setup.server.fresh_bucket()?;
        let key = format!("debuginfo/{BUILD_ID}.debug");
        bucket.put(&key, b"the first stays")?;
        world.nars3(&["copy", "--to", &bucket.url("index-debug-info=true"), &world.debug])?;
        ensure!(bucket.get_text(&key)? == "the first stays");
        Ok(())
    }),
];

#[test]
fn listings_and_debug_information() -> Result<()> {
    check(ROWS)
}
