//! The steps of a runbook, or of a run, as a picture: who waits for whom, from top to bottom. Drawn
//! twice, with two boxes and with five beside each other; the style sheet shows the one that fits.

use maud::{Markup, html};
use runbook_core::{
    graph,
    report::rows,
    run::{Node, Role, Run},
    runbook::{Kind, Runbook, Step},
    secret,
};

use super::words::{self, Tone};

const ACROSS: usize = 14;
const DOWN: usize = 30;
const LINE: usize = 19;
const PADDING: usize = 10;
/// The width of a letter, in tenths.
const LETTER: usize = 79;

/// How much room there is.
#[derive(Debug, Clone, Copy)]
struct Room {
    class: &'static str,
    /// How many boxes stand beside each other, and how wide each is.
    columns: usize,
    width: usize,
}

/// A phone that is 360 px wide shows this in its own size.
const NARROW: Room = Room { class: "narrow", columns: 2, width: 148 };
const WIDE: Room = Room { class: "wide", columns: 5, width: 196 };

/// One box.
#[derive(Debug)]
struct Shape {
    tone: Tone,
    /// Runs whatever happens.
    last: bool,
    link: Option<String>,
    /// The icon and the text of each line: the step, what it is, its options.
    lines: Vec<(Tone, &'static str, String)>,
    /// Told to those who cannot see it, and where the text is cut.
    whole: String,
}

/// The picture of a runbook.
pub fn of_runbook(runbook: &Runbook) -> Markup {
    let shape = |step: &Step, last: bool| {
        let mut lines = vec![(Tone::Calm, "", step.id.clone()), (Tone::Calm, "", what(step))];
        if let Some(Kind::Options(options)) = step.kind() {
            lines.extend(
                options
                    .iter()
                    .zip(1..)
                    .map(|(option, place)| (Tone::Calm, "", format!("{place}. {}", option.id))),
            );
        }
        let tone = if step.approval.is_some() || step.manual.is_some() { Tone::Asks } else { Tone::Calm };
        Shape { tone, last, link: None, lines, whole: format!("{}: {}", step.id, what(step)) }
    };
    picture(runbook, shape)
}

/// The picture of a run: its steps with where they stand.
pub fn of_run(run: &Run, word: &dyn Fn(&Node) -> String) -> Markup {
    let shape = |step: &Step, last: bool| match run.node(&step.id) {
        Some(node) => of_node(run, node, last, word),
        None => Shape {
            tone: Tone::Calm,
            last,
            link: None,
            lines: vec![(Tone::Calm, "○", step.id.clone()), (Tone::Calm, "", what(step))],
            whole: format!("{}: not reached", step.id),
        },
    };
    picture(&run.created.runbook, shape)
}

fn of_node(run: &Run, node: &Node, last: bool, word: &dyn Fn(&Node) -> String) -> Shape {
    let said = word(node);
    let (tone, icon) = words::state(&said);
    let mut lines = vec![(tone, icon, node.step().id.clone()), (tone, "", said.replace('_', " "))];
    let parts: Vec<&Node> = rows(run)
        .iter()
        .map(|row| row.node)
        .filter(|part| part.parent.as_deref() == Some(node.path.as_str()) && part.role != Role::Undo)
        .collect();
    if parts.first().is_some_and(|part| part.role == Role::Option) {
        lines.extend(parts.iter().zip(1..).map(|(part, place)| {
            let (tone, icon) = words::state(&word(part));
            (tone, icon, format!("{place}. {}", part.step().id))
        }));
    } else if !parts.is_empty() {
        let done = parts.iter().filter(|part| part.phase.is_ended()).count();
        lines.push((Tone::Calm, "", format!("{done} of {} done", parts.len())));
    }
    let whole = format!("{}: {}. {}", node.path, said.replace('_', " "), node.step().label());
    Shape { tone, last, link: Some(format!("#step-{}", node.path)), lines, whole: secret::mask_text(&whole) }
}

fn what(step: &Step) -> String {
    match step.kind() {
        Some(Kind::Check(action) | Kind::Action(action)) => action.to_owned(),
        Some(Kind::Approval(_)) => "approval".to_owned(),
        Some(Kind::Manual(_)) => "by hand".to_owned(),
        Some(Kind::Wait(what)) => format!("wait {what}"),
        Some(Kind::Options(options)) => words::count(options.len(), "option"),
        Some(Kind::Run(name)) => format!("run {name}"),
        None => "no kind".to_owned(),
    }
}

fn picture(runbook: &Runbook, shape: impl Fn(&Step, bool) -> Shape) -> Markup {
    let mut needs = graph::edges(&runbook.steps);
    let mut layers = graph::layers(&needs);
    let (count, below) = (needs.len(), layers.iter().max().map_or(0, |layer| layer + 1));
    let last = graph::edges(&runbook.finally);
    layers.extend(graph::layers(&last).iter().map(|layer| layer + below));
    needs.extend(last.iter().map(|needed| needed.iter().map(|index| index + count).collect::<Vec<_>>()));
    let mut shapes: Vec<Shape> = runbook.steps.iter().map(|step| shape(step, false)).collect();
    shapes.extend(runbook.finally.iter().map(|step| shape(step, true)));
    let label = format!("The steps of {} as a graph", runbook.name);
    html! {
        (drawn(&shapes, &needs, &layers, NARROW, &label))
        (drawn(&shapes, &needs, &layers, WIDE, &label))
    }
}

/// Where boxes stand.
struct Place {
    x: usize,
    y: usize,
    /// Which row.
    row: usize,
    width: usize,
    height: usize,
}

fn drawn(shapes: &[Shape], needs: &[Vec<usize>], layers: &[usize], room: Room, label: &str) -> Markup {
    let rows = in_rows(layers, room.columns);
    let widest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let width = widest * (room.width + ACROSS) + ACROSS;
    let (places, tops, height) = placed(shapes, &rows, room, width);
    html! {
        svg class={ "graph " (room.class) } viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height)
            role="group" aria-label=(label) {
            @for (to, needed) in needs.iter().enumerate() {
                @for from in needed {
                    path class="edge" d=(way(&places, &tops, *from, to, width)) {}
                }
            }
            @for (shape, place) in shapes.iter().zip(&places) {
                @if let Some(link) = &shape.link { a href=(link) { (boxed(shape, place)) } }
                @else { (boxed(shape, place)) }
            }
        }
    }
}

