//! The functions of `tests/nixos/s3-binary-cache-store.nix`, on a bucket of its own each.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use nars3_tests::audit::{audit, field};
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Chroot;
use nars3_tests::server::{Access, ServerKind, VIRTUAL_DOMAIN};
use serde_json::Value;

use crate::setup::{Pushed, Setup, small_tree};

/// A bucket with three paths without signatures that prove themselves, and their names.
struct Three {
    setup: Setup,
    paths: Vec<String>,
}

impl Three {
    fn new(settings: &str) -> Result<Self> {
        let setup = Setup::new()?;
        let mut paths = Vec::new();
        for name in ["a", "b", "c"] {
            std::fs::write(setup.nars3.work().join(name), name.repeat(5_000))?;
            paths.push(setup.nars3.run(["add", "--to", &setup.bucket.url(settings), name])?.success()?);
        }
        Ok(Self { setup, paths })
    }

    /// Pulls all three with the `nars3` given, from the bucket with `settings`.
    fn pull(&self, nars3: &Nars3, settings: &str) -> Result<Chroot> {
        let chroot = Chroot::new()?;
        let (from, to) = (self.setup.bucket.url(settings), chroot.store_url());
        let arguments = ["copy", "--from", &from, "--to", &to].into_iter();
        nars3.run(arguments.chain(self.paths.iter().map(String::as_str)))?.success()?;
        ensure!(chroot.objects().len() == 3, "{:?}", chroot.objects());
        Ok(chroot)
    }

    /// A `nars3` whose profile `counted` runs a program for its credentials, which counts how often it is run.
    fn counted(&self) -> Result<Nars3> {
        use std::os::unix::fs::PermissionsExt;
        let nars3 = Nars3::anonymous()?;
        let settings = self.setup.server.settings();
        let (script, log) = (nars3.home().join("provider"), nars3.home().join("asked"));
        let credentials = format!(
            r#"{{"Version":1,"AccessKeyId":"{}","SecretAccessKey":"{}"}}"#,
            settings.access_key, settings.secret_key
        );
        std::fs::write(
            &script,
            format!("#!/bin/sh\necho asked >> {}\necho '{credentials}'\n", log.display()),
        )?;
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
        let profile = format!("[profile counted]\ncredential_process = {}\n", script.display());
        std::fs::write(nars3.home().join("aws-config"), profile)?;
        Ok(nars3)
    }
}

fn asked(nars3: &Nars3) -> Result<usize> {
    Ok(std::fs::read_to_string(nars3.home().join("asked"))?.lines().count())
}

/// Bytes that no method compresses.
fn noise(size: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let next = std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    });
    next.flat_map(u64::to_le_bytes).take(size).collect()
}

/// Parts of an object that was uploaded in parts, as its ETag tells; `None` where the server does not.
fn parts(setup: &Setup, key: &str) -> Result<Option<usize>> {
    if !matches!(ServerKind::from_environment()?, ServerKind::Minio(_)) {
        return Ok(None);
    }
    let headers = setup.bucket.headers(key)?;
    let tag = headers.get("etag").context("no ETag")?.trim_matches('"').to_owned();
    Ok(Some(tag.split_once('-').map_or(Ok(1), |(_, count)| count.parse())?))
}

#[test]
fn test_credential_caching() -> Result<()> {
    let three = Three::new("")?;
    let nars3 = three.counted()?;
    three.pull(&nars3, "profile=counted")?;
    assert_eq!(asked(&nars3)?, 1, "three paths, one question");
    std::thread::scope(|scope| {
        let pulls: Vec<_> =
            (0..5).map(|_| scope.spawn(|| three.pull(&nars3, "profile=counted").map(drop))).collect();
        pulls.into_iter().try_for_each(|pull| pull.join().unwrap_or_else(|_| anyhow::bail!("panicked")))
    })?;
    assert_eq!(asked(&nars3)?, 6, "and one of each of five at once");
    Ok(())
}

#[test]
fn test_aws_log_integration() -> Result<()> {
    let three = Three::new("")?;
    let from = three.setup.bucket.url("");
    let said = |more: &[&str]| -> Result<String> {
        let arguments =
            ["path-info", "--store", &from, &three.paths[0]].into_iter().chain(more.iter().copied());
        let finished = three.setup.nars3.run(arguments)?;
        ensure!(finished.status.success(), "{finished}");
        Ok(finished.stderr)
    };
    let (quiet, debug) = (said(&[])?, said(&["-vvv"])?);
    assert!(!quiet.contains("DEBUG") && quiet.lines().count() <= 1, "{quiet}");
    assert!(debug.len() > quiet.len(), "{debug}");
    assert!(!debug.contains(&three.setup.server.settings().secret_key), "{debug}");
    Ok(())
}

