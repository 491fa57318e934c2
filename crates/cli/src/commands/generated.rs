//! `nars3 completions`, `nars3 man`: what is made from the command line's own description.

use std::io::Write;
use std::path::Path;

use clap_complete::Shell;
use clap_mangen::Man;

use crate::error::{CliResult, ResultExt};
use crate::output::Output;

pub(crate) fn completions(shell: Shell) -> CliResult {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "nars3", &mut script);
    let mut output = Output::stdout();
    output.write_all(&script)?;
    output.finish()
}

pub(crate) fn man(directory: Option<&Path>) -> CliResult {
    let Some(directory) = directory else {
        let mut output = Output::stdout();
        Man::new(crate::command()).render(&mut output)?;
        return output.finish();
    };
    std::fs::create_dir_all(directory).context(|| format!("cannot create '{}'", directory.display()))?;
    clap_mangen::generate_to(crate::command(), directory)
        .context(|| format!("cannot write manual pages to '{}'", directory.display()))
}
