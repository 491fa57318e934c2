//! Where credentials come from: each provider of AWS's chain against a stand-in of its service, and the order of all.
//!
//! What reads the environment runs in a child process with an environment of its own: this test binary again, which
//! then runs `child` alone.

use std::collections::HashMap;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use nars3_s3::{CredentialSource, CredentialsError, Environment, Refusal, S3OpenError};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use tempfile::TempDir;

use crate::support::{Answer, Scripted, clients, run, settings};

/// An S3 server to which everything is there.
fn s3() -> Scripted {
    Scripted::start(|_| {
        let time = "Sun, 22 Nov 2026 00:00:00 GMT";
        Answer::new(200, "contents").with("etag", "\"e\"").with("last-modified", time)
    })
}

/// Configuration files.
struct Files(TempDir);

impl Files {
    fn new(config: &str, credentials: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config"), config).unwrap();
        std::fs::write(directory.path().join("credentials"), credentials).unwrap();
        Files(directory)
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    fn environment(&self) -> Environment {
        Environment::of_process().with_credentials(CredentialSource::Files {
            config: self.path("config").into(),
            credentials: self.path("credentials").into(),
        })
    }
}

/// Who signs the requests of a store with this profile, from files alone.
fn signer(files: &Files, profile: Option<&str>) -> Result<Option<String>, S3OpenError> {
    let server = s3();
    let mut settings = settings(&server.url());
    settings.profile = profile.map(str::to_owned);
    run(async {
        let store = nars3_s3::open(&settings, &files.environment()).await?;
        store.get(&Path::from("key")).await.unwrap();
        Ok(server.requests()[0].signed_by().map(str::to_owned))
    })
}

fn credentials_error(error: S3OpenError) -> CredentialsError {
    match error {
        S3OpenError::Credentials(error) => error,
        other => panic!("{other}"),
    }
}

const TWO_PROFILES: &str = "
[default]
aws_access_key_id = AKIDDEFAULT
aws_secret_access_key = secret-of-default
[upload]
aws_access_key_id = AKIDUPLOAD
aws_secret_access_key = secret-of-upload
";

#[test]
fn a_profile_is_used_when_named_and_default_otherwise() {
    let files = Files::new("", TWO_PROFILES);
    assert_eq!(signer(&files, None).unwrap().as_deref(), Some("AKIDDEFAULT"));
    assert_eq!(signer(&files, Some("upload")).unwrap().as_deref(), Some("AKIDUPLOAD"));
}

#[test]
fn an_unknown_profile_is_an_error_and_not_anonymous() {
    let files = Files::new("", TWO_PROFILES);
    let error = credentials_error(signer(&files, Some("uplaod")).unwrap_err());
    assert_eq!(error.profile.as_deref(), Some("uplaod"));
    assert_eq!(error.attempts.len(), 1);
    assert_eq!((error.attempts[0].provider, error.attempts[0].refusal), ("profile", Refusal::Failed));
    let words = error.to_string();
    assert!(words.starts_with("cannot load AWS credentials of profile 'uplaod': profile: "), "{words}");
    assert!(!words.contains("secret"), "{words}");
}

#[test]
fn nothing_configured_is_anonymous() {
    let files = Files::new("[default]\nregion = eu-west-1\n", "");
    assert_eq!(signer(&files, None).unwrap(), None);
}

#[test]
fn a_named_profile_without_credentials_is_an_error() {
    let files = Files::new("[profile empty]\nregion = eu-west-1\n", "");
    let error = credentials_error(signer(&files, Some("empty")).unwrap_err());
    assert_eq!(error.attempts[0].refusal, Refusal::Failed);
}

#[test]
fn a_process_is_asked_once_for_all_stores_and_again_after_a_failure() {
    let files = Files::new("", "");
    let (script, count, fails) = (files.path("script"), files.path("count"), files.path("fails"));
    let text = format!(
        "echo x >> {count}\n[ -e {fails} ] && {{ echo not now >&2; exit 1; }}\n\
         echo '{{\"Version\":1,\"AccessKeyId\":\"AKIDPROCESS\",\"SecretAccessKey\":\"s\",\
         \"Expiration\":\"2099-01-01T00:00:00Z\"}}'\n"
    );
    std::fs::write(&script, text).unwrap();
    let config = format!("[profile process]\ncredential_process = /bin/sh {script}\n");
    std::fs::write(files.path("config"), config).unwrap();
    let asked = || std::fs::read_to_string(&count).unwrap().lines().count();

    let server = s3();
    let mut settings = settings(&server.url());
    settings.profile = Some("process".to_owned());
    let environment = files.environment();
    run(async {
        std::fs::write(&fails, "").unwrap();
        let error = credentials_error(nars3_s3::open(&settings, &environment).await.err().unwrap());
        assert!(error.to_string().contains("not now"), "{error}");
        std::fs::remove_file(&fails).unwrap();
        let before = asked();
        for _ in 0..3 {
            let store = nars3_s3::open(&settings, &environment).await.unwrap();
            store.get(&Path::from("key")).await.unwrap();
        }
        assert_eq!(asked() - before, 1);
    });
    assert!(server.requests().iter().all(|request| request.signed_by() == Some("AKIDPROCESS")));
}

#[test]
fn expired_credentials_are_renewed_when_the_server_says_so() {
    for client in clients() {
        let files = Files::new("", "");
        let script = files.path("script");
        let count = files.path("count");
        let text = format!(
            "echo x >> {count}\n\
         echo \"{{\\\"Version\\\":1,\\\"AccessKeyId\\\":\\\"AKID$(wc -l < {count} | tr -d ' ')\\\",\\\"SecretAccessKey\\\":\\\"s\\\"}}\"\n"
        );
        std::fs::write(&script, text).unwrap();
        std::fs::write(files.path("config"), format!("[default]\ncredential_process = /bin/sh {script}\n"))
            .unwrap();
        let server = Scripted::start(|request| match request.signed_by() {
            Some("AKID1") => Answer::error(400, "ExpiredToken"),
            _ => Answer::new(200, "")
                .with("etag", "\"e\"")
                .with("last-modified", "Sun, 22 Nov 2026 00:00:00 GMT"),
        });
        run(async {
            let mut settings = settings(&server.url());
            settings.s3_client = Some(client);
            let store = nars3_s3::open(&settings, &files.environment()).await.unwrap();
            store.get(&Path::from("key")).await.unwrap();
        });
        let signers: Vec<_> =
            server.requests().iter().map(|request| request.signed_by().map(str::to_owned)).collect();
        assert_eq!(signers, [Some("AKID1".to_owned()), Some("AKID2".to_owned())]);
    }
}

/// What a child process does: open a store as the environment says, read a key, and say how it went.
#[test]
#[ignore = "runs in a child process with an environment of its own"]
fn child() {
    let variable = |name: &str| std::env::var(name).ok();
    let mut settings = settings(&variable("TEST_S3").unwrap());
    settings.profile = variable("TEST_PROFILE");
    let outcome = run(async {
        let store = nars3_s3::open(&settings, &Environment::of_process()).await?;
        Ok::<_, S3OpenError>(store.get(&Path::from("key")).await)
    });
    match outcome {
        Ok(Ok(_)) => println!("OUTCOME=read"),
        Ok(Err(_)) => println!("OUTCOME=opened, but not read"),
        Err(error) => println!("OUTCOME={error}"),
    }
}

/// Runs a child; returns who signed its request (if it made one), or the error's words.
fn in_child(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let server = s3();
    let home = tempfile::tempdir().unwrap();
    let mut defaults = HashMap::from([
        ("HOME", home.path().to_str().unwrap().to_owned()),
        ("PATH", std::env::var("PATH").unwrap_or_default()),
        ("TEST_S3", server.url()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]);
    defaults.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "credentials::child", "--ignored", "--nocapture"])
        .env_clear()
        .envs(defaults)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let outcome = text.lines().find_map(|line| line.split_once("OUTCOME=")).map(|(_, outcome)| outcome);
    match outcome {
        Some("read") => Ok(server.requests()[0].signed_by().map(str::to_owned)),
        Some(error) => Err(error.to_owned()),
        None => panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)),
    }
}

