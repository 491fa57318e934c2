//! Roles that STS gives: for other credentials, and for the token of a web identity.

use super::{ENVIRONMENT_KEYS, Files, TWO_PROFILES, in_child, temporary};
use crate::support::{Answer, Scripted};

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

/// A metadata service with a role.
fn instance() -> Scripted {
    Scripted::start(|request| match request.target.as_str() {
        "/latest/api/token" => Answer::new(200, "t").with("x-aws-ec2-metadata-token-ttl-seconds", "21600"),
        "/latest/meta-data/iam/security-credentials/" => Answer::new(200, "the-role"),
        _ => Answer::new(200, temporary("ASIAINSTANCE")),
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
