//! The page and the plots, made of all figures that were ever recorded.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value};

use crate::cache;
use crate::chapters::CHAPTERS;
use crate::niks3;
use crate::plot::{self, Bar};
use crate::s3;

/// Around the section that this program writes; the rest of the page is other benches' and people's.
const MARKS: [&str; 2] = ["<!-- cargo xtask bench: begin -->\n", "<!-- cargo xtask bench: end -->\n"];

/// Writes the page and the plots into `docs`.
pub(crate) fn write(docs: &Path, all: &Map<String, Value>) -> Result<()> {
    let file = docs.join("benchmarks.md");
    let page = std::fs::read_to_string(&file).unwrap_or_else(|_| "# Benchmarks\n\n".to_owned());
    std::fs::write(file, with_section(&page, &section(all)))?;
    std::fs::write(docs.join("benchmarks-rows.svg"), rows_plot(all))?;
    std::fs::write(docs.join("benchmarks-stages.svg"), stages_plot(all))?;
    for (what, unit, name) in
        [("seconds", " s", "time"), ("peak", " MiB", "memory"), ("requests", "", "requests")]
    {
        let title = format!("Growth with the number of paths: {name}");
        let plot = plot::growth(&title, unit, &growth_lines(all, what));
        std::fs::write(docs.join(format!("benchmarks-growth-{name}.svg")), plot)?;
    }
    Ok(())
}

/// The page with its section replaced, or added at its end.
fn with_section(page: &str, section: &str) -> String {
    let [begin, end] = MARKS;
    let (before, rest) = page.split_once(begin).unwrap_or((page, ""));
    let after = rest.split_once(end).map_or("", |(_, after)| after);
    format!("{before}{begin}{section}{end}{after}")
}

/// The section as text; also what a run prints.
pub(crate) fn section(all: &Map<String, Value>) -> String {
    let mut text = String::from(
        "## Beside real Nix\n\nWritten by `cargo xtask bench` from [benchmarks.json](benchmarks.json). Each row: the same closure, the \
         same MinIO on the same machine, both tools taking turns.\n\n\
         | what | Nix | nars3 | times as fast | floor: requests | floor: CPU | × floor | target | requests: Nix | nars3 | peak MiB: \
         Nix | nars3 |\n|---|--:|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|\n",
    );
    for chapter in &CHAPTERS {
        if let Some(row) = all.get(chapter.name) {
            line(&mut text, chapter.title, chapter.target, row);
        }
    }
    text.push_str(
        "\nMedians, seconds of wall clock; the highest resident memory of all runs. A floor of requests is the time of a bare client \
         for the same requests with ready-made bodies, unsigned, at its best number of connections, narinfos in their order (for \
         the tree: `curl -T`). The floor of CPU is the processor seconds that cannot be avoided (reading, SHA-256 of NAR and file, \
         `zstd -3` or `xz -6`, `tar x`, and the server's own for the bare client's requests), divided by the cores. *× floor* is \
         against the larger. Server and client share the processor, as they do not in life.\n\n",
    );
    peers(&mut text, all);
    text.push_str("![times](benchmarks-rows.svg)\n\n![stages](benchmarks-stages.svg)\n\n");
    growth_table(&mut text, all);
    inputs(&mut text, all);
    text.push_str(COMMANDS);
    let clients = s3::section(all.get("clients").unwrap_or(&Value::Null));
    if !clients.is_empty() {
        let _ = write!(text, "\n{clients}");
    }
    let pushes = niks3::section(all.get("niks3").unwrap_or(&Value::Null));
    if !pushes.is_empty() {
        let _ = write!(text, "\n{pushes}");
    }
    let looking = cache::section(all.get("cache").unwrap_or(&Value::Null));
    if !looking.is_empty() {
        let _ = write!(text, "\n{looking}");
    }
    text
}

const COMMANDS: &str = "### Commands\n\n```text\n\
push       nix copy --to 'http://HOST/BUCKET?compression=C&secret-key=FILE' PATH      (anonymous PUT)\n           \
nars3 --stats copy --to 's3://BUCKET?scheme=http&endpoint=HOST&region=R&compression=C&secret-key=FILE' PATH\n\
pull       nix copy --from http://HOST/BUCKET --to 'local?root=DIR' PATH\n           \
nars3 --stats copy --from 's3://BUCKET?scheme=http&endpoint=HOST&region=R' --to 'local?root=DIR' --trusted-public-keys KEY PATH\n\
path-info  nix path-info -r --store http://HOST/BUCKET PATH\n           \
nars3 path-info -r --store 's3://BUCKET?scheme=http&endpoint=HOST&region=R' PATH\n```\n\n\
Each run has a server and buckets of its own, whose data is in memory (`/dev/shm`). Both tools pull the objects that nars3 pushed, with signatures checked, into an empty\n\
store in memory (`/dev/shm`), and Nix's cache of narinfos is empty each time.\n";

