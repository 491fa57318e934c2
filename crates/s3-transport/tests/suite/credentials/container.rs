//! The service beside a container, of ECS and of EKS.

use super::{Files, in_child, temporary};
use crate::support::{Answer, Scripted};

#[test]
fn a_container_is_asked_with_its_token() {
    let service = Scripted::start(|request| match request.header("authorization") {
        Some("the-container-token") => Answer::new(200, temporary("ASIACONTAINER")),
        _ => Answer::new(401, "{}"),
    });
    let signer = in_child(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/get", service.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-container-token"),
        // A proxy is not for the machine's own services.
        ("http_proxy", "http://127.0.0.1:9"),
        ("no_proxy", "nothing.test"),
    ]);
    // The S3 server is reached through the proxy, where nobody listens.
    assert_eq!(signer, Err("opened, but not read".to_owned()));
    assert_eq!(service.requests()[0].target, "/get");
    let signer = in_child(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/get", service.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the-container-token"),
    ]);
    assert_eq!(signer, Ok(Some("ASIACONTAINER".to_owned())));
}

/// As EKS does it: the token is in a file, because it changes.
#[test]
fn a_containers_token_may_be_in_a_file() {
    let service = Scripted::start(|request| match request.header("authorization") {
        Some("the-pod-token") => Answer::new(200, temporary("ASIAPOD")),
        _ => Answer::new(401, "{}"),
    });
    let files = Files::new("", "");
    std::fs::write(files.path("token"), "the-pod-token").unwrap();
    let signer = in_child(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("{}/v1/credentials", service.url())),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &files.path("token")),
    ]);
    assert_eq!(signer, Ok(Some("ASIAPOD".to_owned())));
}
