//! What cannot be read is not absent: nothing is deleted by the others alone, and a verification tells of it and goes on.

use std::sync::Arc;

use futures::TryStreamExt;
use nars3_binary_cache::{BinaryCache, DeleteOptions, Finding, VerifyOptions};
use nars3_store_api::{Store, StoreError};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::faulty::{Fault, Faulty};
use crate::support::{Sample, add, keys, noise, open, options, plain, put_raw, raw_text};

/// A cache with these in it of which nothing can be read whose key ends so.
async fn forbidden(samples: &[&Sample], key: String) -> (Arc<dyn ObjectStore>, Arc<BinaryCache>) {
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    for sample in samples {
        add(&plain(&objects).await, sample).await;
    }
    let denied: Arc<dyn ObjectStore> = Faulty::over(inner, Fault::Forbidden(key.leak()));
    (objects, plain(&denied).await)
}

fn narinfo(sample: &Sample) -> String {
    format!("{}.narinfo", sample.info.path.hash_part())
}

async fn nar(objects: &Arc<dyn ObjectStore>, sample: &Sample) -> String {
    let text = raw_text(objects, &narinfo(sample)).await;
    text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap().to_owned()
}

/// S3 tells whoever may list the bucket what is not there: what is denied all the same is there.
#[tokio::test]
async fn a_denial_is_no_absence_where_the_server_tells_absences() {
    let (library, absent) = (Sample::file("library", b"library"), Sample::file("absent", b"absent"));
    let (_, cache) = forbidden(&[&library], narinfo(&library)).await;
    let error = cache.path_info(&library.info.path).await.unwrap_err();
    assert!(error.with_causes().contains("AccessDenied"), "{}", error.with_causes());
    assert!(cache.path_info(&absent.info.path).await.unwrap().is_none());
}

/// A listing has said that it is there: it may refer to anything, and name any file.
#[tokio::test]
async fn a_narinfo_that_is_listed_and_may_not_be_read_is_there() {
    let library = Sample::file("library", b"library");
    let program = Sample::file("program", b"program").referring_to(&[&library]);
    let (objects, cache) = forbidden(&[&library, &program], narinfo(&program)).await;
    let before = keys(&objects).await;
    let error =
        cache.delete(std::slice::from_ref(&library.info.path), DeleteOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains(&narinfo(&program)), "{error}");
    assert_eq!(keys(&objects).await, before);
    let infos = cache.all_nar_infos().try_collect::<Vec<_>>().await;
    assert!(matches!(infos, Err(StoreError::Backend { .. })), "{infos:?}");
    let path = cache.path_of_listed(&program.info.path.hash_part()).await;
    assert!(matches!(path, Err(StoreError::Backend { .. })), "{path:?}");

    let findings = cache.verify(&VerifyOptions::default()).await.unwrap().findings;
    let unreadable = |finding: &Finding| matches!(finding, Finding::UnreadableNarInfo { hash_part, .. } if *hash_part == program.info.path.hash_part());
    assert!(findings.iter().any(unreadable), "{findings:?}");
    // It may name any file: its own is nobody's for all that is known, which is not much.
    let key = nar(&objects, &program).await;
    let uncertain = |finding: &Finding| matches!(finding, Finding::OrphanNar { key: found, uncertain: true, .. } if *found == key);
    assert!(findings.len() == 2 && findings.iter().any(uncertain), "{findings:?}");
}

/// A listing is a help, and one that may not be read is none.
#[tokio::test]
async fn a_listing_that_may_not_be_read_is_as_good_as_none() {
    let sample = Sample::tree("tree");
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    let mut listed = options();
    listed.cache.write_nar_listing = true;
    add(&open(&objects, listed).await, &sample).await;
    let denied: Arc<dyn ObjectStore> = Faulty::over(inner, Fault::Forbidden(".ls"));
    let expected = plain(&objects).await.listing(&sample.info.path).await.unwrap();
    assert_eq!(plain(&denied).await.listing(&sample.info.path).await.unwrap(), expected);
}

