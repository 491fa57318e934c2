//! Keys that may do less than the server's one user: MinIO answers STS's AssumeRole on its own port, and the keys then have
//! just the policy that is asked for.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};

use super::S3Server;
use crate::http::Client;
use crate::sigv4::{Signer, encode};

/// An access key for a while.
#[derive(Clone, Debug)]
pub struct TemporaryKeys {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key: String,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_key: String,
    /// `AWS_SESSION_TOKEN`.
    pub session_token: String,
}

impl S3Server {
    /// Keys that may do what this policy (a document of IAM) allows, for a quarter of an hour.
    ///
    /// # Errors
    /// When the server has no STS, or refuses the policy.
    pub fn assume_role(&self, policy: &str) -> Result<TemporaryKeys> {
        let client = Client::new(Arc::clone(&self.runtime), &self.authority)?;
        let signer = Signer { service: "sts", ..self.signer() };
        let body = format!(
            "Action=AssumeRole&DurationSeconds=900&Policy={}&RoleSessionName=test&Version=2011-06-15",
            encode(policy, "")
        );
        let response = client.send(Some(&signer), "POST", "/", "", body.as_bytes())?;
        let text = String::from_utf8_lossy(&response.body);
        ensure!(response.status == 200, "AssumeRole was answered with status {}: {text}", response.status);
        let field = |name: &str| -> Result<String> {
            let (open, close) = (format!("<{name}>"), format!("</{name}>"));
            let value = text.split_once(&open).and_then(|(_, rest)| rest.split_once(&close));
            value.map(|(value, _)| value.to_owned()).with_context(|| format!("no {name} in {text}"))
        };
        Ok(TemporaryKeys {
            access_key: field("AccessKeyId")?,
            secret_key: field("SecretAccessKey")?,
            session_token: field("SessionToken")?,
        })
    }
}
