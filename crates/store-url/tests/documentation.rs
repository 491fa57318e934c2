//! The store URLs in `docs/s3.md` are such that users can copy them.

use std::path::Path;

use nars3_store_url::{StoreKind, StoreUrl};

/// What begins with `s3://` and ends where a URL in a text does.
fn urls(text: &str) -> Vec<&str> {
    let ends = |character: char| character.is_whitespace() || "'`\"".contains(character);
    text.match_indices("s3://")
        .filter_map(|(start, _)| text.get(start..))
        .map(|rest| rest.find(ends).and_then(|end| rest.get(..end)).unwrap_or(rest))
        .collect()
}

#[test]
fn every_url_that_is_shown_can_be_read_and_addressed() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/s3.md");
    let text = std::fs::read_to_string(file).unwrap();
    let urls = urls(&text);
    assert!(urls.len() >= 10, "only {} URLs were found: is the page still written as it was?", urls.len());
    for url in urls {
        let parsed = StoreUrl::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(parsed.warnings.is_empty(), "{url}: {:?}", parsed.warnings);
        let StoreKind::S3(settings) = parsed.url.kind else { panic!("{url} is no S3 store") };
        settings.bucket_address().unwrap_or_else(|error| panic!("{url}: {error}"));
    }
}

#[test]
fn every_setting_of_the_table_exists() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/s3.md");
    let text = std::fs::read_to_string(file).unwrap();
    let rows = text.split_once("## Objects").unwrap().1.lines().filter(|line| line.starts_with("| `"));
    let mut seen = 0;
    for setting in
        rows.filter_map(|row| row.split('|').nth(1)).flat_map(|cell| cell.split('`').skip(1).step_by(2))
    {
        let value = setting.replace('…', "x");
        let url = format!("s3://example-nix-cache?{value}");
        let parsed = StoreUrl::parse(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
        assert!(parsed.warnings.is_empty(), "{url}: {:?}", parsed.warnings);
        seen += 1;
    }
    assert!(seen >= 10, "only {seen} settings were found");
}
