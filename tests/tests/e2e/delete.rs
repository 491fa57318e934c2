//! `nars3 store delete`: never what others refer to, the narinfo before its NAR, and a NAR only once nobody names it.

use std::collections::BTreeMap;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use nars3_tests::audit::{field, sha256};
use nars3_tests::closure::narinfo_key;
use nars3_tests::faults::{Answer, Fault, FaultProxy};
use nars3_tests::nix::{Chroot, Nix};
use nars3_tests::process::Finished;
use nars3_tests::require;
use nars3_tests::server::{Access, Bucket};
use tempfile::TempDir;

use crate::ends::each_file;
use crate::setup::{Setup, small_tree};

/// Where the cache is.
enum Place {
    S3(Bucket),
    File(TempDir),
}

/// A cache of four paths: `program` refers to `library` and itself, `twin` has the NAR of `library`, `other` stands alone.
struct Cache {
    setup: Setup,
    place: Place,
    library: String,
    twin: String,
    program: String,
    other: String,
}

impl Cache {
    fn both() -> Result<[Self; 2]> {
        let directory = tempfile::Builder::new().prefix("nars3-cache-").tempdir()?;
        let setup = Setup::new()?;
        let bucket = setup.server.fresh_bucket()?;
        Ok([Self::fill(setup, Place::S3(bucket))?, Self::fill(Setup::new()?, Place::File(directory))?])
    }

    fn in_bucket() -> Result<Self> {
        let setup = Setup::new()?;
        let bucket = setup.server.fresh_bucket()?;
        Self::fill(setup, Place::S3(bucket))
    }

    fn bucket(&self) -> Result<&Bucket> {
        match &self.place {
            Place::S3(bucket) => Ok(bucket),
            Place::File(_) => anyhow::bail!("it is in no bucket"),
        }
    }

    fn fill(setup: Setup, place: Place) -> Result<Self> {
        let mut cache = Self {
            setup,
            place,
            library: String::new(),
            twin: String::new(),
            program: String::new(),
            other: String::new(),
        };
        let work = cache.setup.nars3.work();
        let tree = small_tree(&work)?;
        let (program, other) = (work.join("program"), work.join("other"));
        std::fs::write(&program, "a program\n")?;
        std::fs::write(&other, "nobody's\n")?;
        cache.library = cache.add(&tree, &["--name", "library"])?;
        cache.twin = cache.add(&tree, &["--name", "twin"])?;
        cache.program = cache.add(&program, &["--references", &cache.library])?;
        cache.other = cache.add(&other, &[])?;
        Ok(cache)
    }

    fn url(&self) -> String {
        match &self.place {
            Place::S3(bucket) => bucket.url(""),
            Place::File(directory) => format!("file://{}", directory.path().display()),
        }
    }

    fn add(&self, what: &Path, more: &[&str]) -> Result<String> {
        let url = match &self.place {
            Place::S3(bucket) => bucket.url("write-nar-listing=true"),
            Place::File(_) => format!("{}?write-nar-listing=true", self.url()),
        };
        let what = what.to_string_lossy();
        self.setup.nars3.run(["add", "--to", &url, &what].iter().chain(more))?.success()
    }

    fn delete(&self, arguments: &[&str]) -> Result<Finished> {
        self.setup.nars3.run(["store", "delete", "--store", &self.url()].iter().chain(arguments))
    }

    /// The hashes of all objects, by their keys.
    fn objects(&self) -> Result<BTreeMap<String, String>> {
        let mut objects = BTreeMap::new();
        match &self.place {
            Place::S3(bucket) => {
                for key in bucket.keys()? {
                    let hash = sha256(&bucket.get(&key)?);
                    objects.insert(key, hash);
                }
            }
            Place::File(directory) => each_file(directory.path(), |key, file| {
                objects.insert(key.to_owned(), sha256(&std::fs::read(file)?));
                Ok(())
            })?,
        }
        Ok(objects)
    }

    /// The key of the NAR of a path.
    fn nar(&self, path: &str) -> Result<String> {
        let key = narinfo_key(path);
        let narinfo = match &self.place {
            Place::S3(bucket) => bucket.get_text(&key)?,
            Place::File(directory) => std::fs::read_to_string(directory.path().join(key))?,
        };
        Ok(field(&narinfo, "URL").context("no URL")?.to_owned())
    }