#[test]
fn test_error_message_formatting() -> Result<()> {
    let three = Three::new("")?;
    let absent = "/nix/store/00000000000000000000000000000000-foo-that-does-not-exist";
    let from = three.setup.bucket.url("");
    let chroot = Chroot::new()?;
    let copy = ["copy", "--from", &from, "--to", &chroot.store_url(), absent].map(str::to_owned);
    for arguments in [copy.to_vec(), ["path-info", "--store", &from, absent].map(str::to_owned).to_vec()] {
        let said = three.setup.nars3.run(arguments)?.refusal()?;
        assert!(said.contains("foo-that-does-not-exist"), "{said}");
        assert!(said.contains(&format!("s3://{}", three.setup.bucket.name())), "{said}");
        assert!(!said.contains('%') && !said.contains("{}"), "{said}");
    }
    Ok(())
}

#[test]
fn test_store_operations() -> Result<()> {
    let three = Three::new("")?;
    let nars3 = three.counted()?;
    let url = three.setup.bucket.url("profile=counted");
    let info = nars3.run(["store", "info", "--store", &url])?.success()?;
    let name = format!("s3://{}", three.setup.bucket.name());
    assert!(info.contains(&name), "{info}");
    let json: Value =
        serde_json::from_str(&nars3.run(["store", "info", "--json", "--store", &url])?.success()?)?;
    assert_eq!(json["url"], Value::from(name));
    let before = asked(&nars3)?;
    three.pull(&nars3, "profile=counted")?;
    assert_eq!(asked(&nars3)?, before + 1);
    Ok(())
}

#[test]
fn test_public_bucket_operations() -> Result<()> {
    let three = Three::new("")?;
    three.setup.bucket.allow_anonymous(Access::Read)?;
    let nars3 = Nars3::anonymous()?;
    let url = three.setup.bucket.url("");
    nars3.run(["store", "info", "--store", &url])?.success()?;
    nars3.run(["path-info", "--store", &url, &three.paths[1]])?.success()?;
    three.pull(&nars3, "")?;
    Ok(())
}

#[test]
fn test_url_format_variations() -> Result<()> {
    let three = Three::new("")?;
    let url = three.setup.bucket.url("");
    let (base, query) = url.split_once('?').context("no settings")?;
    let mut settings: Vec<&str> = query.split('&').collect();
    for _ in 0..settings.len() {
        settings.rotate_left(1);
        let url = format!("{base}?{}", settings.join("&"));
        three.setup.nars3.run(["path-info", "--store", &url, &three.paths[0]])?.success()?;
    }
    Ok(())
}

#[test]
fn test_compression_narinfo_gzip() -> Result<()> {
    let three = Three::new("narinfo-compression=gzip")?;
    for path in &three.paths {
        let headers = three.setup.bucket.headers(&narinfo_key(path))?;
        assert_eq!(headers.get("content-encoding").map(String::as_str), Some("gzip"));
    }
    three.pull(&three.setup.nars3, "")?;
    Ok(())
}

#[test]
fn test_compression_mixed() -> Result<()> {
    let three = Three::new("narinfo-compression=br&write-nar-listing=true&ls-compression=gzip")?;
    for path in &three.paths {
        let narinfo = narinfo_key(path);
        for (key, encoding) in [(narinfo.clone(), "br"), (narinfo.replace(".narinfo", ".ls"), "gzip")] {
            let headers = three.setup.bucket.headers(&key)?;
            assert_eq!(headers.get("content-encoding").map(String::as_str), Some(encoding), "{key}");
        }
        three.setup.nars3.run(["store", "ls", "--store", &three.setup.bucket.url(""), path])?.success()?;
    }
    three.pull(&three.setup.nars3, "")?;
    Ok(())
}

#[test]
fn test_compression_disabled() -> Result<()> {
    let three = Three::new("")?;
    for path in &three.paths {
        let headers = three.setup.bucket.headers(&narinfo_key(path))?;
        assert!(!headers.contains_key("content-encoding"), "{headers:?}");
    }
    three.pull(&three.setup.nars3, "")?;
    Ok(())
}

