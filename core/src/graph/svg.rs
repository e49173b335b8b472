//! The steps of a runbook as a picture: one row for each distance from the start, boxes with what
//! a step does, arrows from what it needs. It follows the reader's light or dark theme.

use std::fmt::Write as _;

use super::{draw, edges, layers};
use crate::runbook::{Kind, Runbook, Step};

const LETTER: f64 = 7.2;
const LINE: f64 = 17.0;
const PADDING: f64 = 12.0;
const GAP_ACROSS: f64 = 28.0;
const GAP_DOWN: f64 = 44.0;
const MARGIN: f64 = 16.0;
const LONGEST: usize = 76;

const STYLE: &str = "\
    text { font: 12px ui-monospace, SFMono-Regular, Menlo, monospace; fill: #24292f; }
    .id { font-weight: 700; }
    .more { fill: #57606a; }
    rect { fill: #f6f8fa; stroke: #8c959f; }
    .action, .options { fill: #fff8e6; stroke: #bf8700; }
    .gated { stroke: #cf222e; stroke-width: 2; }
    .approval, .manual { fill: #fbefff; stroke: #8250df; }
    .last { stroke-dasharray: 5 4; }
    path { fill: none; stroke: #8c959f; stroke-width: 1.5; }
    .tip { fill: #8c959f; stroke: none; }
    @media (prefers-color-scheme: dark) {
      text { fill: #e6edf3; }
      .more { fill: #9198a1; }
      rect { fill: #161b22; stroke: #6e7681; }
      .action, .options { fill: #2b2110; stroke: #d29922; }
      .gated { stroke: #f85149; }
      .approval, .manual { fill: #271b38; stroke: #a371f7; }
    }";

struct Shape {
    class: String,
    lines: Vec<String>,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
}

/// A standalone SVG.
pub fn svg(runbook: &Runbook) -> String {
    let mut shapes: Vec<Shape> = runbook.steps.iter().map(|step| shape(step, "")).collect();
    let mut needs = edges(&runbook.steps);
    let mut rows = layers(&needs);
    let (first_last, below) = (shapes.len(), rows.iter().max().map_or(0, |row| row + 1));
    shapes.extend(runbook.finally.iter().map(|step| shape(step, " last")));
    for (row, needed) in layers(&edges(&runbook.finally)).iter().zip(edges(&runbook.finally)) {
        rows.push(below + row);
        needs.push(needed.iter().map(|index| index + first_last).collect());
    }
    let (width, height) = place(&mut shapes, &rows);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n  <title>{}</title>\n  <style>\n{STYLE}\n  </style>\n",
        escape(runbook.title.as_deref().unwrap_or(&runbook.name))
    );
    for (index, needed) in needs.iter().enumerate() {
        for before in needed {
            arrow(&shapes[*before], &shapes[index], &mut out);
        }
    }
    for shape in &shapes {
        draw_box(shape, &mut out);
    }
    out.push_str("</svg>\n");
    out
}

fn shape(step: &Step, more: &str) -> Shape {
    let part = if more.is_empty() { "" } else { " (finally)" };
    let mut lines = vec![format!("{}{part}", step.id)];
    lines.extend(step.title.clone());
    lines.push(draw::describe(step));
    let notes = draw::notes(step);
    if !notes.is_empty() {
        lines.push(notes.join(", "));
    }
    if let Some(Kind::Options(options)) = step.kind() {
        lines.extend(options.iter().enumerate().map(|(place, option)| draw::option_line(place, option)));
    }
    let lines: Vec<String> = lines.iter().map(|line| shorten(line)).collect();
    let longest = lines.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let kind = step.kind().map_or("none", |kind| kind.name());
    let gate = if step.approval.is_some() && kind != "approval" { " gated" } else { "" };
    Shape {
        class: format!("{kind}{gate}{more}"),
        width: longest as f64 * LETTER + 2.0 * PADDING,
        height: lines.len() as f64 * LINE + 2.0 * PADDING - 4.0,
        lines,
        x: 0.0,
        y: 0.0,
    }
}

/// Puts every row in the middle and gives the size of the picture.
fn place(shapes: &mut [Shape], rows: &[usize]) -> (f64, f64) {
    let members = |row: usize| {
        let numbered = rows.iter().enumerate();
        numbered.filter(move |(_, at)| **at == row).map(|(index, _)| index).collect::<Vec<_>>()
    };
    let count = rows.iter().max().map_or(0, |row| row + 1);
    let width_of = |shapes: &[Shape], row: &[usize]| {
        let boxes: f64 = row.iter().map(|index| shapes[*index].width).sum();
        boxes + GAP_ACROSS * row.len().saturating_sub(1) as f64
    };
    let widest = (0..count).map(|row| width_of(shapes, &members(row))).fold(0.0, f64::max);
    let mut y = MARGIN;
    for row in 0..count {
        let row = members(row);
        let mut x = MARGIN + (widest - width_of(shapes, &row)) / 2.0;
        let tallest = row.iter().map(|index| shapes[*index].height).fold(0.0, f64::max);
        for index in row {
            (shapes[index].x, shapes[index].y) = (x, y + (tallest - shapes[index].height) / 2.0);
            x += shapes[index].width + GAP_ACROSS;
        }
        y += tallest + GAP_DOWN;
    }
    (widest + 2.0 * MARGIN, (y - GAP_DOWN + MARGIN).max(2.0 * MARGIN))
}

fn arrow(from: &Shape, to: &Shape, out: &mut String) {
    let (x1, y1) = (from.x + from.width / 2.0, from.y + from.height);
    let (x2, y2) = (to.x + to.width / 2.0, to.y);
    let bend = ((y2 - y1) / 2.0).abs().max(20.0);
    // Writing to a string does not fail.
    let _ = writeln!(
        out,
        "  <path d=\"M{x1:.1} {y1:.1} C{x1:.1} {:.1} {x2:.1} {:.1} {x2:.1} {:.1}\"/>\n  \
         <path class=\"tip\" d=\"M{x2:.1} {y2:.1} l-4 -8 h8 z\"/>",
        y1 + bend,
        y2 - bend,
        y2 - 6.0
    );
}

fn draw_box(shape: &Shape, out: &mut String) {
    let _ = writeln!(
        out,
        "  <rect class=\"{}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"6\"/>",
        shape.class, shape.x, shape.y, shape.width, shape.height
    );
    for (index, line) in shape.lines.iter().enumerate() {
        let class = if index == 0 { "id" } else { "more" };
        let y = shape.y + PADDING + LINE * index as f64 + 10.0;
        let _ = writeln!(
            out,
            "  <text class=\"{class}\" x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
            shape.x + PADDING,
            escape(line)
        );
    }
}

fn shorten(line: &str) -> String {
    let line = line.replace(['\n', '\r', '\t'], " ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    line.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// Text inside XML: control characters have no place there at all.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push('\u{FFFD}'),
            c => out.push(c),
        }
    }
    out
}
