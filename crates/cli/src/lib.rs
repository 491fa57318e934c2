//! The `nars3` command: Nix binary caches on S3. It puts the libraries together and is the only crate that reads the
//! environment and configuration files, prints, draws progress, words hints and decides the exit code.
//!
//! ```
//! // The command line, as clap knows it: what man pages and completions are made from.
//! let command = nars3_cli::command();
//! assert_eq!(command.get_name(), "nars3");
//! assert!(command.find_subcommand("copy").is_some());
//! ```
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | failed; the error says what to do |
//! | 2 | the command line cannot be understood |
//! | 3 | with `--keep-going`: some paths were copied, some were not |
//! | 130 | interrupted by Ctrl-C |
//!
//! | module | job |
//! |---|---|
//! | `args` | the command line as types |
//! | `commands` | one file a command |
//! | `settings` | environment, `nix.conf`, keys: everything that is not on the command line |
//! | `stores` | a store URL becomes an open store |
//! | `store_mount` | a store of this machine that is mounted read-only |
//! | `installable` | a path on the command line becomes a store path |
//! | `roots` | the store paths that a copy begins with: also outputs, derivers, standard input |
//! | `progress`, `logging`, `output` | bars, log lines, standard output |
//! | `hints` | what can be done about an error of S3 |
//! | `error` | what a person reads when something fails, and the exit code |

mod args;
mod commands;
mod error;
mod hints;
mod installable;
mod logging;
mod nix_places;
mod output;
mod outputs;
mod progress;
mod roots;
mod run;
mod settings;
mod stages;
mod store_mount;
mod stores;
mod terminal;

pub use args::command;
pub use run::run;
