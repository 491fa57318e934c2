//! `nars3 path-info` prints what `nix path-info` prints, byte for byte where Nix 2.8, which is asked here, prints what Nix
//! 2.29 prints.

use anyhow::{Context, Result, ensure};
use nars3_tests::faults::FaultProxy;
use serde_json::{Map, Value};

use crate::ends::{End, Kind, World};
use crate::setup::Setup;

/// A store for both: nars3 reads a bucket by S3, and Nix by HTTP.
struct Asked<'a> {
    world: &'a World,
    ours: String,
    theirs: String,
}

impl Asked<'_> {
    fn of<'a>(world: &'a World, end: &End) -> Asked<'a> {
        let theirs = match end {
            End::S3(bucket) => bucket.http_url(),
            other => other.url(),
        };
        Asked { world, ours: end.url(), theirs }
    }

    fn ours(&self, arguments: &[&str]) -> Result<String> {
        let finished =
            self.world.setup.nars3.run(["path-info", "--store", &self.ours].iter().chain(arguments))?;
        ensure!(finished.status.success(), "{finished}");
        Ok(finished.stdout)
    }

    fn theirs(&self, arguments: &[&str]) -> Result<String> {
        let finished =
            self.world.nix.run("nix", ["path-info", "--store", &self.theirs].iter().chain(arguments))?;
        ensure!(finished.status.success(), "{finished}");
        Ok(finished.stdout)
    }
}

/// The paths of the closure, and one that a content address describes.
fn world() -> Result<Option<(World, String)>> {
    let Some(world) = World::new()? else { return Ok(None) };
    let file = world.nix.home().join("a-text");
    std::fs::write(&file, "text\n")?;
    let text = world.nix.add(&file)?;
    world.nix.push(&format!("file://{}", world.cache().display()), &text)?.success()?;
    Ok(Some((world, text)))
}

/// A column of Nix 2.8 in the words of 2.29: KiB is the smallest unit, and units have names.
fn in_words_of_2_29(line: &str) -> Result<String> {
    let columns = line.split('\t').enumerate().map(|(number, column)| {
        if number == 0 {
            return Ok(column.to_owned());
        }
        let unit = column.chars().last().context("an empty column")?;
        let value: f64 = column[..column.len() - 1].trim().parse()?;
        Ok(if unit == ' ' {
            format!("{:>6.1} KiB", value / 1024.0)
        } else {
            format!("{value:>6.1} {unit}iB")
        })
    });
    Ok(columns.collect::<Result<Vec<_>>>()?.join("\t"))
}

#[test]
fn lines_are_those_of_nix() -> Result<()> {
    let Some((world, text)) = world()? else { return Ok(()) };
    let app = world.closure.app.as_str();
    for kind in [Kind::File, Kind::Http, Kind::Root] {
        let end = world.filled(kind)?;
        let asked = Asked::of(&world, &end);
        for options in ["", "--recursive", "-rs", "-rS", "-S", "-rsS --sigs", "-r --sigs", "--sigs", "-rsSh"]
        {
            let human = options.ends_with('h');
            let options: Vec<&str> = options.split_whitespace().collect();
            let roots: &[&str] = if matches!(kind, Kind::Root) { &[app] } else { &[&text, app, &text] };
            let arguments = [&options, roots].concat();
            let (ours, mut theirs) = (asked.ours(&arguments)?, asked.theirs(&arguments)?);
            if human {
                theirs = theirs.lines().map(in_words_of_2_29).collect::<Result<Vec<_>>>()?.join("\n") + "\n";
            }
            assert_eq!(ours, theirs, "{kind:?} {options:?}");
        }
        if kind != Kind::Http {
            for options in [&["--all"][..], &["--all", "-s", "--sigs"]] {
                assert_eq!(asked.ours(options)?, asked.theirs(options)?, "{kind:?} {options:?}");
            }
        }
    }
    Ok(())
}

