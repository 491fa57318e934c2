//! Which S3 operation a request is.

use std::fmt;

use object_store::client::HttpRequest;

/// An S3 operation, by AWS's name for it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Operation {
    /// Read an object or a part of it.
    GetObject,
    /// Read an object's headers.
    HeadObject,
    /// List keys.
    ListObjectsV2,
    /// Write an object at once.
    PutObject,
    /// Copy an object inside S3.
    CopyObject,
    /// Begin an upload in parts.
    CreateMultipartUpload,
    /// Send one part.
    UploadPart,
    /// Make an object of the parts.
    CompleteMultipartUpload,
    /// Forget the parts.
    AbortMultipartUpload,
    /// Delete one object.
    DeleteObject,
    /// Delete up to a thousand objects.
    DeleteObjects,
    /// List uploads in parts that are under way or left behind.
    ListMultipartUploads,
    /// Is the bucket there, and where?
    HeadBucket,
}

impl Operation {
    pub(crate) const COUNT: usize = 13;

    /// Every operation, in the order of the enum.
    pub(crate) const ALL: [Operation; Self::COUNT] = [
        Operation::GetObject,
        Operation::HeadObject,
        Operation::ListObjectsV2,
        Operation::PutObject,
        Operation::CopyObject,
        Operation::CreateMultipartUpload,
        Operation::UploadPart,
        Operation::CompleteMultipartUpload,
        Operation::AbortMultipartUpload,
        Operation::DeleteObject,
        Operation::DeleteObjects,
        Operation::ListMultipartUploads,
        Operation::HeadBucket,
    ];

    /// AWS's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operation::GetObject => "GetObject",
            Operation::HeadObject => "HeadObject",
            Operation::ListObjectsV2 => "ListObjectsV2",
            Operation::PutObject => "PutObject",
            Operation::CopyObject => "CopyObject",
            Operation::CreateMultipartUpload => "CreateMultipartUpload",
            Operation::UploadPart => "UploadPart",
            Operation::CompleteMultipartUpload => "CompleteMultipartUpload",
            Operation::AbortMultipartUpload => "AbortMultipartUpload",
            Operation::DeleteObject => "DeleteObject",
            Operation::DeleteObjects => "DeleteObjects",
            Operation::ListMultipartUploads => "ListMultipartUploads",
            Operation::HeadBucket => "HeadBucket",
        }
    }

    /// The IAM action that a policy must allow for it.
    ///
    /// A copy also needs `s3:GetObject` on its source. Without `s3:ListBucket`, AWS answers a read of an absent key
    /// with 403 instead of 404.
    pub const fn iam_action(self) -> &'static str {
        match self {
            Operation::GetObject | Operation::HeadObject => "s3:GetObject",
            Operation::ListObjectsV2 | Operation::HeadBucket => "s3:ListBucket",
            Operation::ListMultipartUploads => "s3:ListBucketMultipartUploads",
            Operation::PutObject
            | Operation::CopyObject
            | Operation::CreateMultipartUpload
            | Operation::UploadPart
            | Operation::CompleteMultipartUpload => "s3:PutObject",
            Operation::AbortMultipartUpload => "s3:AbortMultipartUpload",
            Operation::DeleteObject | Operation::DeleteObjects => "s3:DeleteObject",
        }
    }

    /// The operation with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.as_str() == name)
    }

    /// Which operation a request is; `key` is the key that it is about, empty for the bucket itself.
    pub(crate) fn of(request: &HttpRequest, key: &str) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |name: &str| {
            query.split('&').any(|pair| pair.split_once('=').map_or(pair, |(key, _)| key) == name)
        };
        match Self::named(request.method().as_str(), has, request.headers().contains_key("x-amz-copy-source"))
        {
            Operation::HeadObject if key.is_empty() => Operation::HeadBucket,
            operation => operation,
        }
    }

    /// Which operation a method is, with these parameters.
    pub(crate) fn named(method: &str, has: impl Fn(&str) -> bool, is_copy: bool) -> Self {
        match method {
            "HEAD" => Operation::HeadObject,
            "PUT" if has("partNumber") => Operation::UploadPart,
            "PUT" if is_copy => Operation::CopyObject,
            "PUT" => Operation::PutObject,
            "POST" if has("uploads") => Operation::CreateMultipartUpload,
            "POST" if has("uploadId") => Operation::CompleteMultipartUpload,
            "POST" => Operation::DeleteObjects,
            "DELETE" if has("uploadId") => Operation::AbortMultipartUpload,
            "DELETE" => Operation::DeleteObject,
            _ if has("list-type") => Operation::ListObjectsV2,
            _ if has("uploads") => Operation::ListMultipartUploads,
            _ => Operation::GetObject,
        }
    }

    /// Whether a successful answer's body is an object's contents, to be passed on as it comes.
    pub(super) const fn streams(self) -> bool {
        matches!(self, Operation::GetObject)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use object_store::client::HttpRequestBody;

    use super::*;

    fn operation(method: &str, uri: &str, copy: bool) -> Operation {
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = uri.parse().unwrap();
        if copy {
            request.headers_mut().insert("x-amz-copy-source", "b/k".parse().unwrap());
        }
        let key =
            request.uri().path().strip_prefix("/b").unwrap_or_default().trim_start_matches('/').to_owned();
        Operation::of(&request, &key)
    }

    #[test]
    fn every_request_is_recognised() {
        for (method, uri, copy, expected) in [
            ("GET", "http://h/b/key", false, Operation::GetObject),
            ("GET", "http://h/b?list-type=2&prefix=a", false, Operation::ListObjectsV2),
            ("HEAD", "http://h/b/key", false, Operation::HeadObject),
            ("HEAD", "http://h/b", false, Operation::HeadBucket),
            ("HEAD", "http://h/b/", false, Operation::HeadBucket),
            ("GET", "http://h/b?encoding-type=url&uploads=", false, Operation::ListMultipartUploads),
            ("GET", "http://h/b/uploads", false, Operation::GetObject),
            ("PUT", "http://h/b/key", false, Operation::PutObject),
            ("PUT", "http://h/b/key", true, Operation::CopyObject),
            ("PUT", "http://h/b/key?partNumber=1&uploadId=x", false, Operation::UploadPart),
            ("POST", "http://h/b/key?uploads=", false, Operation::CreateMultipartUpload),
            ("POST", "http://h/b/key?uploads", false, Operation::CreateMultipartUpload),
            ("POST", "http://h/b/key?uploadId=x", false, Operation::CompleteMultipartUpload),
            ("POST", "http://h/b?delete", false, Operation::DeleteObjects),
            ("DELETE", "http://h/b/key?uploadId=x", false, Operation::AbortMultipartUpload),
            ("DELETE", "http://h/b/key", false, Operation::DeleteObject),
        ] {
            assert_eq!(operation(method, uri, copy), expected, "{method} {uri}");
        }
    }

    #[test]
    fn the_list_of_all_is_in_the_order_of_the_enum() {
        for (index, operation) in Operation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, index);
            assert_eq!(Operation::from_name(operation.as_str()), Some(operation));
        }
    }
}
