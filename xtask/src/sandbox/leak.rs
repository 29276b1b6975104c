//! How many ports a scanner gets to see before it is dropped.

use std::time::Duration;

use tcpcap_lab::{layout::SENSOR_V4, scan::Masscan};

use super::{
    narrate::{Narrator, number, short, table},
    sensor::{Decision, Scanner, Sensor},
    stage::{SOON, Stage, count},
};

/// How many ports nmap may try on after it was dropped.
const TRY_ON: usize = 25;

/// A scanner and how much more than the threshold it is to see at most.
struct Kind {
    name: &'static str,
    how: How,
    slack: Option<u32>,
}

enum How {
    /// With this timing.
    Nmap(&'static str),
    /// So many ports, at so many packets a second.
    Masscan(u16, u32),
}

const KINDS: [Kind; 4] = [
    Kind { name: "nmap -T4", how: How::Nmap("-T4"), slack: Some(2) },
    Kind { name: "nmap -T5", how: How::Nmap("-T5"), slack: Some(2) },
    Kind { name: "masscan 10,000/s", how: How::Masscan(10_000, 10_000), slack: None },
    // At this rate a packet comes every 10 µs, and some are on their way when the block is written.
    Kind { name: "masscan 100,000/s", how: How::Masscan(65_535, 100_000), slack: Some(20) },
];

/// What a scanner got out of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) decision: Decision,
    /// Ports that it wanted to know.
    pub(super) wanted: usize,
    /// Ports whose answers it got.
    pub(super) seen: usize,
    /// Ports that it reached on the host.
    pub(super) reached: usize,
    pub(super) open_for: Duration,
    /// How many it is to see at most.
    pub(super) aim: Option<u32>,
}

const HEAD: [&str; 7] = ["scanner", "wanted", "seen", "reached", "threshold", "open for", "aim"];
/// The widest row: the table is shown while it is made.
const WIDEST: [&str; 7] = ["masscan 100,000/s", "65,535", "65,535", "65,535", "64", "9999 ms", "52 MISSED"];

/// Runs every scanner from an address of its own, and shows the table. `threshold` is how many pairs are a scan.
pub(super) fn measure(
    stage: &Stage,
    sensor: &mut Sensor,
    threshold: Option<u32>,
    voice: Narrator,
) -> anyhow::Result<Vec<Row>> {
    voice.heading("5. How many ports scanners get to see, each from an address of its own");
    sensor.mute(true);
    voice.show(&[render(&HEAD)]);
    let mut rows = Vec::new();
    for kind in &KINDS {
        let row = one(kind, stage, sensor, threshold)?;
        voice.show(&[render(&row.cells(threshold))]);
        rows.push(row);
    }
    sensor.mute(false);
    voice.say(
        "seen: ports whose answers the scanner got. reached: ports of the host that its SYNs got to. threshold: ports \
         that are a scan by their number alone; that the host refuses them, and how they are asked for, tells sooner. \
         open for: from the first of these SYNs to the last. aim: ports seen at most.",
    );
    Ok(rows)
}

fn one(kind: &Kind, stage: &Stage, sensor: &mut Sensor, threshold: Option<u32>) -> anyhow::Result<Row> {
    let scanner = Scanner::new(stage.net.fresh_source()?.v4.into(), SENSOR_V4.into());
    let (source, mark) = (scanner.address, sensor.mark());
    let (decision, wanted) = match kind.how {
        How::Nmap(timing) => {
            let mut nmap = stage.quiet_nmap(timing, &scanner)?;
            let decision = sensor.decision(&scanner, mark)?;
            stage.let_it_try_on(&mut nmap, &scanner, TRY_ON)?;
            nmap.kill();
            (decision, 1_000)
        }
        How::Masscan(ports, rate) => {
            let masscan = Masscan { source, target: scanner.target, ports: &format!("1-{ports}"), rate };
            masscan.run(&stage.net, SOON * 2)?;
            (sensor.decision(&scanner, mark)?, ports.into())
        }
    };
    let host = stage.at_host()?;
    Ok(Row {
        name: kind.name,
        decision,
        wanted,
        seen: stage.at_scanner()?.answered(source).len(),
        reached: host.tried(source).len(),
        open_for: host.trying_for(source),
        aim: threshold.zip(kind.slack).map(|(threshold, slack)| threshold + slack),
    })
}

fn render(cells: &[impl AsRef<str>]) -> String {
    let cells = cells.iter().map(|cell| cell.as_ref().to_owned()).collect();
    let widest = [HEAD, WIDEST].map(|row| row.map(str::to_owned).to_vec());
    table(&[widest.to_vec(), vec![cells]].concat()).pop().unwrap_or_default()
}

impl Row {
    /// Whether the aim is met, if there is one.
    pub(super) fn meets_aim(&self) -> Option<bool> {
        self.aim.map(|aim| self.seen as u64 <= u64::from(aim))
    }

    fn cells(&self, threshold: Option<u32>) -> [String; 7] {
        [
            self.name.to_owned(),
            count(self.wanted),
            count(self.seen),
            count(self.reached),
            threshold.map_or("?".to_owned(), |n| n.to_string()),
            short(self.open_for),
            self.verdict(),
        ]
    }

    fn verdict(&self) -> String {
        match (self.aim, self.meets_aim()) {
            (Some(aim), Some(true)) => format!("{} met", number(aim.into())),
            (Some(aim), _) => format!("{} MISSED", number(aim.into())),
            (None, _) => String::new(),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn row(seen: usize, aim: Option<u32>) -> Row {
        Row {
            name: "nmap -T4",
            decision: Decision::Blocked,
            wanted: 1_000,
            seen,
            reached: seen,
            open_for: Duration::from_micros(8_123),
            aim,
        }
    }

    #[test]
    fn the_table_says_whether_the_aim_is_met() {
        let lines = [row(34, Some(34)), row(35, Some(34)), row(9_999, None)].map(|row| render(&row.cells(Some(32))));
        assert_eq!(
            lines,
            [
                "nmap -T4            1,000      34       34         32    8.1 ms     34 met",
                "nmap -T4            1,000      35       35         32    8.1 ms  34 MISSED",
                "nmap -T4            1,000   9,999    9,999         32    8.1 ms",
            ]
        );
    }

    #[test]
    fn the_tables_rows_are_as_wide_as_its_head_and_fit_into_eighty_columns() {
        let widest = render(&WIDEST).chars().count();
        assert!(widest <= 77, "{widest}");
        assert!(render(&HEAD).chars().count() <= widest);
        assert!(KINDS.iter().all(|kind| kind.name.len() <= WIDEST[0].len()));
    }
}