const ENVIRONMENT_KEYS: [(&str, &str); 2] =
    [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", "secret-of-env")];

#[test]
fn an_empty_environment_is_anonymous() {
    assert_eq!(in_child(&[]), Ok(None));
}

#[test]
fn keys_in_the_environment_come_first_but_a_named_profile_stands_alone() {
    let files = Files::new("", TWO_PROFILES);
    let path = files.path("credentials");
    let with = |more: &[(&str, &str)]| {
        let mut variables = vec![("AWS_SHARED_CREDENTIALS_FILE", path.as_str())];
        variables.extend(more);
        in_child(&variables)
    };
    let [id, secret] = ENVIRONMENT_KEYS;
    assert_eq!(with(&[]), Ok(Some("AKIDDEFAULT".to_owned())));
    assert_eq!(with(&[("AWS_PROFILE", "upload")]), Ok(Some("AKIDUPLOAD".to_owned())));
    assert_eq!(with(&[id, secret]), Ok(Some("AKIDENV".to_owned())));
    assert_eq!(with(&[id, secret, ("AWS_PROFILE", "upload")]), Ok(Some("AKIDENV".to_owned())));
    assert_eq!(with(&[id, secret, ("TEST_PROFILE", "upload")]), Ok(Some("AKIDUPLOAD".to_owned())));
}

#[test]
fn a_profile_that_the_environment_names_must_exist() {
    let files = Files::new("", TWO_PROFILES);
    let path = files.path("credentials");
    let among_others =
        in_child(&[("AWS_PROFILE", "absent"), ("AWS_SHARED_CREDENTIALS_FILE", &path)]).unwrap_err();
    assert!(among_others.contains("absent"), "{among_others}");
    let words = in_child(&[("AWS_PROFILE", "absent")]).unwrap_err();
    for provider in ["environment: ", "profile: ", "web identity: ", "container: ", "instance metadata: "] {
        assert!(words.contains(provider), "{provider} in {words}");
    }
    assert!(words.contains("absent"), "{words}");
}

/// STS as far as it is needed: any role is assumed.
fn sts() -> Scripted {
    Scripted::start(|request| {
        let body = String::from_utf8_lossy(&request.body).into_owned();
        let action = if body.contains("Action=AssumeRoleWithWebIdentity") {
            "AssumeRoleWithWebIdentity"
        } else {
            "AssumeRole"
        };
        let xml = format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result>\
             <AssumedRoleUser><AssumedRoleId>ARO:s</AssumedRoleId><Arn>arn:aws:sts::1:assumed-role/r/s</Arn>\
             </AssumedRoleUser><Credentials><AccessKeyId>ASIA{action}</AccessKeyId>\
             <SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken>\
             <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{action}Result></{action}Response>"
        );
        Answer::new(200, xml).with("content-type", "text/xml")
    })
}

