//! Reads listings, with the nesting on the heap.

use std::collections::BTreeMap;

use super::lexer::Lexer;
use super::{Listing, ListingError, ListingProblem, MAX_LISTING_DEPTH, MAX_LISTING_NAME_LENGTH, Node};
use crate::narinfo::EXCERPT_LENGTH;

/// A `.ls` file: an object with `root` and `version`.
pub(super) fn listing(text: &str) -> Result<Listing, ListingError> {
    let mut reader = Reader { lexer: Lexer::of(text), open: Vec::new() };
    reader.listing().map_err(|problem| reader.error(problem))
}

/// A node and nothing else.
pub(super) fn bare_node(text: &str) -> Result<Node, ListingError> {
    let mut reader = Reader { lexer: Lexer::of(text), open: Vec::new() };
    reader.node().and_then(|node| reader.end().map(|()| node)).map_err(|problem| reader.error(problem))
}

struct Reader<'a> {
    lexer: Lexer<'a>,
    open: Vec<Open>,
}

/// A node that is being read. Its entries are open when `in_entries`.
#[derive(Default)]
struct Open {
    name: String,
    /// Whether the next member is the first of the node.
    is_first: bool,
    in_entries: bool,
    /// Whether the next entry is the first one.
    is_first_entry: bool,
    kind: Option<String>,
    executable: bool,
    size: Option<u64>,
    nar_offset: Option<u64>,
    target: Option<String>,
    entries: Option<BTreeMap<String, Node>>,
}

impl Reader<'_> {
    fn error(&self, problem: ListingProblem) -> ListingError {
        let names: Vec<&str> = self.open.iter().skip(1).map(|open| open.name.as_str()).collect();
        ListingError { offset: self.lexer.offset(), path: names.join("/"), problem }
    }

    fn listing(&mut self) -> Result<Listing, ListingProblem> {
        self.lexer.expect(b'{', "a listing: an object")?;
        let (mut root, mut version, mut is_first) = (None, None, true);
        while let Some(name) = self.lexer.member(&mut is_first)? {
            match name.as_ref() {
                "root" => root = Some(self.node()?),
                "version" => version = Some(self.lexer.scalar().unwrap_or_default()),
                _ => self.lexer.skip()?,
            }
        }
        match version {
            Some("1") => {}
            Some(other) => return Err(ListingProblem::Version(other.chars().take(32).collect())),
            None => return Err(ListingProblem::Missing("version")),
        }
        self.end()?;
        root.map(|root| Listing { root }).ok_or(ListingProblem::Missing("root"))
    }

    fn end(&self) -> Result<(), ListingProblem> {
        if self.lexer.at_end() { Ok(()) } else { Err(ListingProblem::Expected("nothing more")) }
    }

    /// Reads a node and everything below it.
    fn node(&mut self) -> Result<Node, ListingProblem> {
        self.open(String::new())?;
        loop {
            let Some(open) = self.open.last_mut() else { return Err(ListingProblem::Expected("a node")) };
            if open.in_entries {
                self.next_entry()?;
            } else if !self.next_field()? {
                let (name, node) = self.close()?;
                match self.open.last_mut() {
                    None => return Ok(node),
                    Some(parent) => {
                        parent.entries.get_or_insert_default().insert(name, node);
                    }
                }
            }
        }
    }

    fn open(&mut self, name: String) -> Result<(), ListingProblem> {
        if self.open.len() > MAX_LISTING_DEPTH {
            return Err(ListingProblem::TooDeep);
        }
        self.lexer.expect(b'{', "a node: an object")?;
        self.open.push(Open { name, is_first: true, ..Open::default() });
        Ok(())
    }

    /// Opens the next entry of the innermost directory, or leaves its entries.
    fn next_entry(&mut self) -> Result<(), ListingProblem> {
        let Some(open) = self.open.last_mut() else { return Ok(()) };
        let Some(name) = self.lexer.member(&mut open.is_first_entry)? else {
            open.in_entries = false;
            return Ok(());
        };
        if name.len() > MAX_LISTING_NAME_LENGTH {
            let start = name.chars().take(EXCERPT_LENGTH).collect();
            return Err(ListingProblem::NameTooLong { start, length: name.len() });
        }
        if matches!(name.as_ref(), "" | "." | "..") || name.contains(['/', '\0']) {
            return Err(ListingProblem::Name(name.into_owned()));
        }
        if open.entries.as_ref().is_some_and(|entries| entries.contains_key(name.as_ref())) {
            return Err(ListingProblem::Duplicate(name.into_owned()));
        }
        self.open(name.into_owned())
    }

    /// Reads the next field of the innermost node; false at its end. Unknown fields are skipped.
    fn next_field(&mut self) -> Result<bool, ListingProblem> {
        let Some(open) = self.open.last_mut() else { return Ok(false) };
        let lexer = &mut self.lexer;
        let Some(name) = lexer.member(&mut open.is_first)? else { return Ok(false) };
        match name.as_ref() {
            "type" => open.kind = Some(lexer.string("a type in quotation marks")?.into_owned()),
            "executable" => open.executable = lexer.boolean()?,
            "size" => open.size = Some(lexer.size()?),
            "narOffset" => open.nar_offset = Some(lexer.size()?).filter(|offset| *offset != 0),
            "target" => open.target = Some(lexer.string("a target in quotation marks")?.into_owned()),
            "entries" => {
                lexer.expect(b'{', "entries: an object")?;
                open.entries = Some(BTreeMap::new());
                open.in_entries = true;
                open.is_first_entry = true;
            }
            _ => lexer.skip()?,
        }
        Ok(true)
    }

    /// The innermost node, now that everything about it is known.
    fn close(&mut self) -> Result<(String, Node), ListingProblem> {
        let missing = ListingProblem::Missing;
        let Some(open) = self.open.last_mut() else { return Err(ListingProblem::Expected("a node")) };
        let node = match open.kind.as_deref() {
            Some("directory") => Node::Directory { entries: open.entries.take().ok_or(missing("entries"))? },
            Some("regular") => Node::Regular {
                executable: open.executable,
                size: open.size.ok_or(missing("size"))?,
                nar_offset: open.nar_offset,
            },
            Some("symlink") => Node::Symlink { target: open.target.take().ok_or(missing("target"))? },
            Some(other) => return Err(ListingProblem::Type(other.chars().take(32).collect())),
            None => return Err(missing("type")),
        };
        let name = std::mem::take(&mut open.name);
        self.open.pop();
        Ok((name, node))
    }
}
