//! How `store ls` and `nar ls` print what is inside a NAR, in the columns of Nix's own commands.

use std::io::Write;

use nars3_narinfo::{Listing, ListingDepth, ListingForm, Node};

use crate::error::{CliError, CliResult};
use crate::output::Output;
use crate::terminal::harmless_word;

/// Which entries are shown, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListingStyle {
    pub(crate) long: bool,
    pub(crate) recursive: bool,
    pub(crate) directory: bool,
    pub(crate) json: bool,
    /// A terminal shows it: then names are escaped so that they do not control it.
    pub(crate) watched: bool,
}

/// Prints what is at `inside` of a listing. `shown` is how the person named it.
pub(crate) fn print_listing(listing: &Listing, inside: &str, shown: &str, style: ListingStyle) -> CliResult {
    let node =
        listing.root.lookup(inside).ok_or_else(|| CliError::new(format!("'{shown}' does not exist")))?;
    let mut output = Output::stdout();
    if style.json {
        // The node itself, without the version that a .ls file has, and without what is below unless it is asked for:
        // Nix `nar-accessor.cc`, `listNar`.
        let depth = if style.recursive { ListingDepth::Deep } else { ListingDepth::Shallow };
        output.line(node.to_json(ListingForm::Nix229, depth))?;
        return output.finish();
    }
    match node {
        Node::Directory { entries } if !style.directory => {
            for (name, child) in entries {
                print_node(&mut output, child, &format!("./{name}"), style)?;
            }
        }
        _ => print_line(&mut output, Shape::of(node), name_of(shown).as_bytes(), style)?,
    }
    output.finish()
}

/// How a node that was asked for itself is called.
fn name_of(shown: &str) -> &str {
    let name = shown.trim_end_matches('/');
    if name.is_empty() { "/" } else { name }
}

fn print_node(output: &mut Output, node: &Node, path: &str, style: ListingStyle) -> CliResult {
    print_line(output, Shape::of(node), path.as_bytes(), style)?;
    if let Node::Directory { entries } = node
        && style.recursive
    {
        for (name, child) in entries {
            print_node(output, child, &format!("{path}/{name}"), style)?;
        }
    }
    Ok(())
}

/// What a line says about a node. Targets are bytes, as they are in a NAR.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape<'n> {
    Regular { executable: bool, size: u64 },
    Directory,
    Symlink { target: &'n [u8] },
}

impl<'n> Shape<'n> {
    fn of(node: &'n Node) -> Self {
        match node {
            Node::Regular { executable, size, .. } => Self::Regular { executable: *executable, size: *size },
            Node::Directory { .. } => Self::Directory,
            Node::Symlink { target } => Self::Symlink { target: target.as_bytes() },
        }
    }
}

/// Prints the line of one node; to whoever is no terminal, the path comes out byte by byte as it is.
pub(crate) fn print_line(
    output: &mut impl Write,
    shape: Shape<'_>,
    path: &[u8],
    style: ListingStyle,
) -> CliResult {
    if style.long {
        let (mode, size) = match shape {
            Shape::Regular { executable: true, size } => ("-r-xr-xr-x", size),
            Shape::Regular { executable: false, size } => ("-r--r--r--", size),
            Shape::Directory => ("dr-xr-xr-x", 0),
            Shape::Symlink { .. } => ("lrwxrwxrwx", 0),
        };
        write!(output, "{mode} {size:>20} ")?;
    }
    let mut word = |word: &[u8]| match style.watched {
        true => output.write_all(harmless_word(word).as_bytes()),
        false => output.write_all(word),
    };
    word(path)?;
    if let Shape::Symlink { target } = shape
        && style.long
    {
        word(b" -> ")?;
        word(target)?;
    }
    output.write_all(b"\n")?;
    Ok(())
}
