//! The limit: the same requests from the bare client, without signatures, at its best number of connections.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nars3_tests::server::Bucket;
use sha2::{Digest, Sha256};

use super::{Operation, Sizes};
use crate::load::{self, Request};

/// The digits of Nix's base 32.
const NIX32: &[u8] = b"0123456789abcdfghijklmnpqrsvwxyz";

/// Numbers of connections that are tried.
const CONNECTIONS: [usize; 4] = [2, 4, 8, 16];

/// Lets everybody list, read and write.
pub(super) fn open_to_all(bucket: &Bucket) -> Result<()> {
    let statement = |action: &str, resource: &str| {
        format!(
            r#"{{"Effect":"Allow","Principal":"*","Action":[{action}],"Resource":["arn:aws:s3:::{resource}"]}}"#
        )
    };
    let name = bucket.name();
    let objects = statement(r#""s3:GetObject","s3:PutObject""#, &format!("{name}/*"));
    let listing = statement(r#""s3:ListBucket""#, name);
    bucket.set_policy(&format!(r#"{{"Version":"2012-10-17","Statement":[{objects},{listing}]}}"#))
}

/// Makes the keys of a listing, as narinfos are called.
pub(super) fn fill(server: &str, bucket: &Bucket, keys: usize) -> Result<()> {
    let body = Arc::new(vec![b'x'; 100]);
    let put = |number| {
        let target = format!("/{}/{}.narinfo", bucket.name(), hash_part(number as u64));
        Request::new("PUT", target, Arc::clone(&body), Vec::new())
    };
    load::send(server, &(0..keys).map(put).collect::<Vec<_>>(), 8)?;
    Ok(())
}

/// A hash part, by chance and yet always the same.
fn hash_part(number: u64) -> String {
    let hash = Sha256::digest(number.to_le_bytes());
    hash.iter().map(|byte| char::from(NIX32.get(usize::from(byte % 32)).copied().unwrap_or(b'0'))).collect()
}

/// Does what the clients do. What one operation leaves in the bucket the next one reads.
pub(super) fn run(server: &str, bucket: &Bucket, operation: Operation, sizes: Sizes) -> Result<Duration> {
    let Sizes { count, bytes, large, part, .. } = sizes;
    let best = |requests: &[Request]| -> Result<Duration> {
        let times = CONNECTIONS.into_iter().map(|connections| load::send(server, requests, connections));
        times.collect::<Result<Vec<_>>>()?.into_iter().min().context("nothing was tried")
    };
    let each = |method: &'static str, body: &Arc<Vec<u8>>| -> Vec<Request> {
        let target = |number| format!("/{}/small/{number:05}", bucket.name());
        (0..count).map(|number| Request::new(method, target(number), Arc::clone(body), Vec::new())).collect()
    };
    match operation {
        Operation::Put => best(&each("PUT", &Arc::new(vec![b'x'; bytes]))),
        Operation::Get => best(&each("GET", &Arc::default())),
        Operation::Up => {
            let times = CONNECTIONS.into_iter().map(|connections| up(server, bucket, sizes, connections));
            times.collect::<Result<Vec<_>>>()?.into_iter().min().context("nothing was tried")
        }
        Operation::Down => {
            let target = format!("/{}/large", bucket.name());
            let part_from = |first: u64| {
                let request = Request::new("GET", target.clone(), Arc::default(), Vec::new());
                request.range(first, (first + part).min(large) - 1)
            };
            let starts = (0..large.div_ceil(part)).map(|number| number * part);
            best(&starts.map(part_from).collect::<Vec<_>>())
        }
        // Of keys, for the paths of a cache too.
        _ => list(server, bucket),
    }
}

/// An upload in parts that are all the same, so that one object tells the ETag of all.
fn up(server: &str, bucket: &Bucket, sizes: Sizes, connections: usize) -> Result<Duration> {
    let body = Arc::new(vec![b'x'; usize::try_from(sizes.part)?]);
    bucket.put("part", &body)?;
    let tag = bucket.headers("part")?.remove("etag").context("an object without an ETag")?;
    bucket.delete("part")?;
    let count = sizes.large / sizes.part;
    let started = Instant::now();
    let begun = load::ask(server, "POST", &format!("/{}/large?uploads=", bucket.name()))?;
    let id = between(&begun, "UploadId").context("no UploadId")?;
    let target = |number| format!("/{}/large?partNumber={number}&uploadId={id}", bucket.name());
    let mut requests: Vec<_> = (1..=count)
        .map(|number| Request::new("PUT", target(number), Arc::clone(&body), Vec::new()))
        .collect();
    let listed = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>");
    let parts: String = (1..=count).map(listed).collect();
    let document = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let target = format!("/{}/large?uploadId={id}", bucket.name());
    let after = (0..requests.len()).collect();
    requests.push(Request::new("POST", target, Arc::new(document.into_bytes()), after));
    load::send(server, &requests, connections)?;
    let elapsed = started.elapsed();
    let length = bucket.headers("large")?.remove("content-length");
    ensure!(length == Some(sizes.large.to_string()), "the bare client's upload has {length:?} bytes");
    Ok(elapsed)
}

/// One page after another, each from where the one before ended.
pub(super) fn list(server: &str, bucket: &Bucket) -> Result<Duration> {
    let started = Instant::now();
    let mut after = String::new();
    loop {
        let page = load::ask(server, "GET", &format!("/{}?list-type=2&start-after={after}", bucket.name()))?;
        let last = page.rsplit("<Contents>").next().and_then(|element| between(element, "Key"));
        // MinIO may end with a page that has none.
        let Some(last) = last else { return Ok(started.elapsed()) };
        after = last.to_owned();
        if !page.contains("<IsTruncated>true</IsTruncated>") {
            return Ok(started.elapsed());
        }
    }
}

fn between<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(value, _)| value)
}
