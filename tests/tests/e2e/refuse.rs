//! What must not get in: each forgery is refused with a message of its own, a failing exit code, and nothing registered.

use anyhow::{Context, Result};
use nars3_tests::audit::{field, sha256, with_field, without_field};
use nars3_tests::closure::{base_name, narinfo_key};
use nars3_tests::nix::Chroot;

use crate::setup::{Pushed, Setup, small_tree};

/// Pulls the closure and expects a refusal. Every one of `words` must be in the message, and the target must stay empty.
fn refused(pushed: &Pushed, trusted: &[&str], words: &[&str]) -> Result<()> {
    let chroot = Chroot::new()?;
    let (from, to) = (pushed.setup.bucket.url(""), chroot.store_url());
    let command = ["copy", "--from", &from, "--to", &to];
    let said = pushed
        .setup
        .nars3
        .run(command.into_iter().chain(trusted.iter().copied()).chain([pushed.closure.app.as_str()]))?
        .refusal()?;
    for word in words {
        // Messages name store paths without their directory.
        assert!(said.contains(base_name(word)), "'{word}' is not in the message:\n{said}");
    }
    // Paths that are in order by themselves may have come in before the bad one was met; the bad one and the root may not.
    let registered = pushed.nix.registered(&chroot)?;
    assert!(!registered.contains(&pushed.closure.app), "the root was registered after a refusal");
    let refused = registered.iter().find(|path| words.contains(&path.as_str()));
    assert_eq!(refused, None, "a path that was refused is registered");
    let objects: Vec<String> = chroot.objects().iter().map(|object| format!("/nix/store/{object}")).collect();
    assert_eq!(objects, registered, "what lies in the store is not what is registered");
    pushed.nix.verify(&chroot)
}

fn trusting(pushed: &Pushed) -> [&str; 2] {
    ["--trusted-public-keys", &pushed.public_key]
}

#[test]
fn a_closure_signed_by_a_key_that_is_not_trusted() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (_, other) = pushed.setup.nars3.key_pair("somebody-else-1")?;
    refused(
        &pushed,
        &["--trusted-public-keys", &other],
        &["no signature by a trusted key", "signatures that name nars3-test-1"],
    )
}

#[test]
fn a_closure_signed_by_another_key_of_the_same_name() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let (_, impostor) = pushed.setup.nars3.key_pair(crate::setup::KEY)?;
    assert_ne!(impostor, pushed.public_key);
    refused(&pushed, &["--trusted-public-keys", &impostor], &["the signature of", "is not valid"])
}

#[test]
fn a_closure_when_no_key_is_trusted_at_all() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    refused(&pushed, &[], &["trusted-public-keys"])
}

#[test]
fn a_path_without_any_signature() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let key = narinfo_key(&pushed.closure.library);
    let unsigned = without_field(&pushed.setup.bucket.get_text(&key)?, "Sig");
    pushed.setup.bucket.put(&key, unsigned.as_bytes())?;
    refused(&pushed, &trusting(&pushed), &[&pushed.closure.library, "the path is unsigned"])
}

#[test]
fn a_nar_with_one_byte_changed() -> Result<()> {
    let Some(pushed) = Pushed::new("compression=none")? else { return Ok(()) };
    change_nar(&pushed, |nar| {
        let place = nar.windows(4).position(|window| window == b"line").expect("the library has that text");
        nar[place] ^= 1;
    })?;
    refused(&pushed, &trusting(&pushed), &[&pushed.closure.library, "FileHash"])?;

    // Nobody signs FileHash and FileSize, and a cache may leave them out: NarHash is the one that counts.
    let key = narinfo_key(&pushed.closure.library);
    let narinfo = pushed.setup.bucket.get_text(&key)?;
    let without = without_field(&without_field(&narinfo, "FileHash"), "FileSize");
    pushed.setup.bucket.put(&key, without.as_bytes())?;
    refused(&pushed, &trusting(&pushed), &[&pushed.closure.library, "has hash sha256:"])
}

#[test]
fn a_nar_that_lies_on_another_server() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let bucket = &pushed.setup.bucket;
    let key = narinfo_key(&pushed.closure.library);
    let original = bucket.get_text(&key)?;
    for url in
        ["http://127.0.0.1:9/nar/x.nar", "//127.0.0.1/nar/x.nar", "../../other-bucket/x.nar", "/etc/passwd"]
    {
        bucket.put(&key, with_field(&original, "URL", url).as_bytes())?;
        refused(&pushed, &trusting(&pushed), &[&key, url])?;
    }
    Ok(())
}

