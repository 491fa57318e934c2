//! A real bucket: what is right, and what whoever set it up got wrong.

use anyhow::{Context, Result};
use nars3_tests::nars3::Nars3;

use super::{CLIENTS, Diagnosis, Real, doctor, minio};

#[test]
fn a_bucket_that_is_well_is_only_read() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        let diagnosis = doctor(&nars3, &url, &[])?;
        assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent"]);
        assert_eq!(bucket.keys()?, Vec::<String>::new());
    }
    nars3.run(["store", "init", "--store", &bucket.url(""), "--priority", "30"])?.success()?;
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        assert_eq!(doctor(&nars3, &url, &[])?.is_well()?.codes(), Vec::<&str>::new());
        let text = nars3.run(["doctor", "--store", &url])?.success()?;
        for words in ["ok       credentials: key 'nars3-test-user' from environment", "priority 30", client] {
            assert!(text.contains(words), "no '{words}' in\n{text}");
        }
    }
    assert_eq!(bucket.keys()?, ["nix-cache-info"]);
    Ok(())
}

#[test]
fn probes_are_written_and_gone_again() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    bucket.put("cache/one/nix-cache-info", b"StoreDir: /nix/store\n")?;
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}")).replacen('?', "/cache/one?", 1);
        let diagnosis = doctor(&nars3, &url, &["--write"])?;
        assert_eq!(diagnosis.is_well()?.codes(), Vec::<&str>::new());
        let checks: Vec<_> = diagnosis.report["findings"].as_array().context("none")?.iter().collect();
        for check in ["writing", "conditional writes", "writing in parts", "deleting"] {
            assert!(checks.iter().any(|finding| finding["check"] == check), "{:#}", diagnosis.report);
        }
        assert_eq!(bucket.keys()?, ["cache/one/nix-cache-info"]);
        assert_eq!(bucket.pending_uploads()?, Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn mistakes_in_the_settings_are_told_apart() -> Result<()> {
    let Some(Real { server, nars3, bucket }) = minio()? else { return Ok(()) };
    let keys = server.settings();
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}"));
        let wrong = Nars3::anonymous()?
            .with("AWS_ACCESS_KEY_ID", &keys.access_key)
            .with("AWS_SECRET_ACCESS_KEY", "wrong");
        doctor(&wrong, &url, &[])?.is_problem("credentials-rejected", "AWS_SECRET_ACCESS_KEY")?;
        let unknown = Nars3::anonymous()?
            .with("AWS_ACCESS_KEY_ID", "nobody")
            .with("AWS_SECRET_ACCESS_KEY", &keys.secret_key);
        doctor(&unknown, &url, &[])?.is_problem("credentials-rejected", "AWS_ACCESS_KEY_ID")?;

        let none = doctor(&Nars3::anonymous()?, &url, &[])?;
        none.is_problem("forbidden", "configure credentials")?;
        let tried = none.finding("credentials-none")?["details"].to_string();
        for provider in ["environment: ", "profile: ", "web identity: ", "container: ", "instance metadata: "]
        {
            assert!(tried.contains(provider), "no '{provider}' in {tried}");
        }

        let profile = doctor(&nars3, &bucket.url(&format!("profile=uplaod&s3-client={client}")), &[])?;
        profile.is_problem("credentials-unavailable", "list-profiles")?;
        assert!(profile.finding("credentials-unavailable")?["details"].to_string().contains("uplaod"));

        let absent = url.replacen(bucket.name(), "nars3-there-is-no-such-bucket", 1);
        doctor(&nars3, &absent, &[])?.is_problem("bucket-missing", "create the bucket")?;

        // Whether the client finds the region by itself or not: the URL should say it.
        let elsewhere = doctor(&nars3, &url.replace(&keys.region, "sa-east-1"), &[])?;
        let region = elsewhere.finding("wrong-region")?;
        assert!(
            region["fix"].as_str().is_some_and(|fix| fix.contains(&format!("region={}", keys.region))),
            "{region}"
        );
    }
    Ok(())
}

#[test]
fn a_server_without_tls_is_found_out() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for client in CLIENTS {
        let url = bucket.url(&format!("s3-client={client}")).replacen("scheme=http&", "", 1);
        doctor(&nars3, &url, &[])?.is_problem("tls", "scheme=http")?;
    }
    Ok(())
}

#[test]
fn a_nix_cache_info_that_nix_refuses_is_a_problem() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    let url = bucket.url("");
    for (text, code, fix) in [
        (&b"StoreDir: /gnu/store\n"[..], "cache-info-foreign", "store=/gnu/store"),
        (b"StoreDir: /nix/store\nPriority: high\n", "cache-info-malformed", "store init"),
        (b"<html>", "cache-info-malformed", "store init"),
        (b"StoreDir: /nix/store\xff\n", "cache-info-malformed", "delete the object"),
    ] {
        bucket.put("nix-cache-info", text)?;
        doctor(&nars3, &url, &[])?.is_problem(code, fix)?;
    }
    let foreign = bucket.url("store=/gnu/store");
    bucket.put("nix-cache-info", b"StoreDir: /gnu/store\n")?;
    doctor(&nars3, &foreign, &[])?.is_well()?;
    Ok(())
}

#[test]
fn uploads_that_killed_writers_left_are_listed_and_ended() -> Result<()> {
    let Some(Real { server: _server, nars3, bucket }) = minio()? else { return Ok(()) };
    for key in ["nar/one.nar.xz", "nar/a b+c%.nar", "backup.tar"] {
        bucket.begin_upload(key)?;
    }
    let url = bucket.url("");
    let diagnosis = doctor(&nars3, &url, &[])?;
    diagnosis.is_well()?;
    assert!(diagnosis.finding("uploads-left")?["fix"].to_string().contains("--abort-uploads-older-than"));
    let listed = |diagnosis: &Diagnosis| {
        let uploads = diagnosis.report["uploads"].as_array().cloned().unwrap_or_default();
        let mut keys: Vec<_> =
            uploads.iter().map(|upload| upload["key"].as_str().unwrap_or_default().to_owned()).collect();
        keys.sort();
        keys
    };
    assert_eq!(listed(&diagnosis), ["nar/a b+c%.nar", "nar/one.nar.xz"]);

    doctor(&nars3, &url, &["--abort-uploads-older-than", "1d"])?.is_well()?;
    assert_eq!(bucket.pending_uploads()?.len(), 3, "none is so old");
    let diagnosis = doctor(&nars3, &url, &["--abort-uploads-older-than", "0s"])?;
    assert_eq!(diagnosis.is_well()?.codes(), ["cache-info-absent", "uploads-aborted"]);
    assert_eq!(bucket.pending_uploads()?, ["backup.tar"], "what is not a cache's is left alone");
    let refused = nars3.run(["doctor", "--store", &url, "--abort-uploads-older-than", "1"])?;
    assert_eq!(refused.status.code(), Some(2), "an age without a unit is a mistake");
    Ok(())
}
