//! The project's own tasks, run as `cargo xtask TASK`: what would otherwise be shell scripts, but typed, tested and the same
//! on every machine. Each task has a file of its own. Keep the dependencies few: everybody compiles this before anything else.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the person who runs them")]

mod bench;
mod demo;
mod dist;
mod flags;
mod fuzz;
mod plain_environment;
mod project;
mod test;
mod tidy;

use std::process::ExitCode;

use crate::flags::Task;

fn main() -> ExitCode {
    if let Err(error) = plain_environment::enter() {
        eprintln!("cargo xtask: cannot start again without cargo's variables: {error}");
    }
    match flags::parse(std::env::args().skip(1)).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(task: Task) -> anyhow::Result<()> {
    match task {
        Task::Help => {
            print!("{}", flags::HELP);
            Ok(())
        }
        Task::Demo => demo::run(),
        Task::Test(options) => test::run(&options),
        Task::Tidy => tidy::run(),
        Task::Dist => dist::run(),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Fuzz(options) => fuzz::run(&options),
    }
}
