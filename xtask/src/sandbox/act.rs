//! One scan, from its first SYN to the proof that nothing of its source comes through any more.

use tcpcap_lab::scan::Masscan;

use super::{
    narrate::{Narrator, number, short},
    sensor::{Decision, Scanner, Sensor},
    stage::{SOON, Stage, count},
};

/// How many ports nmap may try on after tcpcap has decided.
const TRY_ON: usize = 25;
/// What comes then.
const BURST_PORTS: &str = "1-10000";
const BURST_RATE: u32 = 20_000;

/// What became of a scan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) decision: Decision,
    /// Ports that answered it.
    pub(super) seen: usize,
    /// What its source has sent since tcpcap's decision.
    pub(super) sent: u64,
    /// What of it has reached the host.
    pub(super) arrived: u64,
    /// What tcpcap says it has dropped since the scan began.
    pub(super) dropped: u64,
    /// What tcpcap says it would have dropped.
    pub(super) would_drop: u64,
}

/// Scans, goes on scanning, and counts.
pub(super) fn scan(
    number_of_act: u32,
    scanner: &Scanner,
    stage: &Stage,
    sensor: &mut Sensor,
    voice: Narrator,
) -> anyhow::Result<Outcome> {
    let family = if scanner.address.is_ipv6() { "IPv6" } else { "IPv4" };
    voice.heading(&format!("{number_of_act}. The same scan over {family}, with tcpcap"));
    let source = scanner.address;
    let before = sensor.metrics()?;
    let mark = sensor.mark();
    let mut nmap = stage.nmap("-T4", scanner, voice)?;
    let decision = sensor.decision(scanner, mark)?;
    let let_in = stage.at_host()?.from(source);
    stage.let_it_try_on(&mut nmap, scanner, TRY_ON)?;
    nmap.kill();
    sensor.say_rest_of(scanner);

    let at_scanner = stage.at_scanner()?;
    let (seen, tried) = (at_scanner.answered(source).len(), at_scanner.tried(source).len());
    let open_for = short(stage.at_host()?.trying_for(source));
    voice.say(&match decision {
        Decision::Blocked => format!(
            "nmap got to see {} ports in {open_for}; then the card dropped it. It has tried {} by now, and goes on in \
             vain. Much more comes from the same address:",
            count(seen),
            count(tried)
        ),
        _ => format!("nmap got to see {} of {} ports: it is not dropped. More comes:", count(seen), count(tried)),
    });

    voice.command("scanner", &format!("masscan {} -p {BURST_PORTS} --rate {BURST_RATE}", scanner.target));
    Masscan { source, target: scanner.target, ports: BURST_PORTS, rate: BURST_RATE }.run(&stage.net, SOON * 2)?;
    // Whatever was not let in until the decision has come, or is to come, after it.
    let (sent, arrived) = (stage.at_scanner()?.from(source) - let_in, stage.at_host()?.from(source) - let_in);
    let would_drop = |m: &tcpcap_lab::Metrics| m.count("tcpcap_would_drop_packets_total", &[]);
    let after = sensor.metrics_when("the drops to be counted", SOON / 2, |m| {
        let stopped = m.dropped() + would_drop(m) - before.dropped() - would_drop(&before);
        stopped >= sent || decision == Decision::NotBlocked
    })?;
    let (dropped, would_drop) = (after.dropped() - before.dropped(), would_drop(&after) - would_drop(&before));
    voice.say(&format!(
        "{} packets have come since tcpcap's decision: {} reached the host. Its count of dropped packets went from {} to \
         {}.",
        number(sent),
        if arrived == 0 { "none".to_owned() } else { number(arrived) },
        number(before.dropped()),
        number(after.dropped())
    ));
    Ok(Outcome { decision, seen, sent, arrived, dropped, would_drop })
}
