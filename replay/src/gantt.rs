//! A picture of who built what when.

use std::fmt::Write as _;

use crate::fleet::Fleet;
use crate::outcome::Outcome;
use crate::workload::Workload;

/// Columns of time at most.
const COLUMNS: usize = 1_200;
/// Rows of slots at most.
const ROWS: usize = 400;
/// Rectangles at most, about 60 bytes each.
const RECTANGLES: usize = 60_000;
/// Where the names end, in pixels.
const LEFT: usize = 140;
/// Colours of submitters that can be told apart, also where red and green cannot (Okabe and Ito, 2008).
const COLOURS: [&str; 7] = [
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442",
];

/// Draws an outcome as SVG: a row for each slot, time from left to right, a colour for each submitter.
///
/// Its size is bounded, at about 4 MB: of many slots every second, third or so is drawn, and builds that are closer together than a
/// column of time are drawn as one, in the colour of whom most of it belongs to. What is less than half full stays empty.
///
/// # Panics
///
/// If the outcome is one of another workload or fleet.
#[must_use]
pub fn gantt(workload: &Workload, fleet: &Fleet, outcome: &Outcome) -> String {
    let rows = Rows::new(fleet);
    let mut columns = COLUMNS;
    loop {
        let runs = rows.runs(workload, outcome, columns);
        if runs.len() <= RECTANGLES || columns < 2 {
            return rows.draw(workload, outcome, &runs, COLUMNS / columns);
        }
        columns /= 2;
    }
}

/// The slots that are drawn.
struct Rows {
    /// The row of the first slot of each machine as if all were drawn.
    first: Vec<usize>,
    names: Vec<(usize, String)>,
    count: usize,
    /// Each so-and-so-many-th slot is drawn.
    every: usize,
}

/// A rectangle: row, first column, columns, colour.
type Run = (usize, usize, usize, usize);

impl Rows {
    fn new(fleet: &Fleet) -> Self {
        let mut first = Vec::new();
        let mut slots = 0;
        for machine in fleet.machines() {
            first.push(slots);
            slots += machine.slots as usize;
        }
        let every = slots.div_ceil(ROWS).max(1);
        let names = first.iter().zip(fleet.machines());
        let names = names.map(|(at, machine)| {
            let name = format!("{} ×{:.2}", machine.name, machine.speed);
            (at.div_ceil(every), name)
        });
        Self {
            names: names.collect(),
            first,
            count: slots.div_ceil(every),
            every,
        }
    }

    fn runs(&self, workload: &Workload, outcome: &Outcome, columns: usize) -> Vec<Run> {
        let makespan = outcome.makespan_ms().max(1) as f64;
        let scale = columns as f64 / makespan;
        let colours = workload.submitters().len().clamp(1, COLOURS.len());
        // How full each column of each row is, by colour.
        let mut full = vec![0.0_f32; self.count * columns * colours];
        for built in &outcome.built {
            let slot = self.first[built.machine as usize] + built.slot as usize;
            if !slot.is_multiple_of(self.every) {
                continue;
            }
            let submitter = usize::from(workload.jobs()[built.job as usize].submitter);
            let colour = submitter % colours;
            let (from, to) = (built.start_ms as f64 * scale, built.end_ms as f64 * scale);
            for column in from as usize..=(to as usize).min(columns - 1) {
                let within = to.min(column as f64 + 1.0) - from.max(column as f64);
                let row = slot / self.every;
                full[(row * columns + column) * colours + colour] += within as f32;
            }
        }
        let mut runs: Vec<Run> = Vec::new();
        for (at, cell) in full.chunks(colours).enumerate() {
            if cell.iter().sum::<f32>() < 0.5 {
                continue;
            }
            let most = (0..)
                .zip(cell)
                .max_by(|one, other| one.1.total_cmp(other.1));
            let most = most.map_or(0, |(colour, _)| colour);
            let (row, column) = (at / columns, at % columns);
            match runs.last_mut() {
                Some((last, from, length, colour))
                    if *last == row && *from + *length == column && *colour == most =>
                {
                    *length += 1;
                }
                _ => runs.push((row, column, 1, most)),
            }
        }
        runs
    }

    fn draw(&self, workload: &Workload, outcome: &Outcome, runs: &[Run], scale: usize) -> String {
        let height = (800 / self.count.max(1)).clamp(2, 16);
        let (width, bottom) = (LEFT + COLUMNS + 20, self.count * height + 10);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {}\" font-family=\"sans-serif\" font-size=\"10\">\n",
            bottom + 50
        );
        let mut put = |text: &str| {
            svg.write_str(text)
                .expect("a string takes all that is written to it");
        };
        let mut free = 0;
        for (row, name) in &self.names {
            let y = row * height;
            // Names that would lie upon each other are left out.
            if y >= free {
                put(&format!(
                    "<text x=\"2\" y=\"{}\">{}</text>\n",
                    y + 9,
                    escape(name)
                ));
                free = y + 10;
            }
        }
        for (row, from, length, colour) in runs {
            put(&format!(
                "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n",
                LEFT + from * scale,
                row * height,
                length * scale,
                height.max(2) - 1,
                COLOURS[*colour]
            ));
        }
        for part in 0..=4 {
            let hours = outcome.makespan_ms() as f64 / 3_600_000.0 * f64::from(part) / 4.0;
            let x = LEFT + COLUMNS / 4 * part as usize;
            put(&format!(
                "<text x=\"{x}\" y=\"{}\">{hours:.1} h</text>\n",
                bottom + 12
            ));
        }
        for (number, name) in workload.submitters().iter().enumerate().take(COLOURS.len()) {
            let x = LEFT + number * 160;
            let colour = COLOURS[number];
            put(&format!(
                "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"{}\">{}</text>\n",
                bottom + 24,
                x + 14,
                bottom + 33,
                escape(name)
            ));
        }
        put("</svg>\n");
        svg
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
