//! Which S3 client, where the store URL does not say it.

use nars3_store_url::S3Client;

use super::Environment;
use crate::error::{CliError, CliResult};

const VARIABLE: &str = "NARS3_S3_CLIENT";

/// The client that the environment asks for.
pub(crate) fn s3_client(environment: &Environment) -> CliResult<Option<S3Client>> {
    match environment.get(VARIABLE) {
        None => Ok(None),
        Some("object_store") => Ok(Some(S3Client::ObjectStore)),
        Some("rusoto") => Ok(Some(S3Client::Rusoto)),
        Some(other) => {
            Err(CliError::new(format!("{VARIABLE} is '{other}', expected 'object_store' or 'rusoto'"))
                .hint(format!("unset {VARIABLE} for the default, object_store")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_may_name_a_client() {
        let of = |value| s3_client(&Environment::from([(VARIABLE, value)]));
        assert_eq!(of("rusoto").unwrap(), Some(S3Client::Rusoto));
        assert_eq!(of("object_store").unwrap(), Some(S3Client::ObjectStore));
        assert_eq!(of("").unwrap(), None);
        let error = of("boto").unwrap_err().to_string();
        assert!(error.contains("NARS3_S3_CLIENT is 'boto'"), "{error}");
    }
}
