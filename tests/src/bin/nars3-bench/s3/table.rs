//! The section of the page about the S3 clients.

use std::fmt::Write;

use serde_json::Value;

use crate::report::{mebibytes, number, shown};

const CLIENTS: [&str; 3] = ["object_store", "rusoto", "boto3"];

/// The section, or nothing where nothing was measured.
pub(crate) fn section(recorded: &Value) -> String {
    let size = |name: &str| number(recorded, &format!("/sizes/{name}")).unwrap_or(0.0);
    if size("count") == 0.0 {
        return String::new();
    }
    let mut text = String::from(
        "## The S3 clients alone\n\nBoth clients of `nars3-s3` beside boto3 and the limit, which is the bare client's: ready-made \
         requests without\nsignatures at its best number of connections. `cargo xtask bench --only clients`\n\n\
         | what | limit | object_store | rusoto | boto3 | object_store: × limit | × as fast as boto3 | rusoto: × limit | × as fast \
         as boto3 | peak MiB: object_store | rusoto | boto3 |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    let large = size("large") / f64::from(1 << 20);
    let bytes = size("bytes");
    for (operation, title) in [
        ("put", format!("{} PUTs of {bytes} bytes", size("count"))),
        ("get", format!("{} GETs of {bytes} bytes", size("count"))),
        ("up", format!("{large} MiB up, in parts")),
        ("down", format!("{large} MiB down")),
        ("list", format!("a listing of {} keys", size("keys"))),
        ("walk", format!("a cache's listing of {} paths, a page at a time", size("keys"))),
        ("paths", "the same as nars3 does it: several at once where a page takes 50 ms".to_owned()),
        ("list-far", format!("a listing of {} keys, answers 25 ms later", size("keys"))),
        ("walk-far", "a cache's, a page at a time, answers 25 ms later".to_owned()),
        ("paths-far", "a cache's, as nars3 does it, answers 25 ms later".to_owned()),
    ] {
        if let Some(row) = recorded.get(operation) {
            line(&mut text, &title, row);
        }
    }
    let boto3 = recorded.get("boto3").and_then(Value::as_str);
    let boto3 = boto3.map_or_else(
        || "**boto3 was not there, and is missing here**".to_owned(),
        |version| format!("boto3 {version} in threads, its transfers in the same parts"),
    );
    let _ = writeln!(
        text,
        "\nMedians, seconds of wall clock without the start of each program, the clients taking turns on one MinIO; the highest \
         resident memory.\n{} small requests at once, {} parts of {} MiB at once; files are in memory (`/dev/shm`). Ours download \
         in one stream, as\nnars3 does; {boto3}; the limit in parts, and to nowhere. Server and clients share the processor.\n",
        size("at_once"),
        size("parts_at_once"),
        size("part") / f64::from(1 << 20),
    );
    for line in recorded.get("machine").and_then(Value::as_array).into_iter().flatten() {
        let _ = writeln!(text, "- {}", line.as_str().unwrap_or_default());
    }
    text
}

fn line(text: &mut String, title: &str, row: &Value) {
    let seconds = |client: &str| number(row, &format!("/{client}/seconds"));
    let limit = seconds("limit");
    let mut cells = vec![title.to_owned(), shown(limit, 2)];
    cells.extend(CLIENTS.map(|client| shown(seconds(client), 2)));
    for client in ["object_store", "rusoto"] {
        let own = seconds(client);
        cells.push(shown(own.zip(limit).map(|(own, limit)| own / limit), 2));
        cells.push(shown(seconds("boto3").zip(own).map(|(boto3, own)| boto3 / own), 2));
    }
    cells.extend(CLIENTS.map(|client| shown(mebibytes(number(row, &format!("/{client}/peak"))), 0)));
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded() -> Value {
        serde_json::json!({
            "sizes": { "count": 1000, "bytes": 1024, "keys": 10000, "large": 1 << 30, "part": 8 << 20, "at_once": 16, "parts_at_once": 4 },
            "boto3": "1.2.3",
            "put": {
                "limit": { "seconds": 0.5 },
                "object_store": { "seconds": 1.0, "peak": 20 << 20 },
                "rusoto": { "seconds": 1.25, "peak": 21 << 20 },
                "boto3": { "seconds": 4.0, "peak": 60 << 20 },
            },
        })
    }

    #[test]
    fn a_row_says_how_far_each_is_from_the_limit_and_from_the_peer() {
        let text = section(&recorded());
        let row = "| 1000 PUTs of 1024 bytes | 0.50 | 1.00 | 1.25 | 4.00 | 2.00 | 4.00 | 2.50 | 3.20 | 20 | 21 | 60 |\n";
        assert!(text.contains(row), "{text}");
        assert!(text.contains("boto3 1.2.3 in threads"), "{text}");
    }

    #[test]
    fn a_peer_that_is_missing_is_said_to_be() {
        let mut recorded = recorded();
        recorded["boto3"] = Value::Null;
        recorded["put"]["boto3"] = Value::Null;
        let text = section(&recorded);
        assert!(text.contains("| 0.50 | 1.00 | 1.25 | – | 2.00 | – | 2.50 | – | 20 | 21 | – |"), "{text}");
        assert!(text.contains("**boto3 was not there"), "{text}");
        assert_eq!(section(&Value::Null), "");
    }
}