pub(crate) fn number(value: &Value, pointer: &str) -> Option<f64> {
    value.pointer(pointer)?.as_f64()
}

pub(crate) fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.digits$}"))
}

pub(crate) fn mebibytes(value: Option<f64>) -> Option<f64> {
    value.map(|bytes| bytes / f64::from(1 << 20))
}

fn line(text: &mut String, title: &str, target: &str, row: &Value) {
    let (nix, nars3) = (number(row, "/nix/seconds"), number(row, "/nars3/seconds"));
    let (requests, cpu) = (number(row, "/requests_floor"), number(row, "/cpu_floor"));
    let floor = requests.unwrap_or(0.0).max(cpu.unwrap_or(0.0));
    let over = nars3.filter(|_| floor > 0.0).map(|seconds| seconds / floor);
    let _ = writeln!(
        text,
        "| {title} | {} | {} | {} | {} | {} | {} | {target} | {} | {} | {} | {} |",
        shown(nix, 2),
        shown(nars3, 2),
        shown(nix.zip(nars3).map(|(nix, nars3)| nix / nars3), 2),
        shown(requests, 2),
        shown(cpu, 2),
        shown(over, 2),
        shown(number(row, "/nix/requests"), 0),
        shown(number(row, "/nars3/requests"), 0),
        shown(mebibytes(number(row, "/nix/peak")), 0),
        shown(mebibytes(number(row, "/nars3/peak")), 0),
    );
}

fn peers(text: &mut String, all: &Map<String, Value>) {
    let mut list = String::new();
    for chapter in &CHAPTERS {
        let peers = all.get(chapter.name).and_then(|row| row.get("peers")?.as_object());
        for (name, seconds) in peers.into_iter().flatten() {
            let nars3 = all.get(chapter.name).and_then(|row| number(row, "/nars3/seconds"));
            let (seconds, nars3) = (shown(seconds.as_f64(), 2), shown(nars3, 2));
            let _ = writeln!(list, "- {}: {name} {seconds} s, nars3 {nars3} s", chapter.title);
        }
    }
    if !list.is_empty() {
        let _ = writeln!(text, "Beside other programs in the same run:\n\n{list}");
    }
}

fn inputs(text: &mut String, all: &Map<String, Value>) {
    let mut seen: Vec<&str> = Vec::new();
    for chapter in &CHAPTERS {
        let title = all.get(chapter.name).and_then(|row| row.get("input")?.as_str());
        seen.extend(title.filter(|title| !seen.contains(title)));
    }
    let lines: String = seen.iter().map(|title| format!("- {title}\n")).collect();
    let machine =
        all.get("machine").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    let machine: String = machine.map(|line| format!("- {line}\n")).collect();
    let _ = writeln!(text, "### Inputs and machine\n\n{lines}\n{machine}");
}

fn growth_lines(all: &Map<String, Value>, what: &str) -> BTreeMap<String, Vec<(f64, f64)>> {
    let mut lines: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for point in all.get("growth").and_then(Value::as_array).into_iter().flatten() {
        let (Some(way), Some(paths), Some(value)) = (
            point.get("way").and_then(Value::as_str),
            number(point, "/paths"),
            point.get(what).and_then(Value::as_f64),
        ) else {
            continue;
        };
        let value = if what == "peak" { value / f64::from(1 << 20) } else { value };
        lines.entry(way.to_owned()).or_default().push((paths, value));
    }
    lines
}

