//! The command of Nix's manual, word for word but for `nars3` and the endpoint.

use std::process::Command;

use anyhow::Result;
use nars3_tests::audit::audit;
use nars3_tests::closure;
use nars3_tests::nars3::Nars3;
use nars3_tests::nix::Nix;
use nars3_tests::process::Finished;
use nars3_tests::server::{S3Server, Settings};

/// A server of its own, because the bucket's name and the region are those of the manual.
fn example() -> Result<(S3Server, Settings)> {
    let settings = Settings { region: "us-east-1".to_owned(), ..Settings::default() };
    let server = S3Server::start(&settings)?;
    let settings = server.settings().clone();
    Ok((server, settings))
}

fn write_profile(nars3: &Nars3, settings: &Settings) -> Result<()> {
    let text = format!(
        "[default]\naws_access_key_id = nobody\naws_secret_access_key = wrong\n\n\
         [cache-upload]\naws_access_key_id = {}\naws_secret_access_key = {}\n",
        settings.access_key, settings.secret_key
    );
    std::fs::write(nars3.home().join("aws-credentials"), text)?;
    Ok(())
}

#[test]
fn the_command_of_the_manual_works_as_written() -> Result<()> {
    let Some(nix) = Nix::find() else { return Ok(()) };
    let (server, settings) = example()?;
    let bucket = server.bucket("example-nix-cache")?;
    let nars3 = Nars3::anonymous()?;
    write_profile(&nars3, &settings)?;
    let closure = closure::build(&nix)?;
    std::os::unix::fs::symlink(&closure.link, nars3.work().join("result"))?;
    let line = format!(
        "nars3 copy ./result --to 's3://example-nix-cache?profile=cache-upload&scheme=http&endpoint={}'",
        server.endpoint()
    );
    shell(&nars3, &line)?.success()?;
    assert_eq!(audit(&bucket)?.paths.len(), closure.paths.len());
    Ok(())
}

#[test]
fn a_profile_with_wrong_keys_or_no_profile_at_all_is_refused() -> Result<()> {
    let (server, settings) = example()?;
    let bucket = server.fresh_bucket()?;
    let nars3 = Nars3::anonymous()?;
    write_profile(&nars3, &settings)?;
    std::fs::write(nars3.work().join("file"), "x")?;
    for profile in ["default", "no-such-profile"] {
        let said =
            nars3.run(["add", "--to", &bucket.url(&format!("profile={profile}")), "file"])?.refusal()?;
        assert!(!said.contains("aws_secret_access_key") && !said.contains(&settings.secret_key), "{said}");
        if profile == "no-such-profile" {
            assert!(said.contains(profile), "{said}");
        }
    }
    assert_eq!(bucket.keys()?, Vec::<String>::new());
    Ok(())
}

/// Runs a line as a shell would, with the `nars3` under test first in `PATH`.
fn shell(nars3: &Nars3, line: &str) -> Result<Finished> {
    let template = nars3.command();
    let binary = std::path::PathBuf::from(template.get_program());
    let directory = nars3.home().join("bin");
    std::fs::create_dir_all(&directory)?;
    std::os::unix::fs::symlink(std::path::absolute(binary)?, directory.join("nars3"))?;
    let mut command = Command::new("sh");
    command.args(["-c", line]).current_dir(nars3.work()).env_clear();
    command.envs(template.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", format!("{}:/usr/bin:/bin", directory.display()));
    Finished::run(&mut command)
}
