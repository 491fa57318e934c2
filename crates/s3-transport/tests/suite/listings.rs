//! Listings of buckets in which others keep things as well, and ranges that are none.

use futures::TryStreamExt;
use nars3_s3::{S3Error, S3ErrorKind};
use object_store::path::Path;
use object_store::{GetOptions, GetRange};

use crate::support::{Answer, Scripted, clients, open, patient, run};

fn object(key: &str) -> String {
    format!(
        "<Contents><Key>{key}</Key><LastModified>2026-11-22T00:00:00.000Z</LastModified><ETag>\"e\"</ETag>\
         <Size>1</Size></Contents>"
    )
}

#[test]
fn names_that_no_path_has_are_passed_over() {
    for client in clients() {
        let server = Scripted::start(|_| {
            let objects: String =
                ["/top", "a", "a/../b", "backup//x", "backup/x", "marked/"].map(object).concat();
            Answer::new(
                200,
                format!(
                    "<ListBucketResult><Name>bucket</Name><KeyCount>6</KeyCount><IsTruncated>false</IsTruncated>{objects}\
                     <CommonPrefixes><Prefix>nar/</Prefix></CommonPrefixes>\
                     <CommonPrefixes><Prefix>backup//</Prefix></CommonPrefixes></ListBucketResult>"
                ),
            )
        });
        run(async {
            let store = open(&patient(&server, client)).await;
            let all: Vec<_> = store.list(None).map_ok(|it| it.location).try_collect().await.unwrap();
            assert_eq!(all, [Path::from("a"), Path::from("backup/x")], "{client:?}");
            let level = store.list_with_delimiter(None).await.unwrap();
            assert_eq!((level.objects.len(), level.common_prefixes), (2, vec![Path::from("nar")]));
        });
    }
}

#[test]
fn a_range_beyond_all_numbers_is_an_error() {
    for client in clients() {
        for range in ["bytes 0-18446744073709551615/18446744073709551615", "bytes 5-1/10", "all"] {
            let server = Scripted::start(move |_| {
                Answer::new(206, "x").with("etag", "\"e\"").with("content-range", range)
            });
            let options = GetOptions { range: Some(GetRange::Bounded(0..1)), ..GetOptions::default() };
            let error = run(async {
                open(&patient(&server, client)).await.get_opts(&Path::from("key"), options).await.unwrap_err()
            });
            assert_eq!(S3Error::of(&error).kind, S3ErrorKind::InvalidAnswer, "{client:?}: {range}");
        }
    }
}
