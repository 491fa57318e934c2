//! Where the signing key may come from: the store URL, the environment, or systemd's credentials directory.

use anyhow::Result;
use nars3_tests::closure::narinfo_key;
use nars3_tests::nars3::Nars3;

use crate::setup::{Setup, small_tree};

/// Adds a small tree and returns the names of the keys that signed it.
fn signers(setup: &Setup, nars3: &Nars3, settings: &str) -> Result<Vec<String>> {
    let bucket = setup.server.fresh_bucket()?;
    let tree = small_tree(&nars3.work())?;
    let path = nars3.run(["add", "--to", &bucket.url(settings), &tree.to_string_lossy()])?.success()?;
    let narinfo = bucket.get_text(&narinfo_key(&path))?;
    let names = narinfo.lines().filter_map(|line| line.strip_prefix("Sig: ")?.split_once(':'));
    Ok(names.map(|(name, _)| name.to_owned()).collect())
}

#[test]
fn without_a_key_nothing_is_signed() -> Result<()> {
    let setup = Setup::new()?;
    assert_eq!(signers(&setup, &setup.nars3, "")?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_key_file_in_the_url() -> Result<()> {
    let setup = Setup::new()?;
    setup.nars3.key_pair("from-url-1")?;
    let settings = format!("secret-key={}", setup.nars3.secret_key_file("from-url-1").display());
    assert_eq!(signers(&setup, &setup.nars3, &settings)?, ["from-url-1"]);
    Ok(())
}

#[test]
fn several_key_files_in_the_url() -> Result<()> {
    let setup = Setup::new()?;
    for name in ["first-1", "second-1"] {
        setup.nars3.key_pair(name)?;
    }
    let file = |name| setup.nars3.secret_key_file(name).display().to_string();
    let settings = format!("secret-keys={},{}", file("first-1"), file("second-1"));
    assert_eq!(signers(&setup, &setup.nars3, &settings)?, ["first-1", "second-1"]);
    Ok(())
}

#[test]
fn the_key_itself_in_the_environment() -> Result<()> {
    let setup = Setup::new()?;
    let (secret, _) = setup.nars3.key_pair("from-env-1")?;
    let nars3 = Nars3::for_server(&setup.server)?.with("NARS3_SECRET_KEY", &secret);
    assert_eq!(signers(&setup, &nars3, "")?, ["from-env-1"]);
    Ok(())
}

#[test]
fn a_key_file_in_the_environment() -> Result<()> {
    let setup = Setup::new()?;
    setup.nars3.key_pair("from-file-1")?;
    let file = setup.nars3.secret_key_file("from-file-1");
    let nars3 = Nars3::for_server(&setup.server)?.with("NARS3_SECRET_KEY_FILE", &file);
    assert_eq!(signers(&setup, &nars3, "")?, ["from-file-1"]);
    Ok(())
}

#[test]
fn a_key_in_the_credentials_directory_of_systemd() -> Result<()> {
    let setup = Setup::new()?;
    let (secret, _) = setup.nars3.key_pair("from-systemd-1")?;
    let directory = setup.nars3.home().join("credentials");
    std::fs::create_dir(&directory)?;
    std::fs::write(directory.join("nars3-secret-key"), &secret)?;
    let nars3 = Nars3::for_server(&setup.server)?.with("CREDENTIALS_DIRECTORY", &directory);
    assert_eq!(signers(&setup, &nars3, "")?, ["from-systemd-1"]);
    Ok(())
}

#[test]
fn a_key_that_is_no_key_is_refused_without_being_shown() -> Result<()> {
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let nars3 = Nars3::for_server(&setup.server)?.with("NARS3_SECRET_KEY", "broken-1:c2VjcmV0IG1hdGVyaWFs");
    let url = setup.bucket.url("");
    let said = nars3.run(["-v", "add", "--to", &url, &tree.to_string_lossy()])?.refusal()?;
    assert!(said.contains("NARS3_SECRET_KEY"), "{said}");
    assert!(!said.contains("c2VjcmV0"), "the message shows the key: {said}");
    assert_eq!(setup.bucket.narinfo_keys()?, Vec::<String>::new());
    Ok(())
}

#[test]
fn a_key_file_that_is_not_there_is_refused_by_name() -> Result<()> {
    let setup = Setup::new()?;
    let tree = small_tree(&setup.nars3.work())?;
    let url = setup.bucket.url("secret-key=/no/such/key-file");
    let said = setup.nars3.run(["add", "--to", &url, &tree.to_string_lossy()])?.refusal()?;
    assert!(said.contains("/no/such/key-file"), "{said}");
    assert_eq!(setup.bucket.narinfo_keys()?, Vec::<String>::new());
    Ok(())
}
