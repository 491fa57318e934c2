//! Listings: what is in a NAR, without the contents of its files.

mod error;
mod lexer;
mod read;
#[cfg(test)]
mod tests;
mod walk;
mod write;

use std::collections::BTreeMap;

pub use error::{ListingError, ListingProblem};
pub use walk::Walk;
pub use write::{ListingDepth, ListingForm};

/// How deep a listing may be nested to be read: a file may have this many directories above it.
///
/// Nix HEAD stops at 64 in NARs, Nix 2.29 only where the longest path of the system ends. Reading, writing and
/// dropping here use no stack; copying and comparing do, and this bounds it.
pub const MAX_LISTING_DEPTH: usize = 512;

/// The longest name of an entry that is read, in bytes: what Linux allows, and what Nix HEAD allows in NARs.
pub const MAX_LISTING_NAME_LENGTH: usize = 255;

/// The listing of a NAR, which Nix stores beside it as `<hash part>.ls`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The root of the NAR: a directory as a rule, but a file or a symlink is a NAR as well.
    pub root: Node,
}

/// A node of a NAR.
///
/// `Node` takes itself apart without recursion when it is dropped, however deep it is. That is why a directory cannot
/// be moved out of it by pattern; `std::mem::take` on its entries does that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A file.
    Regular {
        /// Whether the file is executable.
        executable: bool,
        /// The size of the contents in bytes.
        size: u64,
        /// Where the contents begin, in bytes from the start of the uncompressed NAR. Never 0, but it may be unknown.
        nar_offset: Option<u64>,
    },
    /// A directory, its entries in the order of NARs: bytewise by name.
    Directory {
        /// The entries by name.
        entries: BTreeMap<String, Node>,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads; any text.
        target: String,
    },
}

impl Listing {
    /// Reads a `.ls` file, in the form of Nix 2.29 or of Nix HEAD.
    ///
    /// # Errors
    ///
    /// What is not a listing of version 1: wrong JSON, missing or ill-typed fields, names that no NAR can have, names
    /// beyond [`MAX_LISTING_NAME_LENGTH`], and nesting beyond [`MAX_LISTING_DEPTH`].
    pub fn from_json(text: &str) -> Result<Self, ListingError> {
        read::listing(text)
    }

    /// The `.ls` file as Nix 2.29 writes it, byte for byte.
    pub fn to_json(&self) -> String {
        write::listing(&self.root, ListingForm::Nix229)
    }

    /// The `.ls` file as Nix HEAD writes it: `executable` is always there.
    pub fn to_json_head(&self) -> String {
        write::listing(&self.root, ListingForm::Head)
    }
}

impl Node {
    /// Reads one node, as `nix store ls --json --recursive` and `nix nar ls` print it.
    ///
    /// # Errors
    ///
    /// As [`Listing::from_json`].
    pub fn from_json(text: &str) -> Result<Self, ListingError> {
        read::bare_node(text)
    }

    /// The node as `nix store ls --json` prints it, on one line.
    pub fn to_json(&self, form: ListingForm, depth: ListingDepth) -> String {
        write::bare_node(self, form, depth)
    }

    /// The node at `path`, whose components are separated by slashes; the node itself for the empty path.
    ///
    /// Superfluous slashes are skipped. `.` and `..` are names like others, that is, of nothing in a NAR. Symlinks are
    /// not followed.
    pub fn lookup(&self, path: &str) -> Option<&Self> {
        let mut node = self;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let Self::Directory { entries } = node else { return None };
            node = entries.get(name)?;
        }
        Some(node)
    }

    /// Goes through this node and everything below it: parents first, then by name.
    ///
    /// Time is in proportion to the listing, memory to its depth.
    ///
    /// ```
    /// # let json = r#"{"entries":{"a":{"target":"b","type":"symlink"}},"type":"directory"}"#;
    /// let node = nars3_narinfo::Node::from_json(json)?;
    /// let mut walk = node.walk();
    /// let mut paths = Vec::new();
    /// while let Some((path, _)) = walk.next_node() {
    ///     paths.push(path.to_owned());
    /// }
    /// assert_eq!(paths, ["", "a"]);
    /// # Ok::<(), nars3_narinfo::ListingError>(())
    /// ```
    pub fn walk(&self) -> Walk<'_> {
        Walk::of(self)
    }

    /// The entries below this node, moved out of it, if there are any.
    fn take_entries(&mut self) -> Option<BTreeMap<String, Self>> {
        match self {
            Self::Directory { entries } if !entries.is_empty() => Some(std::mem::take(entries)),
            _ => None,
        }
    }
}

/// Flattens deep trees first, so that their depth cannot exhaust the stack.
impl Drop for Node {
    fn drop(&mut self) {
        let Some(entries) = self.take_entries() else { return };
        let mut pending = vec![entries];
        while let Some(mut entries) = pending.pop() {
            pending.extend(entries.values_mut().filter_map(Self::take_entries));
        }
    }
}