    /// All that the cache says of itself is true, and there is no NAR too many.
    fn ensure_sound(&self, paths: usize) -> Result<()> {
        let verify = ["store", "verify", "--all", "--no-trust", "--store", &self.url()];
        let said = self.setup.nars3.run(verify)?.success()?;
        anyhow::ensure!(said.ends_with(" checked, 0 findings"), "{said}");
        let paths = if paths == 1 { "1 path ".to_owned() } else { format!("{paths} paths ") };
        anyhow::ensure!(said.starts_with(&paths), "{said}");
        Ok(())
    }
}

#[test]
fn what_others_refer_to_stays_and_they_are_named() -> Result<()> {
    for cache in Cache::both()? {
        let before = cache.objects()?;
        for more in [&[][..], &["--dry-run"]] {
            // Together with one that could go: nothing goes.
            let arguments = [&[cache.library.as_str(), &cache.other], more].concat();
            let refused = cache.delete(&arguments)?;
            assert_eq!((refused.status.code(), refused.stdout.as_str()), (Some(1), ""), "{refused}");
            let said = refused.refusal()?;
            let name = |path: &str| path.trim_start_matches("/nix/store/").to_owned();
            let line = format!("'{}' refers to '{}'", name(&cache.program), name(&cache.library));
            assert!(said.contains(&line) && said.contains("--referrers"), "{said}");
            assert_eq!(cache.objects()?, before);
        }
        // Who refers to it goes along, because it is named as well; in whichever order.
        cache.delete(&[&cache.library, &cache.program])?.success()?;
        cache.ensure_sound(2)?;
    }
    Ok(())
}

#[test]
fn a_dry_run_says_what_the_deletion_then_says_and_does() -> Result<()> {
    for cache in Cache::both()? {
        let before = cache.objects()?;
        let arguments = ["--referrers", &cache.library, &cache.library];
        let dry = cache.delete(&[&arguments[..], &["--dry-run"]].concat())?;
        assert!(dry.stderr.contains("would delete 2 paths, 1 NAR and 0 links"), "{dry}");
        let expected = format!("{}\n{}\n", cache.program, cache.library);
        assert_eq!(dry.stdout, expected);
        assert_eq!(cache.objects()?, before);
        let real = cache.delete(&arguments)?;
        assert!(real.stderr.contains("deleted 2 paths, 1 NAR and 0 links"), "{real}");
        assert_eq!(real.stdout, expected);
        let left = cache.objects()?;
        let gone: Vec<String> = before.into_keys().filter(|key| !left.contains_key(key)).collect();
        let listing = |path: &str| narinfo_key(path).replace(".narinfo", ".ls");
        for key in [listing(&cache.library), narinfo_key(&cache.library), listing(&cache.program)] {
            assert!(gone.contains(&key), "{key}: {gone:?}");
        }
        // Two narinfos, two listings, and the NAR of the program: the library's is the twin's as well.
        assert_eq!(gone.len(), 5, "{gone:?}");
        cache.ensure_sound(2)?;
    }
    Ok(())
}

#[test]
fn a_nar_goes_with_the_last_narinfo_that_names_it() -> Result<()> {
    for cache in Cache::both()? {
        let nar = cache.nar(&cache.twin)?;
        assert_eq!(cache.nar(&cache.library)?, nar);
        cache.delete(&["--referrers", &cache.library])?.success()?;
        assert!(cache.objects()?.contains_key(&nar));
        cache.ensure_sound(2)?;
        // Nobody else needs it now; and what is left is a cache still.
        cache.delete(&[&cache.twin])?.success()?;
        assert!(!cache.objects()?.contains_key(&nar));
        cache.ensure_sound(1)?;
        cache.delete(&[&cache.other])?.success()?;
        let left: Vec<String> = cache.objects()?.into_keys().collect();
        assert_eq!(left, ["nix-cache-info"]);
    }
    Ok(())
}

#[test]
fn real_nix_finds_what_is_left_and_nothing_of_what_went() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    for cache in Cache::both()? {
        cache.delete(&["--referrers", &cache.library])?.success()?;
        let url = match &cache.place {
            Place::S3(bucket) => {
                bucket.allow_anonymous(Access::Read)?;
                bucket.http_url()
            }
            Place::File(_) => cache.url(),
        };
        nix.run("nix", ["path-info", "--store", &url, &cache.library])?.refusal()?;
        let chroot = Chroot::new()?;
        nix.pull(&url, &chroot, &cache.twin, "")?.success()?;
        nix.verify(&chroot)?;
    }
    Ok(())
}

