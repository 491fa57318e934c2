//! The `nars3` command. All of it is in the library beside this file, so that tests and tasks can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    // As Nix does when it starts (Nix 2.29 `shared.cc`): what is restored or kept has the same modes for everybody.
    // Nothing else runs yet, so no thread can be surprised.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    nars3_cli::run(std::env::args_os())
}
