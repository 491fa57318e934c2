//! The section of the page about operations on a cache.

use std::fmt::Write;

use serde_json::Value;

use crate::report::{mebibytes, number, shown};

/// The section, or nothing where nothing was measured.
pub(crate) fn section(recorded: &Value) -> String {
    let list = |name: &str| recorded.get(name).and_then(Value::as_array).into_iter().flatten();
    if list("operations").next().is_none() {
        return String::new();
    }
    let mut text = String::from(
        "## A cache, looked at and verified\n\nThe same bucket for both, nothing remembered from earlier. Requests and bytes are \
         those that the server counted. `cargo xtask bench --only cache`\n\n\
         | what | Nix | nars3 | times as fast | requests: Nix | nars3 | received MiB: Nix | nars3 | peak MiB: Nix | nars3 |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for row in list("operations") {
        operation(&mut text, row);
    }
    let large = recorded.get("large").and_then(Value::as_f64).unwrap_or(0.0) / f64::from(1 << 20);
    let _ = writeln!(
        text,
        "\nMedians, seconds of wall clock; the highest resident memory. A large path has {large} MiB: two files of noise, and a \
         small one\nbetween them, which is what `cat` asks for. Nix 2.8 reads no listing, and fetches the whole NAR into memory.\n",
    );
    text.push_str(
        "### How it grows with the paths in the bucket\n\nTiny paths of some hundred bytes, uncompressed; nars3 alone.\n\n\
         | what | paths | seconds | processor seconds | peak MiB | requests | received MiB |\n|---|--:|--:|--:|--:|--:|--:|\n",
    );
    let mut points: Vec<&Value> = list("scale").collect();
    // By what is done; the order of the numbers stays.
    let mut order: Vec<&str> = Vec::new();
    for point in &points {
        let what = word(point);
        if !order.contains(&what) {
            order.push(what);
        }
    }
    points.sort_by_key(|point| order.iter().position(|what| *what == word(point)));
    for point in &points {
        scale(&mut text, point);
    }
    text.push_str("\nBetween the fewest and the most paths, each takes:\n\n");
    for what in order {
        let of: Vec<&Value> = points.iter().copied().filter(|point| word(point) == what).collect();
        if let (Some(few), Some(many)) = (of.first(), of.last()) {
            each(&mut text, what, few, many);
        }
    }
    text.push('\n');
    for line in list("machine") {
        let _ = writeln!(text, "- {}", line.as_str().unwrap_or_default());
    }
    text
}

fn word(point: &Value) -> &str {
    point.get("what").and_then(Value::as_str).unwrap_or_default()
}

fn operation(text: &mut String, row: &Value) {
    let title = row.get("title").and_then(Value::as_str).unwrap_or_default();
    let both = |field: &str| (number(row, &format!("/nix/{field}")), number(row, &format!("/nars3/{field}")));
    let (nix, nars3) = both("seconds");
    let (requests, received, peak) = (both("requests"), both("received"), both("peak"));
    let _ = writeln!(
        text,
        "| {title} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
        shown(nix, 2),
        shown(nars3, 2),
        shown(nix.zip(nars3).map(|(nix, nars3)| nix / nars3), 1),
        shown(requests.0, 0),
        shown(requests.1, 0),
        shown(mebibytes(received.0), 2),
        shown(mebibytes(received.1), 2),
        shown(mebibytes(peak.0), 0),
        shown(mebibytes(peak.1), 0),
    );
}

fn scale(text: &mut String, point: &Value) {
    let of = |field: &str| number(point, &format!("/figures/{field}"));
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} | {} |",
        word(point),
        shown(number(point, "/paths"), 0),
        shown(of("seconds"), 2),
        shown(of("cpu"), 2),
        shown(mebibytes(of("peak")), 0),
        shown(of("requests"), 0),
        shown(mebibytes(of("received")), 2),
    );
}

/// What a path more costs.
fn each(text: &mut String, what: &str, few: &Value, many: &Value) {
    let between = |pointer: &str| Some(number(many, pointer)? - number(few, pointer)?);
    let Some(paths) = between("/paths").filter(|paths| *paths > 0.0) else { return };
    let (seconds, peak) = (between("/figures/seconds"), between("/figures/peak"));
    let (requests, received) = (between("/figures/requests"), between("/figures/received"));
    let _ = writeln!(
        text,
        "- {what}: {} µs, {} bytes of memory, {} requests, {} bytes received",
        shown(seconds.map(|seconds| seconds * 1e6 / paths), 0),
        shown(peak.map(|peak| peak / paths), 0),
        shown(requests.map(|requests| requests / paths), 2),
        shown(received.map(|received| received / paths), 0),
    );
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_measured_is_a_table_and_nothing_is_nothing() {
        assert_eq!(section(&Value::Null), "");
        let figures = |seconds: f64| json!({ "seconds": seconds, "cpu": 1, "peak": 1 << 20, "requests": 5, "received": 1 << 21 });
        let point = |what: &str, paths: u32| json!({ "what": what, "paths": paths, "figures": figures(0.5) });
        let text = section(&json!({
            "large": 1 << 30,
            "operations": [{ "title": "ls", "nix": figures(3.0), "nars3": figures(1.5) }],
            "scale": [point("list", 10), point("verify", 10), point("list", 100)],
            "machine": ["fast"],
        }));
        assert!(text.contains("| ls | 3.00 | 1.50 | 2.0 | 5 | 5 | 2.00 | 2.00 | 1 | 1 |\n"), "{text}");
        let places: Vec<_> = ["| list | 10 |", "| list | 100 |", "| verify | 10 |"]
            .iter()
            .map(|row| text.find(row).unwrap())
            .collect();
        assert!(text.contains("- list: 0 µs, 0 bytes of memory, 0.00 requests"), "{text}");
        assert!(places.is_sorted() && text.ends_with("- fast\n"), "{text}");
    }
}