/// What this machine remembers of the cache does not outlive the deletion.
#[test]
fn what_was_deleted_is_forgotten_here() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let ask = ["path-info", "--store", &cache.url(), &cache.other];
    cache.setup.nars3.run(ask)?.success()?;
    cache.delete(&[&cache.other])?.success()?;
    cache.setup.nars3.run(ask)?.refusal()?;
    Ok(())
}

#[test]
fn what_is_not_there_is_an_error_before_anything_goes() -> Result<()> {
    for cache in Cache::both()? {
        let before = cache.objects()?;
        let absent = "/nix/store/00000000000000000000000000000000-absent";
        let said = cache.delete(&[&cache.other, absent])?.refusal()?;
        assert!(said.contains("-absent"), "{said}");
        // The hash part alone does not make it the same path.
        let renamed = format!("{}-renamed", cache.other);
        let said = cache.delete(&[&renamed])?.refusal()?;
        assert!(said.contains("-renamed"), "{said}");
        assert_eq!(cache.objects()?, before);
    }
    Ok(())
}

/// A narinfo that cannot be read could refer to anything.
#[test]
fn nothing_goes_from_a_cache_that_cannot_be_understood() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let key = format!("{}.narinfo", "1".repeat(32));
    cache.bucket()?.put(&key, b"no narinfo\n")?;
    let before = cache.objects()?;
    let said = cache.delete(&[&cache.other])?.refusal()?;
    assert!(said.contains(&key), "{said}");
    assert_eq!(cache.objects()?, before);
    Ok(())
}

/// Nor is one that may not be read: the server says that it is there.
#[test]
fn nothing_goes_while_a_narinfo_is_denied() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let bucket = cache.bucket()?;
    let key = narinfo_key(&cache.program);
    let proxy = FaultProxy::start(cache.setup.server.endpoint())?;
    let denied = key.clone();
    proxy.inject(
        usize::MAX,
        move |request| request.target.split('?').next().is_some_and(|path| path.ends_with(&denied)),
        Fault::Answer(Answer::error(403, "AccessDenied")),
    );
    let url = bucket.url_at(proxy.endpoint(), "");
    let before = cache.objects()?;
    for path in [&cache.library, &cache.other] {
        let said = cache.setup.nars3.run(["store", "delete", "--store", &url, path])?.refusal()?;
        assert!(said.contains(&key) && said.contains("AccessDenied"), "{said}");
    }
    assert_eq!(cache.objects()?, before);
    for more in [&[][..], &["--json"], &["--recursive"]] {
        let arguments = [&["path-info", "--all", "--store", &url][..], more].concat();
        let said = cache.setup.nars3.run(arguments)?.refusal()?;
        assert!(said.contains(&key), "{more:?}: {said}");
    }
    let verify = ["store", "verify", "--all", "--no-trust", "--store", &url];
    let finished = cache.setup.nars3.run(verify)?;
    assert_eq!(finished.status.code(), Some(4), "{finished}");
    let nar = cache.nar(&cache.program)?;
    for line in [format!("unreadable-narinfo: {key}: "), format!("uncertain-orphan-nar: {nar}: ")] {
        assert!(finished.stdout.contains(&line), "{line}: {finished}");
    }
    Ok(())
}

/// A NAR that may not be read is not missing, and the rest is checked all the same.
#[test]
fn a_nar_that_is_denied_is_one_finding_among_others() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let bucket = cache.bucket()?;
    let nar = cache.nar(&cache.other)?;
    bucket.put(&cache.nar(&cache.program)?, b"torn")?;
    let proxy = FaultProxy::start(cache.setup.server.endpoint())?;
    let denied = nar.clone();
    proxy.inject(
        usize::MAX,
        move |request| request.target.split('?').next().is_some_and(|path| path.ends_with(&denied)),
        Fault::Answer(Answer::error(403, "AccessDenied")),
    );
    let verify = ["store", "verify", "--all", "--no-trust", "--store", &bucket.url_at(proxy.endpoint(), "")];
    let finished = cache.setup.nars3.run(verify)?;
    assert_eq!(finished.status.code(), Some(1 | 4), "{finished}");
    for line in [format!("unreadable-nar: {}: ", cache.other), format!("corrupt-nar: {}: ", cache.program)] {
        assert!(finished.stdout.contains(&line), "{line}: {finished}");
    }
    assert!(finished.stdout.contains("4 paths checked, 2 findings"), "{finished}");
    Ok(())
}

