//! Real Nix reads all that nars3 writes: every method, every encoding, listings, logs; and nars3 all that Nix writes.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::field;
use nars3_tests::closure::{Closure, narinfo_key};
use nars3_tests::nix::Chroot;
use nars3_tests::server::Access;
use serde_json::Value;

use crate::setup::{Pushed, Setup};

/// Nix 2.8 asks curl for no encodings, and undoes what the header says by itself.
const ENCODINGS: [&str; 5] = ["gzip", "br", "zstd", "xz", "bzip2"];

const METHODS: [&str; 9] = ["none", "xz", "bzip2", "gzip", "zstd", "br", "lz4", "lzip", "lzma"];

/// Those whose files Nix 2.8 reads. At some of lzma it aborts, by HTTP and from a directory, whoever wrote them:
/// `lzma_is_as_good_as_nixs_own`.
fn readable() -> impl Iterator<Item = &'static str> {
    METHODS.into_iter().filter(|method| *method != "lzma")
}

/// The paths that can be listed: those whose names are text.
fn listed(closure: &Closure) -> impl Iterator<Item = &str> {
    closure.paths.iter().map(String::as_str).filter(|path| !path.ends_with("-bytes"))
}

/// Adds a log to a bucket and gives the derivation.
fn put_log(pushed: &Pushed, to: &str) -> Result<String> {
    let narinfo = pushed.setup.bucket.get_text(&narinfo_key(&pushed.closure.app))?;
    let deriver = field(&narinfo, "Deriver").context("no deriver")?.to_owned();
    let cache = pushed.setup.nars3.home().join("logs");
    std::fs::create_dir_all(cache.join("log"))?;
    std::fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    std::fs::write(cache.join("log").join(&deriver), "one\ntwo\n".repeat(1000))?;
    let (from, derivation) = (format!("file://{}", cache.display()), format!("/nix/store/{deriver}"));
    pushed.setup.nars3.run(["store", "copy-log", "--from", &from, "--to", to, &derivation])?.success()?;
    Ok(derivation)
}

#[test]
fn nix_reads_every_method_from_a_bucket() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, nix, closure, public_key } = &pushed;
    for method in readable() {
        let bucket = setup.server.fresh_bucket()?;
        bucket.allow_anonymous(Access::Read)?;
        let key = setup.nars3.secret_key_file(crate::setup::KEY);
        let url = bucket.url(&format!("compression={method}&secret-key={}", key.display()));
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        let chroot = Chroot::new()?;
        let pulled = nix.pull(&bucket.http_url(), &chroot, &closure.app, public_key)?;
        pulled.success().context(method)?;
        nix.verify(&chroot)?;
        assert_eq!(nix.registered(&chroot)?, closure.paths, "{method}");
    }
    Ok(())
}

/// Real Nix fares with our lzma files as with its own. In Nix 2.8 a decoder that has seen the end of its stream before the end
/// of the file, which for lzma depends on where reads happen to break, makes the process abort.
#[test]
fn lzma_is_as_good_as_nixs_own() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, nix, closure, public_key } = &pushed;
    let cache = |name: &str| format!("file://{}?compression=lzma", nix.home().join(name).display());
    let (ours, theirs) = (cache("ours"), cache("theirs"));
    let key = setup.nars3.secret_key_file(crate::setup::KEY);
    let key = key.to_string_lossy();
    setup.nars3.run(["copy", "--to", &ours, "--secret-key-file", &key, &closure.app])?.success()?;
    nix.push(&format!("{theirs}&secret-key={key}"), &closure.app)?.success()?;
    for path in &closure.paths {
        let read = |cache: &str| nix.run("nix", ["store", "ls", "-lR", "--store", cache, path]);
        let (of_ours, of_theirs) = (read(&ours)?, read(&theirs)?);
        let outcome =
            |finished: &nars3_tests::process::Finished| (finished.status.code(), finished.stdout.clone());
        assert_eq!(outcome(&of_ours), outcome(&of_theirs), "{path}: {of_ours}\n{of_theirs}");
        // What Nix wrote is sound, whatever it makes of it itself.
        let verify = ["store", "verify", "--store", &theirs, "--trusted-public-keys", public_key, path];
        setup.nars3.run(verify)?.success()?;
    }
    Ok(())
}