#[test]
fn a_role_is_assumed_with_the_source_profile() {
    let sts = sts();
    let config = "[profile upload-role]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = upload\n";
    let files = Files::new(config, TWO_PROFILES);
    let signer = in_child(&[
        ("AWS_CONFIG_FILE", &files.path("config")),
        ("AWS_SHARED_CREDENTIALS_FILE", &files.path("credentials")),
        ("AWS_ENDPOINT_URL_STS", &sts.url()),
        ("TEST_PROFILE", "upload-role"),
    ]);
    assert_eq!(signer, Ok(Some("ASIAAssumeRole".to_owned())));
    assert_eq!(sts.requests()[0].signed_by(), Some("AKIDUPLOAD"));
}

/// A metadata service with a role.
fn instance() -> Scripted {
    Scripted::start(|request| match request.target.as_str() {
        "/latest/api/token" => Answer::new(200, "t").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        "/latest/meta-data/iam/security-credentials/" => Answer::new(200, "the-role"),
        _ => Answer::new(200, temporary("ASIAINSTANCE")),
    })
}

#[test]
fn a_role_is_assumed_with_the_credential_source() {
    let (sts, instance) = (sts(), instance());
    let container = Scripted::start(|_| Answer::new(200, temporary("ASIACONTAINER")));
    let (metadata, uri) = (instance.url(), format!("{}/get", container.url()));
    let [id, secret] = ENVIRONMENT_KEYS;
    for (source, variables, signed_by) in [
        ("Environment", vec![id, secret], "AKIDENV"),
        (
            "Ec2InstanceMetadata",
            vec![
                ("AWS_EC2_METADATA_DISABLED", "false"),
                ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata.as_str()),
            ],
            "ASIAINSTANCE",
        ),
        ("EcsContainer", vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", uri.as_str())], "ASIACONTAINER"),
    ] {
        let config =
            format!("[profile by-source]\nrole_arn = arn:aws:iam::1:role/r\ncredential_source = {source}\n");
        let files = Files::new(&config, "");
        let (config, sts_url) = (files.path("config"), sts.url());
        let mut all = vec![
            ("AWS_CONFIG_FILE", config.as_str()),
            ("AWS_ENDPOINT_URL_STS", sts_url.as_str()),
            ("TEST_PROFILE", "by-source"),
        ];
        all.extend(variables);
        assert_eq!(in_child(&all), Ok(Some("ASIAAssumeRole".to_owned())), "{source}");
        assert_eq!(sts.requests().last().unwrap().signed_by(), Some(signed_by), "{source}");
    }
}