/// Whoever may not list the bucket hears of nothing that it is not there: what is missing can be brought all the same.
#[tokio::test]
async fn without_a_listing_a_missing_nar_is_missing() {
    let sample = Sample::file("sample", b"sample");
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    add(&plain(&objects).await, &sample).await;
    let key = nar(&objects, &sample).await;
    objects.delete(&key.as_str().into()).await.unwrap();
    let unlistable: Arc<dyn ObjectStore> = Faulty::over(inner, Fault::Unlistable("AccessDenied"));
    let paths = Some(vec![sample.info.path.clone()]);
    let options = VerifyOptions { paths, ..VerifyOptions::default() };
    let findings = plain(&unlistable).await.verify(&options).await.unwrap().findings;
    assert!(matches!(findings[..], [Finding::MissingNar { .. }]), "{findings:?}");
}

#[tokio::test]
async fn orphans_are_certain_only_where_every_narinfo_is_understood() {
    let objects = crate::support::memory();
    let (sound, broken) = (Sample::file("sound", b"sound"), Sample::file("broken", b"broken"));
    for sample in [&sound, &broken] {
        add(&plain(&objects).await, sample).await;
    }
    put_raw(&objects, "nar/nobodys.nar", "x").await;
    let orphans = async |cache: &Arc<BinaryCache>| {
        let findings = cache.verify(&VerifyOptions::default()).await.unwrap().findings;
        let mut orphans: Vec<_> = findings
            .into_iter()
            .filter_map(|finding| match finding {
                Finding::OrphanNar { key, uncertain, .. } => Some((key, uncertain)),
                _ => None,
            })
            .collect();
        orphans.sort();
        orphans
    };
    assert_eq!(orphans(&plain(&objects).await).await, [("nar/nobodys.nar".to_owned(), false)]);
    let own = nar(&objects, &broken).await;
    put_raw(&objects, &narinfo(&broken), "no narinfo").await;
    let mut expected = [("nar/nobodys.nar".to_owned(), true), (own, true)];
    expected.sort();
    assert_eq!(orphans(&plain(&objects).await).await, expected);
}

/// A URL by another name of the same server names the file all the same.
#[tokio::test]
async fn a_file_that_is_named_by_another_name_of_the_server_is_no_orphan() {
    let objects = crate::support::memory();
    let sample = Sample::file("sample", b"sample");
    add(&plain(&objects).await, &sample).await;
    let (key, text) = (nar(&objects, &sample).await, raw_text(&objects, &narinfo(&sample)).await);
    let text = text.replace(&key, &format!("https://cdn.example/{key}?signature=x"));
    put_raw(&objects, &narinfo(&sample), text).await;
    let findings = plain(&objects).await.verify(&VerifyOptions::default()).await.unwrap().findings;
    assert!(findings.iter().all(|finding| matches!(finding, Finding::CorruptNar { .. })), "{findings:?}");
}

#[tokio::test]
async fn a_nar_that_cannot_be_read_is_a_finding_among_others() {
    let (denied, torn) = (Sample::file("denied", &noise(3000)), Sample::file("torn", &noise(4000)));
    let objects = crate::support::memory();
    add(&plain(&objects).await, &denied).await;
    let key = nar(&objects, &denied).await;
    let (objects, cache) = forbidden(&[&denied, &torn], key.clone()).await;
    put_raw(&objects, &nar(&objects, &torn).await, "torn").await;
    for paths in [None, Some(vec![denied.info.path.clone(), torn.info.path.clone()])] {
        let options = VerifyOptions { paths, contents: true, ..VerifyOptions::default() };
        let findings = cache.verify(&options).await.unwrap().findings;
        let unreadable = |finding: &Finding| match finding {
            Finding::UnreadableNar { path, error } => {
                *path == denied.info.path && error.with_causes().contains("AccessDenied")
            }
            _ => false,
        };
        let corrupt = |finding: &Finding| matches!(finding, Finding::CorruptNar { path, .. } if *path == torn.info.path);
        assert_eq!(findings.len(), 2, "{findings:?}");
        assert!(findings.iter().any(unreadable) && findings.iter().any(corrupt), "{findings:?}");
    }

    // A body that breaks off for good.
    let inner = InMemory::new();
    let objects: Arc<dyn ObjectStore> = Arc::new(inner.clone());
    add(&plain(&objects).await, &denied).await;
    let mute: Arc<dyn ObjectStore> = Faulty::over(inner, Fault::Mute);
    let options = VerifyOptions { contents: true, ..VerifyOptions::default() };
    let findings = plain(&mute).await.verify(&options).await.unwrap().findings;
    assert!(matches!(findings[..], [Finding::UnreadableNar { .. }]), "{findings:?}");
}