#[test]
fn a_nar_that_is_cut_short() -> Result<()> {
    for compression in ["none", "zstd", "xz"] {
        let Some(pushed) = Pushed::new(&format!("compression={compression}"))? else { return Ok(()) };
        change_nar(&pushed, |nar| nar.truncate(nar.len() / 2))?;
        refused(&pushed, &trusting(&pushed), &[&pushed.closure.library])?;
    }
    Ok(())
}

#[test]
fn a_nar_with_more_behind_its_end() -> Result<()> {
    for compression in ["none", "zstd", "xz"] {
        let Some(pushed) = Pushed::new(&format!("compression={compression}"))? else { return Ok(()) };
        change_nar(&pushed, |nar| nar.extend_from_slice(&[0; 64]))?;
        refused(&pushed, &trusting(&pushed), &[&pushed.closure.library])?;
    }
    Ok(())
}

#[test]
fn a_nar_that_is_compressed_garbage() -> Result<()> {
    for compression in ["zstd", "xz"] {
        let Some(pushed) = Pushed::new(&format!("compression={compression}"))? else { return Ok(()) };
        change_nar(&pushed, |nar| nar.fill(0x55))?;
        let narinfo = pushed.setup.bucket.get_text(&narinfo_key(&pushed.closure.library))?;
        refused(&pushed, &trusting(&pushed), &[field(&narinfo, "URL").context("no URL")?, "corrupt"])?;
    }
    Ok(())
}

#[test]
fn a_nar_that_is_not_there() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let narinfo = pushed.setup.bucket.get_text(&narinfo_key(&pushed.closure.library))?;
    let url = field(&narinfo, "URL").context("no URL")?.to_owned();
    pushed.setup.bucket.delete(&url)?;
    refused(&pushed, &trusting(&pushed), &[&url])
}

fn change_nar(pushed: &Pushed, change: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
    let bucket = &pushed.setup.bucket;
    let narinfo = bucket.get_text(&narinfo_key(&pushed.closure.library))?;
    let url = field(&narinfo, "URL").context("no URL")?;
    let mut nar = bucket.get(url)?;
    change(&mut nar);
    bucket.put(url, &nar)
}

#[test]
fn a_narinfo_that_is_cut_short() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let key = narinfo_key(&pushed.closure.library);
    let narinfo = pushed.setup.bucket.get(&key)?;
    pushed.setup.bucket.put(&key, &narinfo[..narinfo.len() / 3])?;
    refused(&pushed, &trusting(&pushed), &[&key, "corrupt"])
}

#[test]
fn a_narinfo_that_is_not_text() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let key = narinfo_key(&pushed.closure.library);
    pushed.setup.bucket.put(&key, &[0xff; 300])?;
    refused(&pushed, &trusting(&pushed), &[&key])
}

#[test]
fn a_narinfo_whose_facts_were_changed_after_signing() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let bucket = &pushed.setup.bucket;
    let key = narinfo_key(&pushed.closure.app);
    let original = bucket.get_text(&key)?;
    let library = pushed.closure.library.trim_start_matches("/nix/store/");
    for (name, value) in
        [("NarHash", sha256(b"forged").as_str()), ("NarSize", "12345"), ("References", library)]
    {
        bucket.put(&key, with_field(&original, name, value).as_bytes())?;
        refused(&pushed, &trusting(&pushed), &[&pushed.closure.app, "signature"])?;
    }
    Ok(())
}

#[test]
fn a_narinfo_of_another_path_under_this_key() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let bucket = &pushed.setup.bucket;
    let other = bucket.get(&narinfo_key(&pushed.closure.app))?;
    let key = narinfo_key(&pushed.closure.library);
    bucket.put(&key, &other)?;
    refused(&pushed, &trusting(&pushed), &[&key])
}

#[test]
fn a_closure_with_a_reference_missing() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    pushed.setup.bucket.delete(&narinfo_key(&pushed.closure.library))?;
    refused(&pushed, &trusting(&pushed), &[&pushed.closure.library])
}

#[test]
fn a_cache_of_another_store_directory() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    pushed.setup.bucket.put("nix-cache-info", b"StoreDir: /elsewhere/store\n")?;
    refused(&pushed, &trusting(&pushed), &["/elsewhere/store", "/nix/store"])
}

