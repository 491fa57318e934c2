//! `tests/functional/binary-cache.sh`, `nar-access.sh` and `signing.sh`: what they assert of caches, on a bucket.

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{audit, field, with_field, without_field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nix::Chroot;
use nars3_tests::process::Finished;
use nars3_tests::server::Bucket;
use serde_json::Value;

use crate::setup::{KEY, Pushed};

/// Pulls a path from `bucket` into a new store, with trust in these keys.
fn pull(pushed: &Pushed, bucket: &Bucket, path: &str, keys: &str) -> Result<(Finished, Chroot)> {
    let chroot = Chroot::new()?;
    let (from, to) = (bucket.url(""), chroot.store_url());
    let copy = ["copy", "--refresh", "--from", &from, "--to", &to, "--trusted-public-keys", keys, path];
    let mut command = pushed.setup.nars3.command();
    // No key of the machine's settings counts.
    command.env("NIX_CONFIG", "trusted-public-keys =");
    Ok((Finished::run(command.args(copy))?, chroot))
}

fn nar_of(bucket: &Bucket, path: &str) -> Result<String> {
    Ok(field(&bucket.get_text(&narinfo_key(path))?, "URL").context("no URL")?.to_owned())
}

/// "Test copying build logs to the binary cache": there and back.
#[test]
fn copy_log() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, nix, closure, .. } = &pushed;
    let narinfo = setup.bucket.get_text(&narinfo_key(&closure.app))?;
    let derivation = format!("/nix/store/{}", field(&narinfo, "Deriver").context("no deriver")?);
    let bucket = setup.bucket.url("");
    setup.nars3.run(["log", "--store", &bucket, &derivation])?.refusal()?;
    // Nix 2.8 shows the log of a path that is valid in the cache.
    let [directory, back] =
        ["logs", "back"].map(|name| format!("file://{}", nix.home().join(name).display()));
    for cache in [&directory, &back] {
        nix.push(cache, &closure.app)?.success()?;
    }
    nix.run("nix", ["store", "copy-log", "--to", &directory, &derivation])?.success()?;
    setup.nars3.run(["store", "copy-log", "--from", &directory, "--to", &bucket, &derivation])?.success()?;
    let expected = nix.run("nix", ["log", "--store", &directory, &closure.app])?.success()?;
    assert_eq!(setup.nars3.run(["log", "--store", &bucket, &derivation])?.success()?, expected);
    setup.nars3.run(["store", "copy-log", "--from", &bucket, "--to", &back, &derivation])?.success()?;
    assert_eq!(nix.run("nix", ["log", "--store", &back, &closure.app])?.success()?, expected);
    Ok(())
}

/// A directory with a `+` in its name is a cache like any other, plain and percent-encoded.
#[test]
fn plus_in_the_path_of_a_cache() -> Result<()> {
    let Some(Pushed { setup, nix, closure, public_key }) = Pushed::new("")? else { return Ok(()) };
    let directory = nix.home().join("foo + bar%20");
    let encoded = format!("file://{}/foo%20+%20bar%2520", nix.home().display());
    setup.nars3.run(["copy", "--from", &setup.bucket.url(""), "--to", &encoded, &closure.app])?.success()?;
    ensure!(directory.join("nix-cache-info").is_file());
    let chroot = Chroot::new()?;
    let to = chroot.store_url();
    setup
        .nars3
        .run(["copy", "--from", &encoded, "--to", &to, "--trusted-public-keys", &public_key, &closure.app])?
        .success()?;
    nix.verify(&chroot)
}

/// "Test whether Nix notices if the NAR doesn't match the hash in the NAR info."
#[test]
fn nar_does_not_match_the_hash_in_the_narinfo() -> Result<()> {
    let Some(pushed) = Pushed::new("compression=none")? else { return Ok(()) };
    let (bucket, library) = (&pushed.setup.bucket, &pushed.closure.library);
    let nar = nar_of(bucket, library)?;
    let mut bytes = bucket.get(&nar)?;
    bytes[500] ^= 1;
    bucket.put(&nar, &bytes)?;
    let (finished, chroot) = pull(&pushed, bucket, library, &pushed.public_key)?;
    let said = finished.refusal()?;
    ensure!(said.contains("Hash") || said.contains("hash"), "{said}");
    ensure!(chroot.objects().is_empty());
    Ok(())
}

/// "Test whether Nix notices if the NAR info is not signed", "… by the wrong key", "… by no key".
#[test]
fn signatures_are_required() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (bucket, library) = (&pushed.setup.bucket, &pushed.closure.library);
    let (_, wrong) = pushed.setup.nars3.key_pair("wrong-1")?;
    pull(&pushed, bucket, library, &wrong)?.0.refusal()?;
    // A key of the right name with other digits.
    let (_, renamed) = wrong.split_once(':').context("no name")?;
    pull(&pushed, bucket, library, &format!("{KEY}:{renamed}"))?.0.refusal()?;
    pull(&pushed, bucket, library, &format!("{wrong} {}", pushed.public_key))?.0.success()?;
    let key = narinfo_key(library);
    let text = bucket.get_text(&key)?;
    bucket.put(&key, without_field(&text, "Sig").as_bytes())?;
    let said = pull(&pushed, bucket, library, &pushed.public_key)?.0.refusal()?;
    ensure!(said.contains("sign"), "{said}");
    Ok(())
}