#[test]
fn test_multipart_upload_basic() -> Result<()> {
    let setup = Setup::new()?;
    std::fs::write(setup.nars3.work().join("large"), noise(10 << 20))?;
    let settings = "compression=none&multipart-upload=true&multipart-threshold=5M&multipart-chunk-size=5M";
    let path = setup.nars3.run(["add", "--to", &setup.bucket.url(settings), "large"])?.success()?;
    let narinfo = setup.bucket.get_text(&narinfo_key(&path))?;
    let nar = field(&narinfo, "URL").context("no URL")?;
    if let Some(parts) = parts(&setup, nar)? {
        assert_eq!(parts, 3);
    }
    audit(&setup.bucket)?;
    let chroot = Chroot::new()?;
    setup
        .nars3
        .run(["copy", "--from", &setup.bucket.url(""), "--to", &chroot.store_url(), &path])?
        .success()?;
    assert_eq!(std::fs::read(chroot.physical(&path))?, noise(10 << 20));
    Ok(())
}

#[test]
fn test_multipart_threshold() -> Result<()> {
    let setup = Setup::new()?;
    std::fs::write(setup.nars3.work().join("large"), noise(10 << 20))?;
    let settings = "compression=none&multipart-upload=true&multipart-threshold=1G&multipart-chunk-size=5M";
    let path = setup.nars3.run(["add", "--to", &setup.bucket.url(settings), "large"])?.success()?;
    let narinfo = setup.bucket.get_text(&narinfo_key(&path))?;
    if let Some(parts) = parts(&setup, field(&narinfo, "URL").context("no URL")?)? {
        assert_eq!(parts, 1);
    }
    Ok(())
}

/// With zstd, where Nix's test has brotli, which takes a minute for so much.
#[test]
fn test_multipart_with_log_compression() -> Result<()> {
    let setup = Setup::new()?;
    let derivation = "00000000000000000000000000000000-logged.drv";
    let cache = setup.nars3.home().join("logs");
    std::fs::create_dir_all(cache.join("log"))?;
    std::fs::write(cache.join("nix-cache-info"), "StoreDir: /nix/store\n")?;
    let digits =
        |byte: u8| [b"0123456789abcdef"[usize::from(byte >> 4)], b"0123456789abcdef"[usize::from(byte & 15)]];
    let mut log: Vec<u8> = noise(8 << 20).into_iter().flat_map(digits).collect();
    log.push(b'\n');
    std::fs::write(cache.join("log").join(derivation), &log)?;
    let settings =
        "log-compression=zstd&multipart-upload=true&multipart-threshold=5M&multipart-chunk-size=5M";
    let (from, full) = (format!("file://{}", cache.display()), format!("/nix/store/{derivation}"));
    setup
        .nars3
        .run(["store", "copy-log", "--from", &from, "--to", &setup.bucket.url(settings), &full])?
        .success()?;
    let key = format!("log/{derivation}");
    if let Some(parts) = parts(&setup, &key)? {
        assert!(parts > 1, "{parts}");
    }
    assert_eq!(setup.bucket.headers(&key)?["content-encoding"], "zstd");
    let said = setup.nars3.command().args(["log", "--store", &setup.bucket.url(""), &full]).output()?;
    assert!(said.stdout == log, "{} bytes of {}", said.stdout.len(), log.len());
    Ok(())
}

#[test]
fn test_profile_credentials() -> Result<()> {
    let three = Three::new("")?;
    let settings = three.setup.server.settings();
    let nars3 = Nars3::anonymous()?;
    let profiles = format!(
        "[valid]\naws_access_key_id = {}\naws_secret_access_key = {}\n\n\
         [invalid]\naws_access_key_id = INVALID\naws_secret_access_key = INVALID\n",
        settings.access_key, settings.secret_key
    );
    std::fs::write(nars3.home().join("aws-credentials"), profiles)?;
    three.pull(&nars3, "profile=valid")?;
    let from = three.setup.bucket.url("profile=invalid");
    let chroot = Chroot::new()?;
    nars3.run(["copy", "--from", &from, "--to", &chroot.store_url(), &three.paths[0]])?.refusal()?;
    Ok(())
}

/// The other way round than in Nix 2.36, see docs/differences.md: what the URL says is more explicit.
#[test]
fn test_env_vars_precedence() -> Result<()> {
    let three = Three::new("")?;
    three.pull(&three.setup.nars3, "")?;
    std::fs::write(
        three.setup.nars3.home().join("aws-credentials"),
        "[wrong]\naws_access_key_id = WRONG\naws_secret_access_key = WRONG\n",
    )?;
    let from = three.setup.bucket.url("profile=wrong");
    // What the pull has learned is remembered on disk, and needs no credentials.
    three.setup.nars3.run(["path-info", "--refresh", "--store", &from, &three.paths[0]])?.refusal()?;
    Ok(())
}

