//! Variables of the environment, and what comes before what.

use super::{ENVIRONMENT_KEYS, Files, TWO_PROFILES, in_child};

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
