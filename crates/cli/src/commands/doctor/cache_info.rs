//! `nix-cache-info`, which is also the first thing that is read: what became of it says whether the bucket can be read at
//! all.

use nars3_narinfo::{CACHE_INFO_KEY, CacheInfo, CacheInfoProblem};
use nars3_s3::{S3Error, S3ErrorKind};
use nars3_store_path::StoreDir;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::finding::{Check, Code, Finding, Level};

/// The largest that is read. Real ones have some sixty bytes.
const LARGEST: u64 = 64 << 10;

/// What became of the first read.
#[derive(Debug)]
pub(super) enum FirstRead {
    Text(String),
    /// It is there, and cannot be one.
    Nonsense(String),
    Absent,
    /// Access denied, which may mean that there is none.
    Denied(object_store::Error),
    Failed(object_store::Error),
}

pub(super) async fn read(objects: &dyn ObjectStore) -> FirstRead {
    match fetch(objects).await {
        Ok(read) => read,
        Err(error) => match S3Error::of(&error).kind {
            S3ErrorKind::KeyMissing => FirstRead::Absent,
            S3ErrorKind::Forbidden { .. } => FirstRead::Denied(error),
            _ => FirstRead::Failed(error),
        },
    }
}

async fn fetch(objects: &dyn ObjectStore) -> object_store::Result<FirstRead> {
    let found = objects.get(&Path::from(CACHE_INFO_KEY)).await?;
    if found.meta.size > LARGEST {
        return Ok(FirstRead::Nonsense(format!("it has {} bytes", found.meta.size)));
    }
    let bytes = found.bytes().await?;
    Ok(match String::from_utf8(bytes.into()) {
        Ok(text) => FirstRead::Text(text),
        Err(_) => FirstRead::Nonsense("it is not UTF-8".to_owned()),
    })
}

/// Judges the text.
pub(super) fn judge(text: &str, store_dir: &StoreDir) -> Finding {
    let info = CacheInfo::parse(text);
    let foreign = info.problems.iter().any(|problem| !matches!(problem, CacheInfoProblem::Priority { .. }));
    let problems: Vec<String> = info.problems.iter().map(ToString::to_string).collect();
    if let (Some(found), false) = (&info.store_dir, foreign)
        && found != store_dir
    {
        let message = format!("the cache is for paths in '{found}', not in '{store_dir}'");
        return Finding::problem(Check::CacheInfo, Code::CacheInfoForeign, message).fix(format!(
            "name another bucket or a prefix (s3://BUCKET/PREFIX) for '{store_dir}', or write store={found} into the \
             store URL"
        ));
    }
    let rewrite = "write it anew with 'nars3 store init', after deleting it if its StoreDir is wrong";
    if !problems.is_empty() {
        let finding =
            Finding::problem(Check::CacheInfo, Code::CacheInfoMalformed, "it has lines that Nix refuses");
        return finding.details(problems).fix(rewrite);
    }
    if info.store_dir.is_none() {
        let finding = Finding::problem(Check::CacheInfo, Code::CacheInfoMalformed, "it names no StoreDir");
        return finding.fix(rewrite);
    }
    let priority = info.priority.map(|priority| format!(", priority {priority}")).unwrap_or_default();
    Finding::ok(Check::CacheInfo, format!("for '{store_dir}'{priority}"))
}

/// There is none.
pub(super) fn absent() -> Finding {
    let message = "there is none, so nobody has pushed here yet, or the prefix or bucket is another";
    Finding::new(Check::CacheInfo, Level::Note, Code::CacheInfoAbsent, message)
        .fix("the first push writes it, or 'nars3 store init' does; Nix needs it to read from here")
}

/// It is there, and cannot be one.
pub(super) fn nonsense(reason: &str) -> Finding {
    Finding::problem(Check::CacheInfo, Code::CacheInfoMalformed, format!("it is none: {reason}"))
        .fix("delete the object 'nix-cache-info', and write it anew with 'nars3 store init'")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Code {
        judge(text, &StoreDir::default()).code
    }

    #[test]
    fn what_nix_would_refuse_is_a_problem() {
        assert_eq!(code("StoreDir: /nix/store\nPriority: 40\n"), Code::AsItShouldBe);
        assert_eq!(code("StoreDir: /gnu/store\n"), Code::CacheInfoForeign);
        assert_eq!(code("StoreDir: nix/store\n"), Code::CacheInfoMalformed);
        assert_eq!(code("StoreDir: /nix/store\nPriority: high\n"), Code::CacheInfoMalformed);
        assert_eq!(code("StoreDir: /nix/store\nStoreDir: /gnu/store\n"), Code::CacheInfoMalformed);
        assert_eq!(code("<html>"), Code::CacheInfoMalformed);
        assert_eq!(code(""), Code::CacheInfoMalformed);
    }
}
