//! Listings by example: both forms, look-up, and what a stranger could send.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Listing, ListingDepth, ListingForm, ListingProblem, MAX_LISTING_DEPTH, MAX_LISTING_NAME_LENGTH, Node,
};

fn directory<const COUNT: usize>(entries: [(&str, Node); COUNT]) -> Node {
    Node::Directory { entries: entries.into_iter().map(|(name, node)| (name.to_owned(), node)).collect() }
}

fn file(executable: bool, size: u64, nar_offset: u64) -> Node {
    Node::Regular { executable, size, nar_offset: Some(nar_offset) }
}

fn example() -> Listing {
    let link = Node::Symlink { target: "../x\"\\\u{1}ü".to_owned() };
    let bin = directory([("run", file(true, 3, 400)), ("ünï", link)]);
    Listing { root: directory([("bin", bin), ("empty", directory([])), ("file", file(false, 0, 96))]) }
}

const EXAMPLE: &str = r#"{"root":{"entries":{"bin":{"entries":{"run":{"executable":true,"narOffset":400,"size":3,"type":"regular"},"ünï":{"target":"../x\"\\\u0001ü","type":"symlink"}},"type":"directory"},"empty":{"entries":{},"type":"directory"},"file":{"narOffset":96,"size":0,"type":"regular"}},"type":"directory"},"version":1}"#;

#[test]
fn both_forms() {
    assert_eq!(example().to_json(), EXAMPLE);
    assert_eq!(Listing::from_json(EXAMPLE).unwrap(), example());
    let head = EXAMPLE.replace(r#"{"narOffset":96"#, r#"{"executable":false,"narOffset":96"#);
    assert_eq!(example().to_json_head(), head);
    assert_eq!(Listing::from_json(&head).unwrap(), example());
}

#[test]
fn any_order_any_space_and_unknown_fields() {
    let json = r#" { "version" : 1 , "more" : [ { "a" : [ ] } , -1.5e3 , null , "]" , true ] ,
        "root" : { "type" : "directory" , "x" : { } , "entries" : { "f" : { "type" : "regular" , "size" : 7 } } } } "#;
    let expected = directory([("f", Node::Regular { executable: false, size: 7, nar_offset: None })]);
    assert_eq!(Listing::from_json(json).unwrap(), Listing { root: expected });
}

