//! A session of single sign-on, as `aws sso login` leaves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Files, in_child};
use crate::support::{Answer, Scripted};

const SSO_CONFIG: &str = "
[profile sso]
sso_session = nars3
sso_account_id = 123456789012
sso_role_name = Uploader
[sso-session nars3]
sso_region = eu-west-1
sso_start_url = https://sso.test/start
";

/// SHA-1 of the session's name, which is how AWS's command names the file of its token.
const SSO_TOKEN_FILE: &str = "4caa32dd6983ac35f9de1f8205a8609fc3831ed0.json";

fn sso(expires: &str) -> (Result<Option<String>, String>, usize) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let service = Scripted::start(move |request| {
        count.fetch_add(1, Ordering::Relaxed);
        assert!(request.target.starts_with("/federation/credentials?"), "{}", request.target);
        let good = request.header("x-amz-sso_bearer_token") == Some("the-sso-token");
        let keys = "{\"roleCredentials\":{\"accessKeyId\":\"ASIASSO\",\"secretAccessKey\":\"s\",\"sessionToken\":\"t\",\
                    \"expiration\":4070908800000}}";
        if good { Answer::new(200, keys) } else { Answer::new(401, "{}") }
    });
    let files = Files::new(SSO_CONFIG, "");
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = format!(
        "{{\"accessToken\":\"the-sso-token\",\"expiresAt\":\"{expires}\",\"region\":\"eu-west-1\",\
         \"startUrl\":\"https://sso.test/start\"}}"
    );
    std::fs::write(cache.join(SSO_TOKEN_FILE), token).unwrap();
    let outcome = in_child(&[
        ("HOME", home.path().to_str().unwrap()),
        ("AWS_CONFIG_FILE", &files.path("config")),
        ("AWS_ENDPOINT_URL_SSO", &service.url()),
        ("TEST_PROFILE", "sso"),
    ]);
    (outcome, asked.load(Ordering::Relaxed))
}

#[test]
fn a_session_of_sso_is_used() {
    assert_eq!(sso("2099-01-01T00:00:00Z"), (Ok(Some("ASIASSO".to_owned())), 1));
}

#[test]
fn an_expired_session_of_sso_is_an_error() {
    let (outcome, asked) = sso("2020-01-01T00:00:00Z");
    let words = outcome.unwrap_err();
    assert!(words.contains("expired"), "{words}");
    assert_eq!(asked, 0);
}