/// Wherever a deletion breaks off, no narinfo is left without its NAR, and none that refers to what is gone.
#[test]
fn the_narinfos_go_before_the_nars_and_referrers_before_what_they_refer_to() -> Result<()> {
    // Narinfos of the program and the library, their listings, and the NAR of the program.
    for done in 0..5 {
        let cache = Cache::in_bucket()?;
        let bucket = cache.bucket()?;
        let (program, library) = (narinfo_key(&cache.program), narinfo_key(&cache.library));
        let nar = cache.nar(&cache.program)?;
        let proxy = FaultProxy::start(cache.setup.server.endpoint())?;
        let deletions = AtomicUsize::new(0);
        proxy.inject(
            usize::MAX,
            move |request| {
                let deletes = request.method == "DELETE" || request.target.contains("?delete");
                deletes && deletions.fetch_add(1, Ordering::Relaxed) >= done
            },
            Fault::Answer(Answer::error(403, "AccessDenied")),
        );
        let url = bucket.url_at(proxy.endpoint(), "");
        let delete = ["store", "delete", "--referrers", "--store", &url, &cache.library];
        cache.setup.nars3.run(delete)?.refusal().with_context(|| format!("after {done}"))?;
        let left = bucket.keys()?;
        assert_eq!(
            (left.contains(&program), left.contains(&library)),
            (done == 0, done <= 1),
            "{done}: {left:?}"
        );
        assert!(left.contains(&nar), "{done}: {left:?}");
        let verify = ["store", "verify", "--all", "--no-trust", "--store", &bucket.url("")];
        let said = cache.setup.nars3.run(verify)?.success()?;
        assert_eq!(said.contains("orphan-nar: "), done > 0, "{done}: {said}");
    }
    Ok(())
}

#[test]
fn in_a_directory_the_narinfos_go_first_too() -> Result<()> {
    if !require::is_root("to become somebody else") {
        return Ok(());
    }
    let [_, cache] = Cache::both()?;
    let Place::File(directory) = &cache.place else { anyhow::bail!("no directory") };
    let nar = cache.nar(&cache.other)?;
    let delete = || {
        let mut command = cache.setup.nars3.unprivileged()?;
        Finished::run(command.args(["store", "delete", "--store", &cache.url(), &cache.other]))
    };
    let nobody = Some(65_534);
    let others = |mode| std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(mode));
    others(0o755)?;
    let before = cache.objects()?;
    // The narinfos may not be deleted: the NAR, which might, stays.
    chown(directory.path().join("nar"), nobody, nobody)?;
    delete()?.refusal()?;
    assert_eq!(cache.objects()?, before);
    // Only the NAR may not.
    chown(directory.path().join("nar"), Some(0), Some(0))?;
    chown(directory.path(), nobody, nobody)?;
    delete()?.refusal()?;
    let left = cache.objects()?;
    assert!(left.contains_key(&nar) && !left.contains_key(&narinfo_key(&cache.other)));
    Ok(())
}

/// Who only looks needs no rights to write, and makes nothing.
#[test]
fn a_dry_run_writes_nothing_at_all() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let bucket = cache.bucket()?;
    let proxy = FaultProxy::start(cache.setup.server.endpoint())?;
    let url = bucket.url_at(proxy.endpoint(), "");
    cache.setup.nars3.run(["store", "delete", "--dry-run", "--store", &url, &cache.other])?.success()?;
    let writes: Vec<_> = proxy
        .seen()
        .into_iter()
        .filter(|seen| !["GET", "HEAD"].contains(&seen.request.method.as_str()))
        .collect();
    assert!(writes.is_empty(), "{writes:?}");

    let nowhere = cache.setup.nars3.work().join("nowhere");
    let url = format!("file://{}", nowhere.display());
    cache.setup.nars3.run(["store", "delete", "--dry-run", "--store", &url, &cache.other])?.refusal()?;
    cache.setup.nars3.run(["store", "delete", "--store", &url, &cache.other])?.refusal()?;
    assert!(!nowhere.exists(), "a deletion made a cache");
    Ok(())
}

#[test]
fn a_web_server_is_not_asked_to_delete() -> Result<()> {
    let cache = Cache::in_bucket()?;
    let bucket = cache.bucket()?;
    bucket.allow_anonymous(Access::ReadWrite)?;
    let before = cache.objects()?;
    let said =
        cache.setup.nars3.run(["store", "delete", "--store", &bucket.http_url(), &cache.other])?.refusal()?;
    assert!(said.contains("hint: a web server tells what it has only if it speaks WebDAV"), "{said}");
    assert_eq!(cache.objects()?, before);
    Ok(())
}