#[test]
fn a_profile_may_have_a_web_identity() {
    let sts = sts();
    let files = Files::new("", "");
    std::fs::write(files.path("token"), "the-web-token").unwrap();
    let config = format!(
        "[profile web]\nrole_arn = arn:aws:iam::1:role/r\nweb_identity_token_file = {}\n",
        files.path("token")
    );
    std::fs::write(files.path("config"), config).unwrap();
    let signer = in_child(&[
        ("AWS_CONFIG_FILE", &files.path("config")),
        ("AWS_ENDPOINT_URL_STS", &sts.url()),
        ("TEST_PROFILE", "web"),
    ]);
    assert_eq!(signer, Ok(Some("ASIAAssumeRoleWithWebIdentity".to_owned())));
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

#[test]
fn a_web_identity_is_exchanged_for_a_role() {
    let sts = sts();
    let files = Files::new("", "");
    let token = files.path("token");
    std::fs::write(&token, "the-web-token").unwrap();
    let signer = in_child(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", &token),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", &sts.url()),
    ]);
    assert_eq!(signer, Ok(Some("ASIAAssumeRoleWithWebIdentity".to_owned())));
    assert!(String::from_utf8_lossy(&sts.requests()[0].body).contains("the-web-token"));
}

#[test]
fn a_role_that_is_denied_ends_the_search() {
    let sts = Scripted::start(|_| {
        let xml = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yours</Message></Error></ErrorResponse>";
        Answer::new(403, xml)
    });
    let config = "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = upload\n";
    let files = Files::new(config, TWO_PROFILES);
    let words = in_child(&[
        ("AWS_CONFIG_FILE", &files.path("config")),
        ("AWS_SHARED_CREDENTIALS_FILE", &files.path("credentials")),
        ("AWS_ENDPOINT_URL_STS", &sts.url()),
    ])
    .unwrap_err();
    assert!(words.contains("not yours"), "{words}");
    assert!(!words.contains("instance metadata"), "{words}");
}

fn temporary(key: &str) -> String {
    format!(
        "{{\"Code\":\"Success\",\"Type\":\"AWS-HMAC\",\"LastUpdated\":\"2026-01-01T00:00:00Z\",\"AccessKeyId\":\"{key}\",\
         \"SecretAccessKey\":\"s\",\"Token\":\"t\",\"Expiration\":\"2099-01-01T00:00:00Z\"}}"
    )
}

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
    let asked = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&asked);
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
