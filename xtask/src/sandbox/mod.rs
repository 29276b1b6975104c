//! The sandbox: tcpcap, an honest client and real scanners in network namespaces, and somebody who tells the story.
//!
//! Nothing is taken on trust: what the scanner got to see is captured at the scanner, what reached the host is captured
//! behind its card, and tcpcap's counters are held against the card's own. A run in which something was not as it was
//! to be fails.

mod act;
mod judge;
mod leak;
mod log;
mod narrate;
mod sensor;
mod stage;

use std::{cell::Cell, path::Path};

use anyhow::bail;
use tcpcap_core::{Preset, Thresholds};
use tcpcap_lab::layout::{CLIENT_V4, SENSOR_V4, SENSOR_V6};

use judge::Check;
use narrate::{Narrator, Tone};
use sensor::{Scanner, Sensor};
use stage::Stage;

const TRY_NEXT: [(&str, &str); 5] = [
    ("cargo xtask run --iface eth0 -- --observe", "a card of yours: see, drop nothing"),
    ("cargo xtask run --iface eth0", "a card of yours: drop scanners"),
    ("sudo target/release/tcpcap doctor", "what this machine allows"),
    ("sudo target/release/tcpcap top", "who is knocking, while it runs"),
    ("curl http://127.0.0.1:2112/metrics", "its counters, while it runs"),
];

/// What is played.
pub(crate) struct Play<'a> {
    /// The real thing.
    pub(crate) tcpcap: &'a Path,
    pub(crate) preset: Option<Preset>,
    /// For tcpcap.
    pub(crate) args: &'a [String],
    pub(crate) quick: bool,
}

/// Refuses arguments that take from the sandbox what it relies on.
pub(crate) fn check_args(args: &[String]) -> anyhow::Result<()> {
    let given = |flag: &str| args.iter().any(|arg| arg == flag || arg.starts_with(&format!("{flag}=")));
    if given("--iface") {
        bail!("--iface behind -- is for the sandbox's tcpcap, which has one card\n  run: cargo xtask run --iface IF");
    }
    for flag in ["--listen", "--log-format"] {
        if given(flag) {
            bail!("the sandbox reads tcpcap's metrics and log, and needs {flag} as it is by default\n  leave it out");
        }
    }
    Ok(())
}

impl Play<'_> {
    /// Plays it.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        check_args(self.args)?;
        let voice = Narrator::new();
        let stage = Stage::build()?;
        stage.introduce(voice);
        stage.show_what_an_open_host_gives_away(voice)?;

        voice.heading("2. tcpcap starts");
        stage.wait_for_calm()?;
        let card_before = stage.card()?;
        let mut args: Vec<String> = self.preset.iter().map(|preset| format!("--preset={preset}")).collect();
        args.extend(self.args.iter().cloned());
        let mut sensor = Sensor::start(&stage.net, self.tcpcap, &args, voice)?;
        let client = stage.start_client()?;
        voice.say(&format!(
            "From now on an honest client, {CLIENT_V4}, fetches some fifty pages a second, each over a new connection."
        ));

        let first = stage.net.first_scanner();
        let scanners =
            [Scanner::new(first.v4.into(), SENSOR_V4.into()), Scanner::new(first.v6.into(), SENSOR_V6.into())];
        let mut checks = Vec::new();
        for (number, scanner) in (3..).zip(&scanners) {
            let outcome = act::scan(number, scanner, &stage, &mut sensor, voice)?;
            checks.push(judge::scan(scanner, &outcome, sensor.observing));
        }
        voice.say("Why it was blocked, until when, and what comes next, tcpcap tells at any time:");
        sensor.explain(&scanners[0])?;
        if !self.quick && !sensor.observing {
            let rows = leak::measure(&stage, &mut sensor, self.threshold(), voice)?;
            checks.push(judge::leaks(&rows));
        }

        let end = if self.quick || sensor.observing { 5 } else { 6 };
        voice.heading(&format!("{end}. The end"));
        let fared = client.stop();
        checks.push(judge::client(&fared));
        stage.wait_for_calm()?;
        // Even now a neighbour may ask for an address: the card is read anew with each look at the counters.
        let received = Cell::new(0);
        let metrics = sensor.metrics_when("all packets to be counted", stage::SOON, |m| {
            stage.card().is_ok_and(|card| {
                received.set(card.rx_packets - card_before.rx_packets);
                m.received() == received.get()
            })
        })?;
        checks.push(judge::accounting(&metrics, received.get()));
        checks.push(judge::captures(stage.lost()?));
        voice.command("sensor", "kill -TERM $(pidof tcpcap)");
        sensor.stop()?;
        stage.clear()?;
        report(&checks, voice)
    }

    /// How many pairs are a scan at once; `None` if only a configuration file knows.
    fn threshold(&self) -> Option<u32> {
        let preset = self.preset.or_else(|| preset_among(self.args));
        let configured = self.args.iter().any(|arg| arg.starts_with("--config"));
        let preset = if configured { preset } else { Some(preset.unwrap_or_default()) };
        preset.and_then(|preset| Thresholds::of(preset).port_scan.burst_pairs)
    }
}

/// The preset that tcpcap is told.
fn preset_among(args: &[String]) -> Option<Preset> {
    let at = args.iter().position(|arg| arg.starts_with("--preset"))?;
    let value = args[at].strip_prefix("--preset=").or_else(|| args.get(at + 1).map(String::as_str))?;
    value.parse().ok()
}

fn report(checks: &[Check], voice: Narrator) -> anyhow::Result<()> {
    voice.heading("Summary");
    for check in checks {
        let (word, tone) = if check.ok { ("ok    ", Tone::Good) } else { ("FAILED", Tone::Bad) };
        let mut lines = narrate::wrap(&check.detail, 54, "").into_iter();
        let first = lines.next().unwrap_or_default();
        voice.show(&[format!("{} {:<15} {first}", voice.paint(word, tone), check.what)]);
        voice.show(&lines.map(|line| format!("{:22} {line}", "")).collect::<Vec<_>>());
    }
    voice.heading("Try next");
    for (command, what) in TRY_NEXT {
        voice.show(&[format!("{command:<43}{what}")]);
    }
    let failed: Vec<&str> = checks.iter().filter(|check| !check.ok).map(|check| check.what).collect();
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not as it was to be: {}\n  see the summary above", failed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    fn threshold(preset: Option<Preset>, line: &str) -> Option<u32> {
        let args = args(line);
        Play { tcpcap: Path::new("tcpcap"), preset, args: &args, quick: false }.threshold()
    }

    #[test]
    fn the_threshold_is_that_of_the_preset_wherever_it_is_named() {
        let of = |preset| Thresholds::of(preset).port_scan.burst_pairs;
        assert_eq!(threshold(None, ""), of(Preset::default()));
        assert_eq!(threshold(Some(Preset::Relaxed), "--observe"), of(Preset::Relaxed));
        assert_eq!(threshold(None, "--preset strict"), of(Preset::Strict));
        assert_eq!(threshold(None, "--preset=strict --config x"), of(Preset::Strict));
        assert_eq!(threshold(None, "--config x"), None);
    }

    #[test]
    fn arguments_that_would_blind_the_sandbox_are_refused() {
        check_args(&args("--observe --block-for 1h --preset strict")).unwrap();
        for bad in ["--iface eth0", "--iface=eth0", "--listen 0.0.0.0:1", "--log-format=json"] {
            check_args(&args(bad)).unwrap_err();
        }
    }
}