/// "It should fail if we corrupt the .narinfo": a signature that does not fit counts for nothing, and a second good one
/// is enough.
#[test]
fn corrupted_signature_in_a_narinfo() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (bucket, library) = (&pushed.setup.bucket, &pushed.closure.library);
    let key = narinfo_key(library);
    let text = bucket.get_text(&key)?;
    let good = field(&text, "Sig").context("not signed")?.to_owned();
    let bad = format!("{KEY}:{}", "A".repeat(86) + "==");
    bucket.put(&key, with_field(&text, "Sig", &bad).as_bytes())?;
    pull(&pushed, bucket, library, &pushed.public_key)?.0.refusal()?;
    bucket.put(&key, format!("{}Sig: {good}\n", with_field(&text, "Sig", &bad)).as_bytes())?;
    pull(&pushed, bucket, library, &pushed.public_key)?.0.success()?;
    Ok(())
}

/// "Test whether fallback works if a NAR has disappeared": here it is told which NAR, and nothing is registered.
#[test]
fn a_nar_has_disappeared() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (bucket, library) = (&pushed.setup.bucket, &pushed.closure.library);
    let nar = nar_of(bucket, library)?;
    bucket.delete(&nar)?;
    let (finished, chroot) = pull(&pushed, bucket, &pushed.closure.app, &pushed.public_key)?;
    let said = finished.refusal()?;
    ensure!(said.contains(&nar), "{said}");
    pushed.nix.verify(&chroot)?;
    ensure!(!pushed.nix.registered(&chroot)?.contains(&pushed.closure.app));
    Ok(())
}

/// "Test whether Nix handles incomplete closures": what is missing is named, and nothing comes in half.
#[test]
fn incomplete_closure() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (bucket, library) = (&pushed.setup.bucket, &pushed.closure.library);
    bucket.delete(&narinfo_key(library))?;
    let (finished, chroot) = pull(&pushed, bucket, &pushed.closure.app, &pushed.public_key)?;
    let said = finished.refusal()?;
    ensure!(said.contains(library.trim_start_matches("/nix/store/")), "{said}");
    ensure!(chroot.objects().is_empty(), "{:?}", chroot.objects());
    Ok(())
}

/// "Test NAR listing generation", in the words of `binary-cache.sh`.
#[test]
fn listing_of_a_small_tree() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let nars3 = &pushed.setup.nars3;
    let root = nars3.work().join("listed");
    std::fs::create_dir_all(&root)?;
    std::fs::write(root.join("bar"), "")?;
    std::os::unix::fs::symlink("xyzzy", root.join("link"))?;
    let bucket = pushed.setup.server.fresh_bucket()?;
    let path = nars3.run(["add", "--to", &bucket.url("write-nar-listing=1"), "listed"])?.success()?;
    let listing: Value =
        serde_json::from_slice(&bucket.get(&narinfo_key(&path).replace(".narinfo", ".ls"))?)?;
    let expected = r#"{"version":1,"root":{"type":"directory","entries":{
        "bar":{"type":"regular","size":0,"narOffset":232},"link":{"type":"symlink","target":"xyzzy"}}}}"#;
    assert_eq!(listing, serde_json::from_str::<Value>(expected)?);
    Ok(())
}

/// `nar-access.sh`: the same bytes by `nar cat`, `store cat` and the file system, and an error for what is no file.
#[test]
fn nar_access() -> Result<()> {
    let Some(pushed) = Pushed::new("compression=xz")? else { return Ok(()) };
    let Pushed { setup, nix, closure, .. } = &pushed;
    let (nars3, url, library) = (&setup.nars3, setup.bucket.url(""), &closure.library);
    let nar = nars3.work().join("library.nar");
    nix.command("nix-store").args(["--dump", library]).stdout(std::fs::File::create(&nar)?).status()?;
    let contents = std::fs::read_to_string(format!("{library}/lib/data"))?;
    assert_eq!(nars3.run(["nar", "cat", "library.nar", "/lib/data"])?.stdout, contents);
    assert_eq!(
        nars3.run(["store", "cat", "--store", &url, &format!("{library}/lib/data")])?.stdout,
        contents
    );
    for (ours, theirs) in [
        (
            nars3.run(["nar", "ls", "-R", "--json", "library.nar", "/"])?,
            nix.run("nix", ["nar", "ls", "-R", "--json", &nar.to_string_lossy(), "/"])?,
        ),
        (
            nars3.run(["nar", "ls", "--json", "library.nar", "/"])?,
            nix.run("nix", ["nar", "ls", "--json", &nar.to_string_lossy(), "/"])?,
        ),
        (
            nars3.run(["store", "ls", "-R", "--json", "--store", &url, library])?,
            nix.run("nix", ["store", "ls", "-R", "--json", library])?,
        ),
    ] {
        let parse = |text: String| serde_json::from_str::<Value>(&text);
        // Without a NAR there are no offsets in it.
        let (mut ours, mut theirs) = (parse(ours.success()?)?, parse(theirs.success()?)?);
        without_offsets(&mut ours);
        without_offsets(&mut theirs);
        assert_eq!(ours, theirs);
    }
    for absent in ["lib", "lib/empty", "no/such/file", "lib/link/x"] {
        let path = format!("{library}/{absent}");
        let said = nars3.run(["store", "cat", "--store", &url, &path])?.refusal()?;
        ensure!(said.contains(absent.split('/').next_back().unwrap_or_default()), "{said}");
        nars3.run(["nar", "cat", "library.nar", &format!("/{absent}")])?.refusal()?;
    }
    Ok(())
}

