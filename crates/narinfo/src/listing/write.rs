//! Writes listings as Nix does: keys sorted, no white space, nesting on the heap.

use std::collections::btree_map;
use std::fmt::Write;

use super::Node;

/// Which Nix to write for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum ListingForm {
    /// Nix 2.29: `executable` only where it is true.
    Nix229,
    /// Nix HEAD: `executable` for every file.
    Head,
}

/// How much to write.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub enum ListingDepth {
    /// Everything below the node.
    Deep,
    /// Of the entries of a directory only their names; such a listing cannot be read back.
    Shallow,
}

pub(super) fn listing(root: &Node, form: ListingForm) -> String {
    let mut json = String::from(r#"{"root":"#);
    node(&mut json, root, form, ListingDepth::Deep);
    json.push_str(r#","version":1}"#);
    json
}

pub(super) fn bare_node(root: &Node, form: ListingForm, depth: ListingDepth) -> String {
    let mut json = String::new();
    node(&mut json, root, form, depth);
    json
}

fn node(json: &mut String, root: &Node, form: ListingForm, depth: ListingDepth) {
    // The directories that are being written: what is left of each.
    let mut open: Vec<btree_map::Iter<'_, String, Node>> = Vec::new();
    begin(json, root, form, &mut open);
    while let Some(entries) = open.last_mut() {
        let Some((name, child)) = entries.next() else {
            open.pop();
            json.push_str(r#"},"type":"directory"}"#);
            continue;
        };
        if !json.ends_with('{') {
            json.push(',');
        }
        string(json, name);
        json.push(':');
        match depth {
            ListingDepth::Deep => begin(json, child, form, &mut open),
            ListingDepth::Shallow => json.push_str("{}"),
        }
    }
}

/// Writes a leaf, or the beginning of a directory, whose entries are then `open`.
fn begin<'a>(
    json: &mut String,
    node: &'a Node,
    form: ListingForm,
    open: &mut Vec<btree_map::Iter<'a, String, Node>>,
) {
    match node {
        Node::Directory { entries } => {
            json.push_str(r#"{"entries":{"#);
            open.push(entries.iter());
        }
        Node::Regular { executable, size, nar_offset } => {
            json.push('{');
            if *executable || form == ListingForm::Head {
                // Writing to a string cannot fail.
                let _ = write!(json, r#""executable":{executable},"#);
            }
            if let Some(offset) = nar_offset.filter(|offset| *offset != 0) {
                let _ = write!(json, r#""narOffset":{offset},"#);
            }
            let _ = write!(json, r#""size":{size},"type":"regular"}}"#);
        }
        Node::Symlink { target } => {
            json.push_str(r#"{"target":"#);
            string(json, target);
            json.push_str(r#","type":"symlink"}"#);
        }
    }
}

/// A string as both `serde_json` and Nix's JSON library write it: only what must be escaped is.
fn string(json: &mut String, text: &str) {
    json.push_str(&serde_json::Value::from(text).to_string());
}
