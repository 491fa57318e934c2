//! The `nars3` command. All of it is in the library beside this file, so that tests and tasks can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    nars3_cli::run(std::env::args_os())
}