fn without_offsets(node: &mut Value) {
    let Some(members) = node.as_object_mut() else { return };
    members.remove("narOffset");
    for child in
        members.get_mut("entries").and_then(Value::as_object_mut).into_iter().flat_map(|all| all.values_mut())
    {
        without_offsets(child);
    }
}

/// `signing.sh`: who has signed what, and how many signatures are enough.
#[test]
fn verify_counts_signatures() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, closure, public_key, .. } = &pushed;
    let (nars3, url) = (&setup.nars3, setup.bucket.url(""));
    let (_, second) = nars3.key_pair("second-1")?;
    let verify = |keys: &str, more: &[&str]| -> Result<Option<i32>> {
        let arguments = ["store", "verify", "--all", "--store", &url, "--trusted-public-keys", keys];
        Ok(nars3.run(arguments.iter().chain(more))?.status.code())
    };
    let both = format!("{public_key} {second}");
    assert_eq!(verify(public_key, &[])?, Some(0));
    assert_eq!(verify(&second, &[])?, Some(2));
    assert_eq!(verify(&both, &["--sigs-needed", "2"])?, Some(2));
    let key = nars3.secret_key_file("second-1");
    let sign = ["store", "sign", "--store", &url, "--all", "--key-file", &key.to_string_lossy()];
    assert_eq!(nars3.run(sign)?.success()?, "added 4 signatures");
    assert_eq!(nars3.run(sign)?.success()?, "added 0 signatures");
    assert_eq!(verify(&both, &["--sigs-needed", "2"])?, Some(0));
    // The same signature twice is one.
    assert_eq!(verify(public_key, &["--sigs-needed", "2"])?, Some(2));
    ensure!(closure.paths.len() == 4);
    Ok(())
}

/// `signing.sh`: signatures go from one cache to another, and only for equal contents.
#[test]
fn copy_sigs() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let Pushed { setup, closure, public_key, .. } = &pushed;
    let bucket = setup.server.fresh_bucket()?;
    for key in setup.bucket.keys()? {
        bucket.put(&key, &setup.bucket.get(&key)?)?;
    }
    for key in bucket.narinfo_keys()? {
        bucket.put(&key, without_field(&bucket.get_text(&key)?, "Sig").as_bytes())?;
    }
    let forged = narinfo_key(&closure.library);
    let other = with_field(&bucket.get_text(&forged)?, "NarSize", "12345");
    bucket.put(&forged, other.as_bytes())?;
    let (to, from) = (bucket.url(""), setup.bucket.url(""));
    let copied = setup.nars3.run(["store", "copy-sigs", "--store", &to, "--substituter", &from, "--all"])?;
    assert_eq!(copied.success()?, "added 3 signatures");
    let verify = ["store", "verify", "--no-contents", "--store", &to, "--trusted-public-keys", public_key];
    setup.nars3.run(verify.iter().chain(&[closure.app.as_str()]))?.success()?;
    assert_eq!(setup.nars3.run(verify.iter().chain(&[closure.library.as_str()]))?.status.code(), Some(2));
    Ok(())
}

/// Two signers of the same paths at once lose nothing: every one of their signatures is there afterwards.
#[test]
fn signers_at_once_lose_nothing() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (setup, url) = (&pushed.setup, pushed.setup.bucket.url(""));
    let names: Vec<String> = (0..4).map(|number| format!("signer-{number}")).collect();
    for name in &names {
        setup.nars3.key_pair(name)?;
    }
    std::thread::scope(|scope| {
        let sign = |name: &str| -> Result<()> {
            let key = setup.nars3.secret_key_file(name);
            let sign = ["store", "sign", "--store", &url, "--all", "--key-file", &key.to_string_lossy()];
            ensure!(setup.nars3.run(sign)?.success()? == "added 4 signatures");
            Ok(())
        };
        let signers: Vec<_> = names.iter().map(|name| scope.spawn(move || sign(name))).collect();
        signers.into_iter().try_for_each(|one| one.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
    })?;
    for key in setup.bucket.narinfo_keys()? {
        let text = setup.bucket.get_text(&key)?;
        let signers: Vec<&str> =
            text.lines().filter_map(|line| line.strip_prefix("Sig: ")?.split(':').next()).collect();
        ensure!(signers.len() == 5 && names.iter().all(|name| signers.contains(&name.as_str())), "{text}");
    }
    audit(&setup.bucket)?;
    Ok(())
}
