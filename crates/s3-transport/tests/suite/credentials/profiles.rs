//! Profiles in the configuration files.

use nars3_s3::Refusal;

use super::{Files, TWO_PROFILES, credentials_error, signer};

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
