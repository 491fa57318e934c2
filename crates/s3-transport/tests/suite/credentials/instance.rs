//! The metadata of a machine at AWS (IMDSv2).

use super::{in_child, temporary};
use crate::support::{Answer, Scripted};

#[test]
fn instance_metadata_is_asked_in_its_second_version() {
    let service = Scripted::start(|request| {
        let token = request.header("x-aws-ec2-metadata-token");
        match (request.method.as_str(), request.target.as_str()) {
            ("PUT", "/latest/api/token") => {
                Answer::new(200, "the-imds-token").with("x-aws-ec2-metadata-token-ttl-seconds", "21600")
            }
            ("GET", _) if token != Some("the-imds-token") => Answer::new(401, ""),
            ("GET", "/latest/meta-data/iam/security-credentials/") => Answer::new(200, "the-role"),
            ("GET", "/latest/meta-data/iam/security-credentials/the-role") => {
                Answer::new(200, temporary("ASIAINSTANCE"))
            }
            _ => Answer::new(404, ""),
        }
    });
    let signer = in_child(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url()),
    ]);
    assert_eq!(signer, Ok(Some("ASIAINSTANCE".to_owned())));
}

#[test]
fn metadata_that_refuses_a_token_is_none_and_metadata_that_fails_is_an_error() {
    let instance = |status: u16| {
        let service = Scripted::start(move |_| Answer::new(status, "no"));
        in_child(&[
            ("AWS_EC2_METADATA_DISABLED", "false"),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url()),
            ("AWS_MAX_ATTEMPTS", "1"),
        ])
    };
    for status in [400, 403, 404] {
        assert_eq!(instance(status), Ok(None), "{status}");
    }
    // A role whose credentials cannot be had is no reason to go on without.
    let service = Scripted::start(|request| match request.target.as_str() {
        "/latest/api/token" => Answer::new(200, "t").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        "/latest/meta-data/iam/security-credentials/" => Answer::new(200, "the-role"),
        _ => Answer::new(403, "no"),
    });
    let words = in_child(&[
        ("AWS_EC2_METADATA_DISABLED", "false"),
        ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service.url()),
    ])
    .unwrap_err();
    assert!(words.contains("instance metadata: "), "{words}");
}