#[test]
fn a_zero_offset_is_no_offset() {
    let node = Node::from_json(r#"{"type":"regular","size":1,"narOffset":0}"#).unwrap();
    assert_eq!(node, Node::Regular { executable: false, size: 1, nar_offset: None });
    let json = file(false, 1, 0).to_json(ListingForm::Nix229, ListingDepth::Deep);
    assert_eq!(json, r#"{"size":1,"type":"regular"}"#);
}

#[test]
fn names_may_be_escaped() {
    let node = Node::from_json(
        r#"{"entries":{"\u00fc\ud83d\ude00":{"target":"\/","type":"symlink"}},"type":"directory"}"#,
    );
    assert_eq!(node.unwrap(), directory([("ü😀", Node::Symlink { target: "/".to_owned() })]));
}

#[test]
fn look_up() {
    let listing = example();
    let root = &listing.root;
    assert_eq!(root.lookup(""), Some(root));
    assert_eq!(root.lookup("/bin//run/"), Some(&file(true, 3, 400)));
    for path in ["bin/walk", "bin/run/x", "bin/ünï/x", "empty/x", ".", "bin/../bin", "BIN"] {
        assert_eq!(root.lookup(path), None, "{path}");
    }
}

#[test]
fn walk_goes_through_everything_parents_first() {
    let listing = example();
    let mut walk = listing.root.walk();
    let mut paths = Vec::new();
    while let Some((path, node)) = walk.next_node() {
        assert_eq!(listing.root.lookup(path), Some(node));
        paths.push(path.to_owned());
    }
    assert_eq!(paths, ["", "bin", "bin/run", "bin/ünï", "empty", "file"]);
    assert_eq!(walk.next_node(), None);
}

/// A path of its own for each of these files would be 130 KiB, and all of them 1.3 GB.
#[test]
fn walk_writes_every_path_into_the_same_place() {
    const FILES: usize = 10_000;
    let name = "n".repeat(MAX_LISTING_NAME_LENGTH);
    let files = (0..FILES).map(|number| (number.to_string(), file(false, 0, 96))).collect();
    let mut root = Node::Directory { entries: files };
    for _ in 0..MAX_LISTING_DEPTH - 1 {
        root = directory([(name.as_str(), root)]);
    }
    let mut walk = root.walk();
    let (mut places, mut count, mut longest) = (BTreeSet::new(), 0, 0);
    while let Some((path, node)) = walk.next_node() {
        if matches!(node, Node::Regular { .. }) {
            places.insert(path.as_ptr());
        }
        (count, longest) = (count + 1, longest.max(path.len()));
    }
    assert_eq!(count, MAX_LISTING_DEPTH + FILES);
    assert_eq!(longest, (MAX_LISTING_DEPTH - 1) * (MAX_LISTING_NAME_LENGTH + 1) + "9999".len());
    assert!(places.len() <= 2, "grown once at most: {}", places.len());
}

#[test]
fn names_are_bounded() {
    let named = |length: usize| {
        let name = "n".repeat(length);
        Node::from_json(&format!(
            r#"{{"type":"directory","entries":{{"{name}":{{"type":"symlink","target":""}}}}}}"#
        ))
    };
    assert!(named(MAX_LISTING_NAME_LENGTH).is_ok());
    let error = named(MAX_LISTING_NAME_LENGTH + 1).unwrap_err();
    let expected = format!("name '{}…' of 256 bytes, expected at most 255", "n".repeat(100));
    assert_eq!(error.problem.to_string(), expected);
}

#[test]
fn shallow_listings_have_only_names_below_the_node() {
    let listing = example();
    let shallow = |node: &Node| node.to_json(ListingForm::Nix229, ListingDepth::Shallow);
    assert_eq!(shallow(&listing.root), r#"{"entries":{"bin":{},"empty":{},"file":{}},"type":"directory"}"#);
    assert_eq!(
        shallow(listing.root.lookup("file").unwrap()),
        r#"{"narOffset":96,"size":0,"type":"regular"}"#
    );
}

#[test]
fn refusals_name_place_and_reason() {
    for (json, message) in [
        ("", "at byte 0, in '': expected a listing: an object"),
        ("[]", "at byte 0, in '': expected a listing: an object"),
        ("{}", "at byte 2, in '': the field 'version' is missing"),
        (r#"{"version":1}"#, "at byte 13, in '': the field 'root' is missing"),
        (r#"{"version":2}"#, "at byte 13, in '': version '2', expected 1"),
        (r#"{"version":1,}"#, "at byte 13, in '': expected a name in quotation marks"),
        (r#"{"version":1,"x":tru}"#, "at byte 20, in '': expected a value"),
        (r#"{"version":1,"x":[1,]}"#, "at byte 20, in '': expected a value"),
        (r#"{"version":1,"x":01}"#, "at byte 19, in '': expected a value"),
        (r#"{"version":1 "x":0}"#, "at byte 13, in '': expected ',' or '}'"),
        (r#"{"root":[]}"#, "at byte 8, in '': expected a node: an object"),
        (r#"{"root":{}}"#, "at byte 10, in '': the field 'type' is missing"),
        (
            r#"{"root":{"type":"fifo"}}"#,
            "at byte 23, in '': type 'fifo', expected 'regular', 'directory' or 'symlink'",
        ),
        (r#"{"root":{"type":"regular"}}"#, "at byte 26, in '': the field 'size' is missing"),
        (r#"{"root":{"type":"symlink"}}"#, "at byte 26, in '': the field 'target' is missing"),
        (r#"{"root":{"type":"directory"}}"#, "at byte 28, in '': the field 'entries' is missing"),
        (r#"{"root":{"size":-1}}"#, "at byte 18, in '': expected a whole number below 2^64"),
        (r#"{"root":{"size":1.0}}"#, "at byte 19, in '': expected a whole number below 2^64"),
        (
            r#"{"root":{"size":18446744073709551616}}"#,
            "at byte 36, in '': expected a whole number below 2^64",
        ),
        (r#"{"root":{"executable":1}}"#, "at byte 23, in '': expected true or false"),
        (
            r#"{"root":{"entries":{"a":{"entries":{"":{"#,
            "at byte 39, in 'a': name '', expected one that is not empty, '.' or '..' and has neither '/' nor NUL",
        ),
        (
            r#"{"root":{"entries":{"a/b":{"#,
            "at byte 26, in '': name 'a/b', expected one that is not empty, '.' or '..' and has neither '/' nor NUL",
        ),
        (
            r#"{"root":{"entries":{"a\u0000":{"#,
            "at byte 30, in '': name 'a\\0', expected one that is not empty, '.' or '..' and has neither '/' nor NUL",
        ),
        (
            r#"{"root":{"entries":{"..":{"#,
            "at byte 25, in '': name '..', expected one that is not empty, '.' or '..' and has neither '/' nor NUL",
        ),
        (
            r#"{"root":{"entries":{"a":{"type":"symlink","target":""},"a":{"#,
            "at byte 59, in '': the entry 'a' occurs twice",
        ),
        (r#"{"root":{"entries":{"a":{"type":"x"#, "at byte 32, in 'a': expected a type in quotation marks"),
        (r#"{"root":{"target":"\x"}}"#, "at byte 22, in '': expected a target in quotation marks"),
        ("{\"root\":{\"target\":\"\n\"}}", "at byte 21, in '': expected a target in quotation marks"),
        (
            r#"{"version":1,"root":{"type":"symlink","target":""}} x"#,
            "at byte 52, in '': expected nothing more",
        ),
    ] {
        let error = Listing::from_json(json).unwrap_err();
        assert_eq!(error.to_string(), format!("listing is corrupt {message}"), "{json}");
    }
}

/// The JSON of `depth` directories within one another, `{` and all, and of a symlink in the innermost.
fn nested(depth: usize) -> String {
    let (open, close) = (r#"{"entries":{"d":"#, r#"},"type":"directory"}"#);
    format!(r#"{}{{"target":"","type":"symlink"}}{}"#, open.repeat(depth), close.repeat(depth))
}

#[test]
fn depth_is_bounded() {
    let deepest = Node::from_json(&nested(MAX_LISTING_DEPTH)).unwrap();
    let mut walk = deepest.walk();
    assert_eq!(std::iter::from_fn(|| walk.next_node().map(drop)).count(), MAX_LISTING_DEPTH + 1);
    assert_eq!(deepest.to_json(ListingForm::Nix229, ListingDepth::Deep), nested(MAX_LISTING_DEPTH));
    assert_eq!(deepest.clone(), deepest);
    assert!(format!("{deepest:?}").len() > MAX_LISTING_DEPTH);

    let error = Node::from_json(&nested(MAX_LISTING_DEPTH + 1)).unwrap_err();
    assert_eq!(error.problem, ListingProblem::TooDeep);
}

#[test]
fn hostile_depth_is_an_error() {
    const DEPTH: usize = 200_000;
    let open = r#"{"entries":{"d":"#.repeat(DEPTH);
    assert_eq!(Node::from_json(&open).unwrap_err().problem, ListingProblem::TooDeep);
    let open = format!(r#"{{"version":{}"#, "[".repeat(DEPTH));
    assert!(Listing::from_json(&open).is_err());
    let open = format!(r#"{{"x":{}"#, "[".repeat(DEPTH));
    assert!(Listing::from_json(&open).is_err());
    let skipped =
        format!(r#"{{"x":{}{},"type":"symlink","target":""}}"#, "[".repeat(DEPTH), "]".repeat(DEPTH));
    assert!(Node::from_json(&skipped).is_ok());
    let skipped =
        format!(r#"{{"x":{}1{},"type":"symlink","target":""}}"#, r#"{"":"#.repeat(DEPTH), "}".repeat(DEPTH));
    assert!(Node::from_json(&skipped).is_ok());
}

#[test]
fn trees_of_any_depth_are_written_and_dropped_without_the_stack() {
    const DEPTH: usize = 200_000;
    let mut node = Node::Symlink { target: String::new() };
    for _ in 0..DEPTH {
        node = Node::Directory { entries: BTreeMap::from([("d".to_owned(), node)]) };
    }
    assert_eq!(node.to_json(ListingForm::Nix229, ListingDepth::Deep).len(), nested(0).len() + DEPTH * 37);
    drop(node);
}