#[test]
fn a_path_that_is_not_in_the_cache() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    pushed.setup.bucket.delete(&narinfo_key(&pushed.closure.app))?;
    refused(&pushed, &trusting(&pushed), &[&pushed.closure.app])
}

/// An unsigned path whose content address is true is accepted; the same one with other contents is not.
#[test]
fn contents_that_are_not_what_the_content_address_says() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let url = setup.bucket.url("compression=none");
    let path = setup.nars3.run(["add", "--to", &url, &tree.to_string_lossy()])?.success()?;
    let key = narinfo_key(&path);
    let honest = setup.bucket.get_text(&key)?;
    assert!(field(&honest, "Sig").is_none(), "no key was given, so no signature is expected: {honest}");
    let pull = |chroot: &Chroot| {
        setup.nars3.run([
            "copy",
            // The narinfo changes below, and what it was is not the question.
            "--refresh",
            "--from",
            &url,
            "--to",
            &chroot.store_url(),
            "--trusted-public-keys",
            &pushed.public_key,
            &path,
        ])
    };
    let accepting = Chroot::new()?;
    pull(&accepting)?.success()?;
    pushed.nix.verify(&accepting)?;
    assert_eq!(pushed.nix.registered(&accepting)?, [path.as_str()]);

    // Other contents, with every hash of the narinfo made to fit: only the content address tells.
    let mut nar = setup.bucket.get(field(&honest, "URL").context("no URL")?)?;
    let place = nar.windows(9).position(|window| window == b"some data").expect("the tree has that text");
    nar[place..place + 9].copy_from_slice(b"evil data");
    let hash = sha256(&nar);
    let nar_key = format!("nar/{}.nar", hash.trim_start_matches("sha256:"));
    setup.bucket.put(&nar_key, &nar)?;
    let mut forged = honest.clone();
    for (name, value) in [("URL", nar_key.as_str()), ("FileHash", &hash), ("NarHash", &hash)] {
        forged = with_field(&forged, name, value);
    }
    setup.bucket.put(&key, forged.as_bytes())?;
    content_address_refused(&pushed, &pull, &path)?;

    // The same with a content address that fits the contents, but not the store path.
    setup.bucket.put(&key, with_field(&forged, "CA", &format!("fixed:r:{hash}")).as_bytes())?;
    content_address_refused(&pushed, &pull, &path)
}

fn content_address_refused(
    pushed: &Pushed,
    pull: &impl Fn(&Chroot) -> Result<nars3_tests::process::Finished>,
    path: &str,
) -> Result<()> {
    let refusing = Chroot::new()?;
    let said = pull(&refusing)?.refusal()?;
    assert!(said.contains(base_name(path)) && said.contains("content address"), "{said}");
    assert_eq!(pushed.nix.registered(&refusing)?, Vec::<String>::new());
    assert_eq!(refusing.objects(), Vec::<String>::new());
    Ok(())
}

/// The other direction: a store whose files are not what its database says must not get into a cache.
#[test]
fn a_store_object_that_was_changed_on_disk_is_not_pushed() -> Result<()> {
    let Some(pushed) = Pushed::new("")? else { return Ok(()) };
    let chroot = Chroot::new()?;
    let from = pushed.setup.bucket.url("");
    pushed
        .setup
        .nars3
        .run(
            ["copy", "--from", &from, "--to", &chroot.store_url()]
                .into_iter()
                .chain(trusting(&pushed))
                .chain([pushed.closure.app.as_str()]),
        )?
        .success()?;
    let data = chroot.physical(&pushed.closure.library).join("lib/data");
    let mut permissions = std::fs::metadata(&data)?.permissions();
    #[expect(
        clippy::permissions_set_readonly_false,
        reason = "the store made it read-only, and the test owns the store"
    )]
    permissions.set_readonly(false);
    std::fs::set_permissions(&data, permissions)?;
    let mut contents = std::fs::read(&data)?;
    contents.fill(b'x');
    std::fs::write(&data, contents)?;

    let target = pushed.setup.server.fresh_bucket()?;
    let said = pushed
        .setup
        .nars3
        .run(["copy", "--from", &chroot.store_url(), "--to", &target.url(""), &pushed.closure.app])?
        .refusal()?;
    assert!(said.contains(base_name(&pushed.closure.library)) && said.contains("sha256:"), "{said}");
    let found = nars3_tests::audit::audit(&target)?;
    let library = pushed.closure.library.trim_start_matches("/nix/store/");
    assert!(!found.paths.contains(library), "the changed path was published");
    Ok(())
}