/// The steps of each layer, on as many rows as they need.
fn in_rows(layers: &[usize], columns: usize) -> Vec<Vec<usize>> {
    let deepest = layers.iter().max().map_or(0, |layer| layer + 1);
    (0..deepest)
        .flat_map(|layer| {
            let members: Vec<usize> = (0..layers.len()).filter(|index| layers[*index] == layer).collect();
            // Rows of about the same length look better than one that is left over.
            let count = members.len().div_ceil(columns).max(1);
            let each = members.len().div_ceil(count).max(1);
            members.chunks(each).map(<[usize]>::to_vec).collect::<Vec<_>>()
        })
        .collect()
}

/// Each box in the middle of its row; the top of each row; the height of all.
fn placed(
    shapes: &[Shape],
    rows: &[Vec<usize>],
    room: Room,
    width: usize,
) -> (Vec<Place>, Vec<usize>, usize) {
    let height = |index: &usize| shapes[*index].lines.len() * LINE + PADDING;
    let mut places: Vec<(usize, Place)> = Vec::with_capacity(shapes.len());
    let (mut y, mut tops) = (4, Vec::with_capacity(rows.len()));
    for (number, row) in rows.iter().enumerate() {
        let taken = row.len() * (room.width + ACROSS) - ACROSS;
        let start = (width - taken) / 2;
        tops.push(y);
        for (place, index) in row.iter().enumerate() {
            let x = start + place * (room.width + ACROSS);
            places.push((*index, Place { x, y, row: number, width: room.width, height: height(index) }));
        }
        y += row.iter().map(height).max().unwrap_or(0) + DOWN;
    }
    places.sort_by_key(|(index, _)| *index);
    (places.into_iter().map(|(_, place)| place).collect(), tops, y.saturating_sub(DOWN) + 4)
}

/// The way of an arrow: straight down to the next row, else through the gap between the boxes.
fn way(places: &[Place], tops: &[usize], from: usize, to: usize, width: usize) -> String {
    let (a, b) = (&places[from], &places[to]);
    let (x1, y1, x2, y2) = (a.x + a.width / 2, a.y + a.height, b.x + b.width / 2, b.y);
    let above = y2.saturating_sub(DOWN / 2);
    if b.row <= a.row + 1 {
        return format!("M{x1} {y1}V{above}H{x2}V{y2}");
    }
    let gap = tops.get(a.row + 1).map_or(y1, |top| top.saturating_sub(DOWN / 2));
    // Beside the box, on the side of the middle; a lone box is passed on its outside.
    let lane = if x2 > width / 2 { b.x - ACROSS / 2 } else { b.x + b.width + ACROSS / 2 };
    format!("M{x1} {y1}V{gap}H{lane}V{above}H{x2}V{y2}")
}

fn boxed(shape: &Shape, place: &Place) -> Markup {
    html! {
        g class={ "step " (shape.tone.class()) @if shape.last { " last" } } {
            title { (shape.whole) }
            rect x=(place.x) y=(place.y) width=(place.width) height=(place.height) rx="6" {}
            @for ((tone, icon, text), number) in shape.lines.iter().zip(0..) {
                text class=(if number == 0 { "name" } else { tone.class() }) x=(place.x + PADDING)
                    y=(place.y + PADDING / 2 + LINE * number + 15) {
                    (short(icon, text, place.width))
                }
            }
        }
    }
}

/// As much of a line as fits into its box.
fn short(icon: &str, text: &str, width: usize) -> String {
    let line = if icon.is_empty() { text.to_owned() } else { format!("{icon} {text}") };
    let longest = (width - 2 * PADDING) * 10 / LETTER;
    if line.chars().count() <= longest {
        return line;
    }
    line.chars().take(longest - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_laid_on_rows_of_about_the_same_length() {
        let layers = [0, 1, 1, 1, 1, 1, 1, 2];
        assert_eq!(in_rows(&layers, 2), [vec![0], vec![1, 2], vec![3, 4], vec![5, 6], vec![7]]);
        assert_eq!(in_rows(&layers, 5), [vec![0], vec![1, 2, 3], vec![4, 5, 6], vec![7]]);
        assert_eq!(in_rows(&[0, 0, 0, 0], 3), [vec![0, 1], vec![2, 3]]);
        assert!(in_rows(&[], 2).is_empty());
    }
}