#[test]
fn test_credential_provider_chain() -> Result<()> {
    let three = Three::new("")?;
    let from = three.setup.bucket.url("profile=absent");
    let said = three.setup.nars3.run(["-vv", "path-info", "--store", &from, &three.paths[0]])?.refusal()?;
    assert!(said.contains("profile 'absent' is not in the configuration files"), "{said}");
    // Without a profile every provider is asked, in this order, and each says why it has none.
    let words = ["-vv", "path-info", "--store", &three.setup.bucket.url(""), &three.paths[0]];
    let said = Nars3::anonymous()?.run(words)?.stderr;
    let asked: Vec<&str> =
        said.lines().filter_map(|line| line.split_once("provider=\"")?.1.split('"').next()).collect();
    let order = ["environment", "profile", "web identity", "container", "instance metadata"];
    assert_eq!(asked, order, "{said}");
    assert!(said.contains("requests will not be signed"), "{said}");
    // The first that has some ends the search.
    let words = ["-vv", "path-info", "--store", &three.setup.bucket.url(""), &three.paths[0]];
    let worked = three.setup.nars3.run(words)?;
    assert!(worked.status.success() && !worked.stderr.contains("no AWS credentials"), "{worked}");
    Ok(())
}

/// No name server here knows a host for each bucket. But the server is its clients' proxy as well: they leave names to it.
#[test]
fn test_virtual_hosted_copy() -> Result<()> {
    let three = Three::new("")?;
    if !matches!(ServerKind::from_environment()?, ServerKind::Minio(_)) {
        return Ok(());
    }
    let setup = &three.setup;
    let proxy = format!("http://{}", setup.server.endpoint());
    let nars3 = Nars3::for_server(&setup.server)?.with("http_proxy", proxy);
    let bucket = setup.server.fresh_bucket()?;
    let style = |style: &str| bucket.url_at(VIRTUAL_DOMAIN, &format!("addressing-style={style}"));
    let virtual_hosted = style("virtual");
    let copy = ["copy", "--from", &setup.bucket.url(""), "--to", &virtual_hosted];
    let up = nars3.run(["-vv"].iter().chain(&copy).copied().chain(three.paths.iter().map(String::as_str)))?;
    let host = format!("{}.{VIRTUAL_DOMAIN}", bucket.name());
    ensure!(up.status.success(), "{up}");
    ensure!(bucket.narinfo_keys()?.len() == 3, "{:?}", bucket.keys()?);
    let chroot = Chroot::new()?;
    let (from, to) = (virtual_hosted.as_str(), chroot.store_url());
    let down = ["copy", "--from", from, "--to", &to].into_iter();
    nars3.run(down.chain(three.paths.iter().map(String::as_str)))?.success()?;
    ensure!(chroot.objects().len() == 3, "{:?}", chroot.objects());
    // What fails names the host that was asked, which has the bucket in it.
    let elsewhere = Nars3::for_server(&setup.server)?.with("http_proxy", "http://127.0.0.1:9");
    let said = elsewhere.run(["path-info", "--store", from, &three.paths[0]])?.refusal()?;
    ensure!(said.contains(&host), "{said}");
    let by_path = style("path");
    let said = elsewhere.run(["path-info", "--store", &by_path, &three.paths[0]])?.refusal()?;
    ensure!(said.contains(VIRTUAL_DOMAIN) && !said.contains(&host), "{said}");
    Ok(())
}

#[test]
fn test_explicit_path_style() -> Result<()> {
    let three = Three::new("addressing-style=path")?;
    three.pull(&three.setup.nars3, "addressing-style=path")?;
    let names: BTreeSet<String> = three.paths.iter().map(|path| path.replace("/nix/store/", "")).collect();
    assert_eq!(audit(&three.setup.bucket)?.paths, names);
    Ok(())
}

/// The version of 2.29: `path-info` fails before a copy without signatures, and works after it.
#[test]
fn test_copy_without_signature_checks() -> Result<()> {
    let Some(Pushed { setup, nix, closure, .. }) = Pushed::new("")? else { return Ok(()) };
    let chroot = Chroot::new()?;
    let (from, to) = (setup.bucket.url(""), chroot.store_url());
    setup.nars3.run(["path-info", "--store", &to, &closure.app])?.refusal()?;
    setup.nars3.run(["copy", "--no-check-sigs", "--from", &from, "--to", &to, &closure.app])?.success()?;
    setup.nars3.run(["path-info", "--store", &to, &closure.app])?.success()?;
    nix.verify(&chroot)?;
    small_tree(&setup.nars3.work())?;
    Ok(())
}
