//! The test servers themselves: what the other tests rely on.

use anyhow::Result;
use nars3_tests::require::{Need, skip};
use nars3_tests::server::{Access, S3Server, ServerKind, Settings, find_minio};

#[test]
fn the_embedded_server_keeps_objects_and_policies() -> Result<()> {
    objects_and_policies(&S3Server::start_kind(&ServerKind::Embedded, &Settings::default())?)
}

#[test]
fn minio_keeps_objects_and_policies() -> Result<()> {
    let Some(binary) = find_minio() else {
        skip(Need::Minio, "not in MINIO_BIN, in PATH or in the cache directory");
        return Ok(());
    };
    objects_and_policies(&S3Server::start_kind(&ServerKind::Minio(binary), &Settings::default())?)
}

fn objects_and_policies(server: &S3Server) -> Result<()> {
    let bucket = server.fresh_bucket()?;
    let keys = ["nar/a b+c.nar", "realisations/sha256:00!out.doi", "x.narinfo"];
    for key in keys {
        bucket.put(key, key.as_bytes())?;
    }
    assert_eq!(bucket.keys()?, keys);
    assert_eq!(bucket.narinfo_keys()?, ["x.narinfo"]);
    assert_eq!(bucket.get_text("nar/a b+c.nar")?, "nar/a b+c.nar");
    bucket.delete("x.narinfo")?;
    assert!(bucket.get("x.narinfo").is_err());

    let anonymous = |arguments: &[&str]| -> Result<String> {
        let url = format!("{}/nar/a%20b%2Bc.nar", bucket.http_url());
        let mut command = std::process::Command::new("curl");
        command
            .args(["--silent", "--output", "/dev/null", "--write-out", "%{http_code}"])
            .args(arguments)
            .arg(url);
        Ok(String::from_utf8(command.output()?.stdout)?)
    };
    if nars3_tests::process::find_in_path("curl").is_some() {
        assert_eq!(anonymous(&[])?, "403");
        bucket.allow_anonymous(Access::Read)?;
        assert_eq!(anonymous(&[])?, "200");
        assert_eq!(anonymous(&["-X", "PUT", "--data", "x"])?, "403");
        bucket.allow_anonymous(Access::ReadWrite)?;
        assert_eq!(anonymous(&["-X", "PUT", "--data", "x"])?, "200");
    }
    Ok(())
}
