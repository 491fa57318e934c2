//! Plots as SVG, by hand: bars for the rows of the table, lines for growth, and the time of each stage.

use std::collections::BTreeMap;
use std::fmt::Write;

const COLOURS: [&str; 6] = ["#5277c3", "#d35400", "#27ae60", "#8e44ad", "#7f8c8d", "#c0392b"];

/// One bar: what it is of, and pieces of it with their colours.
pub(crate) struct Bar {
    pub(crate) label: String,
    /// Index of a colour and length.
    pub(crate) pieces: Vec<(usize, f64)>,
    pub(crate) note: String,
}

/// Horizontal bars. The longest fills the width; `legend` names the colours.
pub(crate) fn bars(title: &str, legend: &[&str], bars: &[Bar]) -> String {
    let total = |bar: &Bar| bar.pieces.iter().map(|(_, length)| length).sum::<f64>();
    let longest = bars.iter().map(total).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let (left, width, line) = (260.0, 460.0, 18.0);
    let height = 60.0 + bars.len() as f64 * line + 10.0;
    let mut svg = begin(title, 860.0, height);
    draw_legend(&mut svg, legend, left);
    for (number, bar) in bars.iter().enumerate() {
        let y = 56.0 + number as f64 * line;
        let mut x = left;
        text(&mut svg, left - 8.0, y + 12.0, "end", &bar.label);
        for (colour, length) in &bar.pieces {
            let piece = length / longest * width;
            let _ = writeln!(
                svg,
                r#"<rect x="{x:.1}" y="{y:.1}" width="{piece:.1}" height="{:.1}" fill="{}"/>"#,
                line - 4.0,
                colour_of(*colour)
            );
            x += piece;
        }
        text(&mut svg, x + 6.0, y + 12.0, "start", &bar.note);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Lines over numbers of paths, both axes logarithmic.
pub(crate) fn growth(title: &str, unit: &str, lines: &BTreeMap<String, Vec<(f64, f64)>>) -> String {
    let points = || lines.values().flatten().filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let range = |pick: fn(&(f64, f64)) -> f64| {
        let logs = points().map(|point| pick(point).log10());
        let (low, high) = logs.fold((f64::MAX, f64::MIN), |(low, high), log| (low.min(log), high.max(log)));
        (low.floor(), high.ceil().max(low.floor() + 1.0))
    };
    let mut svg = begin(title, 860.0, 420.0);
    if points().next().is_none() {
        svg.push_str("</svg>\n");
        return svg;
    }
    let ((x0, x1), (y0, y1)) = (range(|point| point.0), range(|point| point.1));
    let at_x = |x: f64| 80.0 + (x.log10() - x0) / (x1 - x0) * 520.0;
    let at_y = |y: f64| 380.0 - (y.log10() - y0) / (y1 - y0) * 320.0;
    let mut exponent = x0;
    while exponent <= x1 {
        let x = at_x(10_f64.powf(exponent));
        rule(&mut svg, x, 60.0, x, 380.0);
        text(&mut svg, x, 398.0, "middle", &format!("{}", 10_f64.powf(exponent)));
        exponent += 1.0;
    }
    exponent = y0;
    while exponent <= y1 {
        let y = at_y(10_f64.powf(exponent));
        rule(&mut svg, 80.0, y, 600.0, y);
        text(&mut svg, 72.0, y + 4.0, "end", &format!("{}{unit}", 10_f64.powf(exponent)));
        exponent += 1.0;
    }
    text(&mut svg, 340.0, 414.0, "middle", "paths");
    for (number, (name, line)) in lines.iter().enumerate() {
        let line = line.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
        let places: Vec<String> = line.map(|(x, y)| format!("{:.1},{:.1}", at_x(*x), at_y(*y))).collect();
        let colour = colour_of(number);
        let _ = writeln!(
            svg,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#,
            places.join(" ")
        );
        let y = 70.0 + number as f64 * 20.0;
        let _ =
            writeln!(svg, r#"<rect x="620" y="{:.1}" width="12" height="12" fill="{colour}"/>"#, y - 10.0);
        text(&mut svg, 638.0, y, "start", name);
    }
    svg.push_str("</svg>\n");
    svg
}

fn begin(title: &str, width: f64, height: f64) -> String {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n"
    );
    let _ = writeln!(svg, r#"<text x="16" y="22" font-size="15" fill="black">{}</text>"#, escape(title));
    svg
}

fn draw_legend(svg: &mut String, legend: &[&str], left: f64) {
    let mut x = left;
    for (number, name) in legend.iter().enumerate() {
        let _ =
            writeln!(svg, r#"<rect x="{x:.1}" y="34" width="12" height="12" fill="{}"/>"#, colour_of(number));
        text(svg, x + 17.0, 44.0, "start", name);
        x += 40.0 + 7.0 * name.len() as f64;
    }
}

fn rule(svg: &mut String, x1: f64, y1: f64, x2: f64, y2: f64) {
    let _ = writeln!(svg, r##"<line x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}" stroke="#ddd"/>"##);
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ = writeln!(
        svg,
        r##"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}" fill="#333">{}</text>"##,
        escape(words)
    );
}

fn escape(words: &str) -> String {
    words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn colour_of(number: usize) -> &'static str {
    COLOURS.get(number % COLOURS.len()).copied().unwrap_or("black")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_width_and_names_are_escaped() {
        let bar = |length| Bar { label: "a<b".to_owned(), pieces: vec![(0, length)], note: String::new() };
        let svg = bars("t", &["x"], &[bar(1.0), bar(2.0)]);
        assert!(svg.contains(r#"width="460.0""#) && svg.contains(r#"width="230.0""#));
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
    }

    #[test]
    fn growth_without_points_is_an_empty_plot() {
        assert!(growth("t", "s", &BTreeMap::new()).ends_with("</svg>\n"));
        let lines = BTreeMap::from([("a".to_owned(), vec![(10.0, 1.0), (100.0, 2.0)])]);
        assert!(growth("t", "s", &lines).contains("<polyline"));
    }
}
