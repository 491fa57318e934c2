//! The page that the benchmark writes.

use anyhow::Result;
use nars3_tests::nix::Nix;

use crate::cases::Row;
use crate::inputs::Input;
use crate::machine;

pub(crate) fn markdown(nix: &Nix, inputs: &[Input], rows: &[Row], runs: usize) -> Result<String> {
    let table: String = rows.iter().map(line).collect();
    let machine: String = machine::describe(nix)?.iter().map(|line| format!("- {line}\n")).collect();
    let inputs: Vec<&str> = inputs.iter().map(|input| input.title.as_str()).collect();
    Ok(format!(
        "## Beside real Nix\n\n\
         Written by `cargo xtask bench`: nars3 beside real Nix, the same closures ({}), the same MinIO on the same machine.\n\n\
         | what | compression | Nix | nars3 | times as fast | Nix, peak | nars3, peak |\n\
         |---|---|--:|--:|--:|--:|--:|\n\
         {table}\n\
         Medians of {runs} interleaved runs, seconds of wall clock; the highest resident memory of all runs, in MiB. A ratio\n\
         above 1 means that nars3 was faster. Server and client share the processor, as they do not in life.\n\n\
         ### Machine\n\n{machine}\n\
         ### Commands\n\n\
         ```text\n\
         push  nix copy --to 'http://HOST/BUCKET?compression=C&secret-key=FILE' PATH      (anonymous PUT)\n      \
         nars3 copy --to 's3://BUCKET?scheme=http&endpoint=HOST&region=R&compression=C&secret-key=FILE' PATH\n\
         pull  nix copy --from http://HOST/BUCKET --to 'local?root=DIR' PATH\n      \
         nars3 copy --from 's3://BUCKET?scheme=http&endpoint=HOST&region=R' --to 'local?root=DIR' --trusted-public-keys KEY PATH\n\
         ```\n\n\
         Each run has a server and buckets of its own. Both tools pull the objects that Nix pushed, with signatures checked, into\n\
         an empty store in memory (`/dev/shm`), and Nix's cache of narinfos is empty each time.\n",
        inputs.join(" and "),
    ))
}

fn line(row: &Row) -> String {
    let (nix, nars3) = (row.nix.time().as_secs_f64(), row.nars3.time().as_secs_f64());
    format!(
        "| {} | {} | {nix:.2} | {nars3:.2} | {:.2} | {} | {} |\n",
        row.what,
        row.compression,
        nix / nars3,
        row.nix.peak() >> 20,
        row.nars3.peak() >> 20,
    )
}
