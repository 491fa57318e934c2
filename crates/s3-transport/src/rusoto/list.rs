//! Listings, page by page.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::path::{DELIMITER, Path};
use object_store::{ListResult, ObjectMeta, Result};
use rusoto_s3::{ListObjectsV2Output, ListObjectsV2Request, Object, S3};

use super::dispatcher::Connection;
use super::draft::Extras;
use super::failure::Failure;
use super::metadata::list_date;
use crate::wire::Operation;

const OPERATION: Operation = Operation::ListObjectsV2;

/// What to list.
#[derive(Clone, Default)]
pub(super) struct Query {
    /// With `/` at its end: whole segments only.
    prefix: Option<String>,
    /// Keys up to this one are left out.
    start_after: Option<String>,
    /// Only one level.
    flat: bool,
}

impl Query {
    pub(super) fn below(prefix: Option<&Path>) -> Self {
        let prefix = prefix.filter(|prefix| !prefix.as_ref().is_empty());
        Query { prefix: prefix.map(|prefix| format!("{prefix}{DELIMITER}")), ..Query::default() }
    }

    pub(super) fn after(self, offset: &Path) -> Self {
        Query { start_after: Some(offset.to_string()), ..self }
    }

    fn one_level(self) -> Self {
        Query { flat: true, ..self }
    }
}

/// Where a listing stands.
enum Next {
    Page(Option<String>),
    Done,
}

impl Connection {
    pub(super) fn objects(self: &Arc<Self>, query: Query) -> BoxStream<'static, Result<ObjectMeta>> {
        let connection = Arc::clone(self);
        let pages = stream::try_unfold(Next::Page(None), move |next| {
            let (connection, query) = (Arc::clone(&connection), query.clone());
            async move {
                let Next::Page(token) = next else { return Ok::<_, object_store::Error>(None) };
                let (page, next) = connection.page(&query, token).await?;
                let objects = page.contents.unwrap_or_default().into_iter();
                let prefix = query.prefix;
                let objects: Vec<_> =
                    objects.filter(|object| object.key != prefix).map(|object| Ok(meta(object)?)).collect();
                Ok(Some((stream::iter(objects), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    pub(super) async fn one_level(self: &Arc<Self>, prefix: Option<&Path>) -> Result<ListResult> {
        let query = Query::below(prefix).one_level();
        let mut result =
            ListResult { common_prefixes: Vec::new(), objects: Vec::new(), extensions: Default::default() };
        let mut next = Next::Page(None);
        while let Next::Page(token) = next {
            let page;
            (page, next) = self.page(&query, token).await?;
            for object in page.contents.unwrap_or_default() {
                if object.key != query.prefix {
                    result.objects.push(meta(object)?);
                }
            }
            for common in page.common_prefixes.unwrap_or_default() {
                result.common_prefixes.push(path(common.prefix)?);
            }
        }
        Ok(result)
    }

    /// One page, and where the next one begins.
    async fn page(
        self: &Arc<Self>,
        query: &Query,
        token: Option<String>,
    ) -> Result<(ListObjectsV2Output, Next), Failure> {
        let request = ListObjectsV2Request {
            bucket: self.settings.bucket.clone(),
            prefix: query.prefix.clone(),
            delimiter: query.flat.then(|| DELIMITER.to_owned()),
            start_after: query.start_after.clone().filter(|_| token.is_none()),
            continuation_token: token.clone(),
            request_payer: self.request_payer(),
            ..ListObjectsV2Request::default()
        };
        let ask = |client: rusoto_s3::S3Client| async move { client.list_objects_v2(request).await };
        let output = self.call(OPERATION, Extras::default(), ask).await?;
        let next = match (output.is_truncated, output.next_continuation_token.clone()) {
            (Some(true), None) => return Err(unreadable("there is more, and nothing says where".to_owned())),
            // A page that leads to itself would have no end.
            (Some(true), next) if next == token => {
                return Err(unreadable("the next page begins where this one did".to_owned()));
            }
            (Some(true), next) => Next::Page(next),
            _ => Next::Done,
        };
        Ok((output, next))
    }
}

fn meta(object: Object) -> Result<ObjectMeta, Failure> {
    let size = object.size.and_then(|size| u64::try_from(size).ok());
    Ok(ObjectMeta {
        last_modified: list_date(object.last_modified.as_deref())?,
        size: size.ok_or_else(|| unreadable(format!("the key '{:?}' has no size", object.key)))?,
        location: path(object.key)?,
        e_tag: object.e_tag,
        version: None,
    })
}

fn path(key: Option<String>) -> Result<Path, Failure> {
    let key = key.ok_or_else(|| unreadable("an entry has no key".to_owned()))?;
    Path::parse(&key).map_err(|error| unreadable(format!("the key '{key}' cannot be addressed: {error}")))
}

fn unreadable(reason: String) -> Failure {
    Failure::Unreadable { operation: OPERATION, status: None, reason }
}
