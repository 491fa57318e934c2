//! Goes through a listing with one path, which grows and shrinks on the way.

use std::collections::btree_map;

use super::Node;

/// A walk through a node and everything below it: see [`Node::walk`].
///
/// It is no iterator, because the path it gives is overwritten by the next one. A path of its own for each node would
/// take as much time as all paths are long together, and a stranger's listing can make that thousands of times as much
/// as the listing.
#[derive(Debug)]
pub struct Walk<'a> {
    /// Where the walk begins, until it has begun.
    root: Option<&'a Node>,
    /// The directories above the next node: what is left of each.
    open: Vec<Directory<'a>>,
    /// The path of the node that was given last.
    path: String,
}

#[derive(Debug)]
struct Directory<'a> {
    entries: btree_map::Iter<'a, String, Node>,
    /// How much of the path leads to the directory, in bytes.
    path_length: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn of(root: &'a Node) -> Self {
        Self { root: Some(root), open: Vec::new(), path: String::new() }
    }

    /// The next node with its path from where the walk began; the path of that node itself is empty.
    pub fn next_node(&mut self) -> Option<(&str, &'a Node)> {
        let node = match self.root.take() {
            Some(root) => root,
            None => self.next_entry()?,
        };
        if let Node::Directory { entries } = node {
            self.open.push(Directory { entries: entries.iter(), path_length: self.path.len() });
        }
        Some((&self.path, node))
    }

    fn next_entry(&mut self) -> Option<&'a Node> {
        loop {
            let directory = self.open.last_mut()?;
            let Some((name, node)) = directory.entries.next() else {
                self.open.pop();
                continue;
            };
            self.path.truncate(directory.path_length);
            if !self.path.is_empty() {
                self.path.push('/');
            }
            self.path.push_str(name);
            return Some(node);
        }
    }
}