/// An object of Nix 2.8 lacks what is not known and what is false.
fn without_what_says_nothing(object: &Map<String, Value>) -> Map<String, Value> {
    let says_something = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    let kept = object.iter().filter(|(name, value)| *name == "references" || says_something(value));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[test]
fn json_is_that_of_nix() -> Result<()> {
    let Some((world, text)) = world()? else { return Ok(()) };
    let app = world.closure.app.as_str();
    let absent = "/nix/store/00000000000000000000000000000000-absent";
    for kind in [Kind::File, Kind::Http, Kind::Root] {
        let end = world.filled(kind)?;
        let asked = Asked::of(&world, &end);
        let with_text: &[&str] = if kind == Kind::Root { &["-rS", app] } else { &["-rS", "-s", app, &text] };
        for arguments in [with_text, &[app, absent], &["-S", app]] {
            let arguments = [&["--json"], arguments].concat();
            let (ours, theirs) = (asked.ours(&arguments)?, asked.theirs(&arguments)?);
            let ours: Map<String, Value> = serde_json::from_str(&ours)?;
            let theirs: Vec<Map<String, Value>> = serde_json::from_str(&theirs)?;
            let at = format!("{kind:?} {arguments:?}");
            assert_eq!(ours.len(), theirs.len(), "{at}");
            for mut theirs in theirs {
                let path = theirs.remove("path").context("no path")?;
                let ours = ours.get(path.as_str().context("no text")?).with_context(|| at.clone())?;
                if theirs.get("valid") == Some(&Value::Bool(false)) {
                    assert_eq!((ours, path.as_str()), (&Value::Null, Some(absent)), "{at}");
                    continue;
                }
                let mut ours = without_what_says_nothing(ours.as_object().context("no object")?);
                // Since Nix 2.19.
                let compression = ours.remove("compression");
                let is_cache = kind != Kind::Root;
                assert_eq!(compression, is_cache.then(|| Value::from("xz")), "{at}");
                assert_eq!(ours, theirs, "{at}");
            }
        }
    }
    Ok(())
}

/// As in Nix: only JSON has a word for a path that is not there, and a closure must be whole.
#[test]
fn a_path_that_is_not_there_is_an_error_but_in_json() -> Result<()> {
    let Some((world, _)) = world()? else { return Ok(()) };
    let end = world.filled(Kind::File)?;
    let absent = "/nix/store/00000000000000000000000000000000-absent";
    let nars3 = &world.setup.nars3;
    for more in [&[][..], &["-r", "--json"]] {
        let run = |program: &str| -> Result<_> {
            let url = end.url();
            let arguments: Vec<&str> =
                ["path-info", "--store", &url, absent].iter().chain(more).copied().collect();
            if program == "nix" { world.nix.run("nix", arguments) } else { nars3.run(arguments) }
        };
        let (ours, theirs) = (run("nars3")?, run("nix")?);
        assert_eq!(
            (ours.status.code(), &ours.stdout),
            (theirs.status.code(), &theirs.stdout),
            "{ours}\n{theirs}"
        );
        assert!(ours.refusal()?.contains("-absent' is not valid"));
    }
    Ok(())
}

/// In JSON, the files are in it: that is no reason to read narinfos twice, however few are kept in memory.
#[test]
fn each_narinfo_of_a_whole_cache_is_read_once() -> Result<()> {
    let setup = Setup::new()?;
    let url = setup.bucket.url("");
    for number in 0..8 {
        let file = setup.nars3.work().join(format!("file-{number}"));
        std::fs::write(&file, format!("{number}\n"))?;
        setup.nars3.run(["add", "--to", &url, &file.to_string_lossy()])?.success()?;
    }
    let proxy = FaultProxy::start(setup.server.endpoint())?;
    let url = setup.bucket.url_at(proxy.endpoint(), "path-info-cache-size=1");
    let said = setup.nars3.run(["path-info", "--refresh", "--all", "--json", "--store", &url])?.success()?;
    assert_eq!(said.matches("\"url\":\"nar/").count(), 8, "{said}");
    let seen = proxy.seen();
    let narinfos = seen.iter().filter(|seen| seen.request.target.contains(".narinfo"));
    assert_eq!(narinfos.count(), 8);
    Ok(())
}