#[test]
fn nix_reads_every_encoding_of_narinfos_listings_and_logs() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, nix, closure, public_key } = &pushed;
    let library = &closure.library;
    for encoding in ENCODINGS {
        let bucket = setup.server.fresh_bucket()?;
        bucket.allow_anonymous(Access::Read)?;
        let key = setup.nars3.secret_key_file(crate::setup::KEY);
        let url = bucket.url(&format!(
            "compression=zstd&write-nar-listing=true&force-encodings=true&narinfo-compression={encoding}\
             &ls-compression={encoding}&log-compression={encoding}&secret-key={}",
            key.display()
        ));
        setup.nars3.run(["copy", "--to", &url, &closure.app])?.success()?;
        let derivation = put_log(&pushed, &url)?;
        let http = bucket.http_url();
        let headers = bucket.headers(&narinfo_key(library))?;
        ensure!(headers.get("content-encoding").is_some_and(|found| found == encoding), "{headers:?}");

        let chroot = Chroot::new()?;
        nix.pull(&http, &chroot, &closure.app, public_key)?.success().context(encoding)?;
        let list = ["store", "ls", "--json", "--recursive", "--store"];
        let theirs =
            nix.run("nix", list.iter().chain(&[http.as_str(), library]))?.success().context(encoding)?;
        let ours = setup.nars3.run(list.iter().chain(&[bucket.url("").as_str(), library]))?.success()?;
        let (theirs, ours): (Value, Value) = (serde_json::from_str(&theirs)?, serde_json::from_str(&ours)?);
        ensure!(ours == theirs, "{encoding}: {ours}\n{theirs}");
        let log = nix.run("nix", ["log", "--store", &http, &closure.app])?.success().context(encoding)?;
        ensure!(log == setup.nars3.run(["log", "--store", &bucket.url(""), &derivation])?.success()?);
        ensure!(log.starts_with("one\ntwo\n"), "{log}");
    }
    Ok(())
}

#[test]
fn nix_looks_into_what_we_listed_and_into_what_we_did_not() -> Result<()> {
    let Some(pushed) = Pushed::new("compression=xz&write-nar-listing=true")? else { return Ok(()) };
    let Pushed { setup, nix, closure, .. } = &pushed;
    let unlisted = setup.server.fresh_bucket()?;
    setup.nars3.run(["copy", "--to", &unlisted.url("compression=br"), &closure.app])?.success()?;
    for bucket in [&setup.bucket, &unlisted] {
        bucket.allow_anonymous(Access::Read)?;
        let (http, ours) = (bucket.http_url(), bucket.url(""));
        // Nix 2.8 takes names for formats, and fails at a percent sign.
        for path in listed(closure).filter(|path| !path.contains("-odd")) {
            for options in [vec!["-l"], vec!["-lR"]] {
                let list = |store: &str| -> Vec<String> {
                    ["store", "ls", "--store", store, path]
                        .into_iter()
                        .chain(options.clone())
                        .map(str::to_owned)
                        .collect()
                };
                let theirs = nix.run("nix", list(&http))?.success()?;
                assert_eq!(setup.nars3.run(list(&ours))?.success()?, theirs, "{path} {options:?}");
            }
        }
        for file in [format!("{}/lib/data", closure.library), format!("{}/bin/app", closure.app)] {
            let cat = |store: &str| ["store", "cat", "--store", store, &file].map(str::to_owned);
            let theirs = nix.run("nix", cat(&http))?.stdout;
            assert_eq!(theirs, std::fs::read_to_string(&file)?);
            assert_eq!(setup.nars3.run(cat(&ours))?.stdout, theirs);
        }
    }
    Ok(())
}

#[test]
fn nars3_reads_every_method_that_nix_puts_over_http() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, nix, closure, public_key } = &pushed;
    for method in METHODS {
        let bucket = setup.server.fresh_bucket()?;
        bucket.allow_anonymous(Access::ReadWrite)?;
        let key = setup.nars3.secret_key_file(crate::setup::KEY);
        let settings = format!("compression={method}&write-nar-listing=1&secret-key={}", key.display());
        nix.push(&format!("{}?{settings}", bucket.http_url()), &closure.app)?.success().context(method)?;
        let from = bucket.url("");
        let verify = ["store", "verify", "--all", "--store", &from, "--trusted-public-keys", public_key];
        let said = setup.nars3.run(verify)?.success().context(method)?;
        ensure!(said.contains("4 paths checked, 0 findings"), "{method}: {said}");
        for path in listed(closure) {
            setup.nars3.run(["store", "ls", "-lR", "--store", &from, path])?.success().context(method)?;
        }
        let file = format!("{}/share/noise", closure.library);
        let command = &mut setup.nars3.command();
        let output = command.args(["store", "cat", "--store", &from, &file]).output()?;
        ensure!(output.stdout == std::fs::read(&file)?, "{method}");
    }
    Ok(())
}

#[test]
fn nars3_reads_the_logs_of_nix() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Setup { nars3, bucket, .. } = &pushed.setup;
    let narinfo = bucket.get_text(&narinfo_key(&pushed.closure.library))?;
    let derivation = format!("/nix/store/{}", field(&narinfo, "Deriver").context("no deriver")?);
    let directory = format!("file://{}", pushed.nix.home().join("logs-of-nix").display());
    pushed.nix.push(&directory, &pushed.closure.library)?.success()?;
    pushed.nix.run("nix", ["store", "copy-log", "--to", &directory, &derivation])?.success()?;
    let theirs = pushed.nix.run("nix", ["log", "--store", &directory, &pushed.closure.library])?;
    let ours = nars3.run(["log", "--store", &directory, &derivation])?;
    assert_eq!(ours.success()?, theirs.success()?);
    // By the output, too, whose deriver the cache knows.
    nars3.run(["log", "--store", &directory, &pushed.closure.library])?.success()?;
    Ok(())
}
