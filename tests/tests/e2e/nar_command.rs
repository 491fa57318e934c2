//! `nars3 nar`, where it can only be seen as a command: modes of what it makes, input that goes on, input too deep.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use nars3_tests::nars3::Nars3;

use crate::setup::small_tree;

/// Runs a line of shell in which `nars3` is `"$NARS3"`, and says whether it succeeded and what it wrote to standard error.
fn shell(nars3: &Nars3, line: &str) -> Result<(bool, String)> {
    let command = nars3.command();
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).current_dir(nars3.work()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = shell.env("NARS3", command.get_program()).output()?;
    Ok((output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn mode(path: &Path) -> Result<u32> {
    Ok(path.symlink_metadata()?.mode() & 0o777)
}

/// Nix sets its umask when it starts, whatever the caller's is.
#[test]
fn what_is_restored_has_nix_modes_under_any_umask() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    small_tree(&nars3.work())?;
    let (done, error) =
        shell(&nars3, "umask 077; \"$NARS3\" nar dump-path tree | \"$NARS3\" nar restore restored")?;
    assert!(done, "{error}");
    let restored = nars3.work().join("restored");
    assert_eq!(mode(&restored)?, 0o755);
    assert_eq!(mode(&restored.join("data"))?, 0o644);
    assert_eq!(mode(&restored.join("bin/hello"))?, 0o755);
    Ok(())
}

/// As with `nix-store --restore`; and a sender that says nothing more but does not hang up is not waited for.
#[test]
fn what_follows_a_nar_does_not_matter() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    small_tree(&nars3.work())?;
    let (done, error) = shell(
        &nars3,
        "mkfifo open; exec 9<>open; \"$NARS3\" nar dump-path tree >&9 & \"$NARS3\" nar restore one <open || exit 1
         { \"$NARS3\" nar dump-path tree; echo more; } | \"$NARS3\" nar restore two",
    )?;
    assert!(done, "{error}");
    for restored in ["one", "two"] {
        assert_eq!(std::fs::read(nars3.work().join(restored).join("data"))?, b"some data\n");
    }
    Ok(())
}

#[test]
fn trees_that_newer_nix_refuses_take_an_option() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    std::fs::create_dir_all(nars3.work().join("deep").join("d/".repeat(70)))?;
    let (done, error) = shell(&nars3, "\"$NARS3\" nar dump-path deep >refused.nar")?;
    assert!(!done && error.contains("more than 64 nodes deep"), "{error}");
    let (done, error) = shell(
        &nars3,
        "\"$NARS3\" nar dump-path --no-limits deep >deep.nar && \"$NARS3\" nar restore --no-limits restored <deep.nar &&
         \"$NARS3\" nar ls --no-limits -R deep.nar >listed",
    )?;
    assert!(done, "{error}");
    assert!(nars3.work().join("restored").join("d/".repeat(70)).is_dir());
    assert_eq!(std::fs::read_to_string(nars3.work().join("listed"))?.lines().count(), 70);
    let (done, error) = shell(&nars3, "\"$NARS3\" nar restore refused <deep.nar")?;
    assert!(!done && error.contains("64"), "{error}");
    Ok(())
}

/// Nix leaves half a tree behind, and says at the second try that it exists already.
#[test]
fn a_restore_that_fails_leaves_nothing_and_can_be_tried_again() -> Result<()> {
    let nars3 = Nars3::anonymous()?;
    small_tree(&nars3.work())?;
    let (done, error) = shell(
        &nars3,
        "\"$NARS3\" nar dump-path tree >whole.nar && head -c -16 whole.nar >cut.nar && mkdir place",
    )?;
    assert!(done, "{error}");
    let (done, error) = shell(&nars3, "\"$NARS3\" nar restore place/restored <cut.nar")?;
    assert!(!done && error.contains("unexpected end"), "{error}");
    assert_eq!(nars3.work().join("place").read_dir()?.count(), 0);
    let (done, error) = shell(&nars3, "\"$NARS3\" nar restore place/restored <whole.nar")?;
    assert!(done, "{error}");
    let (done, error) = shell(&nars3, "\"$NARS3\" nar restore place/restored <whole.nar")?;
    assert!(!done && error.contains("place/restored") && error.contains("exists already"), "{error}");
    assert_eq!(nars3.work().join("place").read_dir()?.count(), 1);
    Ok(())
}