fn growth_table(text: &mut String, all: &Map<String, Value>) {
    let (seconds, peaks) = (growth_lines(all, "seconds"), growth_lines(all, "peak"));
    if seconds.is_empty() {
        return;
    }
    let requests = growth_lines(all, "requests");
    text.push_str("### Growth\n\nTiny paths of some hundred bytes, each referring to two others.\n\n");
    text.push_str("| what | paths | seconds | peak MiB | requests |\n|---|--:|--:|--:|--:|\n");
    let at = |lines: &BTreeMap<String, Vec<(f64, f64)>>, way: &str, paths: f64| {
        lines.get(way)?.iter().find(|(x, _)| (x - paths).abs() < 0.5).map(|(_, y)| *y)
    };
    for (way, points) in &seconds {
        for (paths, seconds) in points {
            let (peak, requests) = (at(&peaks, way, *paths), at(&requests, way, *paths));
            let _ = writeln!(
                text,
                "| {way} | {paths} | {seconds:.2} | {} | {} |",
                shown(peak, 0),
                shown(requests, 0)
            );
        }
        if let (Some((few, _)), Some((many, _))) = (points.first(), points.last())
            && let (Some(low), Some(high)) = (at(&peaks, way, *few), at(&peaks, way, *many))
            && many > few
        {
            let each = (high - low) * f64::from(1 << 20) / (many - few);
            let _ = writeln!(text, "| {way} | memory per path | | {each:.0} bytes | |");
        }
    }
    text.push_str("\n![time](benchmarks-growth-time.svg)\n\n![memory](benchmarks-growth-memory.svg)\n\n");
    text.push_str("![requests](benchmarks-growth-requests.svg)\n\n");
}

fn rows_plot(all: &Map<String, Value>) -> String {
    let mut bars = Vec::new();
    for chapter in &CHAPTERS {
        let Some(row) = all.get(chapter.name) else { continue };
        let nix = number(row, "/nix/seconds").unwrap_or(0.0).max(f64::MIN_POSITIVE);
        let floor =
            number(row, "/requests_floor").into_iter().chain(number(row, "/cpu_floor")).fold(0.0, f64::max);
        let tools = [
            ("Nix", number(row, "/nix/seconds")),
            ("nars3", number(row, "/nars3/seconds")),
            ("floor", Some(floor)),
        ];
        for (colour, (tool, seconds)) in tools.into_iter().enumerate() {
            let Some(seconds) = seconds.filter(|seconds| *seconds > 0.0) else { continue };
            let label = if colour == 0 { chapter.title.to_owned() } else { tool.to_owned() };
            bars.push(Bar { label, pieces: vec![(colour, seconds / nix)], note: format!("{seconds:.2} s") });
        }
    }
    plot::bars("Wall clock, each row against Nix", &["Nix", "nars3", "floor"], &bars)
}

fn stages_plot(all: &Map<String, Value>) -> String {
    let mut bars = Vec::new();
    for chapter in &CHAPTERS {
        let stages = all.get(chapter.name).and_then(|row| row.get("stages")?.as_array());
        for (number_in_row, stage) in stages.into_iter().flatten().enumerate() {
            let name = stage.get("name").and_then(Value::as_str).unwrap_or_default();
            let label =
                if number_in_row == 0 { format!("{}: {name}", chapter.title) } else { name.to_owned() };
            let pieces = ["/busy", "/input", "/output"].iter().enumerate();
            let pieces: Vec<_> =
                pieces.map(|(colour, field)| (colour, number(stage, field).unwrap_or(0.0))).collect();
            let total: f64 = pieces.iter().map(|(_, seconds)| seconds).sum();
            let pieces =
                pieces.into_iter().map(|(colour, seconds)| (colour, seconds / total.max(1e-9))).collect();
            bars.push(Bar { label, pieces, note: format!("{total:.1} s") });
        }
    }
    let legend = ["busy", "waiting for input", "waiting for output"];
    plot::bars("How each stage of nars3 spent its time, all paths together", &legend, &bars)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_own_section_is_replaced() {
        let first = with_section("# Title\n\n", "old\n");
        let page = format!("{first}\nby hand\n");
        let again = with_section(&page, "new\n");
        assert_eq!(again, format!("# Title\n\n{}new\n{}\nby hand\n", MARKS[0], MARKS[1]));
    }

    #[test]
    fn a_row_says_how_far_from_the_floor_it_is() {
        let row = serde_json::json!({
            "nix": { "seconds": 4.0, "requests": 2006, "peak": 1 << 21 },
            "nars3": { "seconds": 2.0, "requests": 1003, "peak": 1 << 20 },
            "requests_floor": 1.6, "cpu_floor": 1.0,
        });
        let mut text = String::new();
        line(&mut text, "push", "fast", &row);
        assert_eq!(text, "| push | 4.00 | 2.00 | 2.00 | 1.60 | 1.00 | 1.25 | fast | 2006 | 1003 | 2 | 1 |\n");
    }
}
