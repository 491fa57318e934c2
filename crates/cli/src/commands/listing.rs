//! How `store ls` and `nar ls` print what is inside a NAR, in the columns of Nix's own commands.

use nars3_narinfo::{Listing, Node};

use crate::error::{CliError, CliResult};
use crate::output::Output;

/// Which entries are shown, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListingStyle {
    pub(crate) long: bool,
    pub(crate) recursive: bool,
    pub(crate) directory: bool,
    pub(crate) json: bool,
}

/// Prints what is at `inside` of a listing. `shown` is how the person named it.
pub(crate) fn print_listing(listing: &Listing, inside: &str, shown: &str, style: ListingStyle) -> CliResult {
    let node =
        listing.root.lookup(inside).ok_or_else(|| CliError::new(format!("'{shown}' does not exist")))?;
    let mut output = Output::stdout();
    if style.json {
        output.line(Listing { root: node.clone() }.to_json())?;
        return output.finish();
    }
    match node {
        Node::Directory { entries } if !style.directory => {
            for (name, child) in entries {
                print_node(&mut output, child, &format!("./{name}"), style)?;
            }
        }
        _ => {
            let name = shown.trim_end_matches('/');
            print_line(&mut output, node, if name.is_empty() { "/" } else { name }, style)?;
        }
    }
    output.finish()
}

fn print_node(output: &mut Output, node: &Node, path: &str, style: ListingStyle) -> CliResult {
    print_line(output, node, path, style)?;
    if let Node::Directory { entries } = node
        && style.recursive
    {
        for (name, child) in entries {
            print_node(output, child, &format!("{path}/{name}"), style)?;
        }
    }
    Ok(())
}

fn print_line(output: &mut Output, node: &Node, path: &str, style: ListingStyle) -> CliResult {
    if !style.long {
        return output.line(path);
    }
    match node {
        Node::Regular { executable, size, .. } => {
            let mode = if *executable { "-r-xr-xr-x" } else { "-r--r--r--" };
            output.line(format_args!("{mode} {size:>20} {path}"))
        }
        Node::Directory { .. } => output.line(format_args!("dr-xr-xr-x {:>20} {path}", 0)),
        Node::Symlink { target } => output.line(format_args!("lrwxrwxrwx {:>20} {path} -> {target}", 0)),
    }
}
