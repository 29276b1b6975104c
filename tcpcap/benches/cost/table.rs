//! What was measured, for people and for machines.

use std::fmt;

use serde::Serialize;
use tcpcap::failure::Failure;

use crate::{
    failed,
    floor::GROUP as FLOOR,
    line::{About, Floor, Line, Scale},
    memory::Memory,
    read,
};

/// What it was measured on.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub processor: String,
    pub cpus: usize,
}

impl Machine {
    pub fn probe() -> Self {
        let processors = read("/proc/cpuinfo");
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        Self {
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            cpus: processors.lines().filter(|line| line.starts_with("processor")).count(),
        }
    }
}

/// A line and what it is held against.
struct Row {
    about: About,
    median: u32,
    min: u32,
    max: u32,
    floor: u32,
}

impl Row {
    /// Nanoseconds above the program that does nothing.
    fn above(&self) -> i64 {
        i64::from(self.median) - i64::from(self.floor)
    }

    fn times(&self) -> f64 {
        f64::from(self.median) / f64::from(self.floor.max(1))
    }
}

pub struct Report {
    machine: Machine,
    scale: Scale,
    rows: Vec<Row>,
    memory: Vec<Memory>,
}

impl Report {
    /// # Errors
    /// There is no floor among the lines.
    pub fn new(machine: Machine, scale: Scale, lines: &[Line], memory: &[Memory]) -> Result<Self, Failure> {
        let floor = |wanted: Floor| {
            let line = lines.iter().find(|line| line.about.group == FLOOR && line.floor == wanted);
            line.map(|line| line.figures().0).ok_or_else(|| failed("no floor")(format!("{wanted:?}")))
        };
        let (plain, swept) = (floor(Floor::Plain)?, floor(Floor::Swept)?);
        let rows = lines.iter().map(|line| {
            let (median, min, max) = line.figures();
            let floor = if line.floor == Floor::Plain { plain } else { swept };
            Row { about: line.about.clone(), median, min, max, floor }
        });
        Ok(Self { machine, scale, rows: rows.collect(), memory: memory.to_vec() })
    }

    /// One JSON object a line: the machine, each line of the table, each list's memory.
    ///
    /// # Errors
    /// None that can happen: there are only strings and numbers.
    pub fn json(&self) -> serde_json::Result<String> {
        #[derive(Serialize)]
        struct Typed<T> {
            r#type: &'static str,
            #[serde(flatten)]
            rest: T,
        }
        #[derive(Serialize)]
        struct About<'a> {
            #[serde(flatten)]
            machine: &'a Machine,
            rounds: u32,
            packets: u32,
        }
        #[derive(Serialize)]
        struct Figures {
            group: &'static str,
            family: &'static str,
            what: &'static str,
            packets: &'static str,
            listed: u32,
            median_ns: u32,
            min_ns: u32,
            max_ns: u32,
            floor_ns: u32,
        }
        let (rounds, packets) = (self.scale.rounds, self.scale.packets);
        let machine = Typed { r#type: "machine", rest: About { machine: &self.machine, rounds, packets } };
        let mut out = serde_json::to_string(&machine)? + "\n";
        for row in &self.rows {
            let about = &row.about;
            let rest = Figures {
                group: about.group,
                family: about.family.name(),
                what: about.what,
                packets: about.packets,
                listed: about.listed,
                median_ns: row.median,
                min_ns: row.min,
                max_ns: row.max,
                floor_ns: row.floor,
            };
            out += &(serde_json::to_string(&Typed { r#type: "cost", rest })? + "\n");
        }
        for memory in &self.memory {
            out += &(serde_json::to_string(&Typed { r#type: "memory", rest: memory })? + "\n");
        }
        Ok(out)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine { kernel, processor, cpus } = &self.machine;
        let Scale { rounds, packets } = self.scale;
        writeln!(f, "{processor}, {cpus} CPUs, Linux {kernel}")?;
        writeln!(f, "{rounds} rounds of {packets} packets each; nanoseconds a packet")?;
        let mut group = "";
        for row in &self.rows {
            let about = &row.about;
            if about.group != group {
                group = about.group;
                writeln!(
                    f,
                    "\n{group:<43} {:<12} {:>9} {:>7} {:>12} {:>12} {:>8}",
                    "packets", "listed", "median", "spread", "above floor", "x floor"
                )?;
            }
            let what = format!("{}  {}", about.family.name(), about.what);
            let spread = format!("{}..{}", row.min, row.max);
            writeln!(
                f,
                "{what:<43} {:<12} {:>9} {:>7} {spread:>12} {:>12} {:>8.1}",
                about.packets,
                about.listed,
                row.median,
                row.above(),
                row.times()
            )?;
        }
        if self.memory.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{:<43} {:>9} {:>12} {:>12} {:>12}", "memory, MiB", "listed", "map, empty", "map", "grown by")?;
        for Memory { what, listed, empty, told, grown } in &self.memory {
            let grown = grown >> 20;
            writeln!(f, "{what:<43} {listed:>9} {:>12} {:>12} {grown:>12}", empty >> 20, told >> 20)?;
        }
        Ok(())
    }
}
