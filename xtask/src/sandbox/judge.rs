//! Judging what was to be seen: from what was counted to what is said in the summary.

use tcpcap_lab::{Metrics, http::Fared};

use super::{
    act::Outcome,
    leak::Row,
    narrate::{number, short},
    sensor::{Decision, Scanner},
    stage::count,
};

/// Something that was to be so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    pub(super) what: &'static str,
    pub(super) ok: bool,
    pub(super) detail: String,
}

/// A scan is to be stopped, or, by a tcpcap that only observes, to be noticed and let through.
pub(super) fn scan(scanner: &Scanner, o: &Outcome, observing: bool) -> Check {
    let (ok, detail) = match (observing, o.decision) {
        (false, Decision::Blocked) => {
            let through = if o.arrived == 0 { "none".to_owned() } else { number(o.arrived) };
            let detail = format!(
                "dropped after {} ports; {through} of the next {} packets came through",
                count(o.seen),
                number(o.sent)
            );
            (o.arrived == 0 && o.sent > 0 && o.dropped > 0, detail)
        }
        (true, Decision::WouldBlock) => {
            let detail = format!("noticed, {} packets would have been dropped, none was", number(o.would_drop));
            (o.dropped == 0 && o.would_drop > 0 && o.arrived > 0, detail)
        }
        (true, Decision::Blocked) => (false, "blocked, although tcpcap only observes".to_owned()),
        (_, Decision::NotBlocked | Decision::WouldBlock) => {
            (false, "detected, but not dropped: the log above says why".to_owned())
        }
    };
    Check { what: if scanner.address.is_ipv6() { "scan over IPv6" } else { "scan over IPv4" }, ok, detail }
}

/// Every scanner of the table is to be dropped. The aims are shown, and judged by whoever reads them.
pub(super) fn leaks(rows: &[Row]) -> Check {
    let escaped: Vec<&str> = rows.iter().filter(|r| r.decision != Decision::Blocked).map(|r| r.name).collect();
    let aimed = rows.iter().filter_map(Row::meets_aim).count();
    let met = rows.iter().filter_map(Row::meets_aim).filter(|met| *met).count();
    let detail = match escaped[..] {
        [] if aimed == 0 => format!("all {} dropped", rows.len()),
        [] => format!("all {} dropped; aim for the ports seen met by {met} of {aimed}", rows.len()),
        _ => format!("not dropped: {}", escaped.join(", ")),
    };
    Check { what: "other scanners", ok: escaped.is_empty() && !rows.is_empty(), detail }
}

/// The honest client is to get every page.
pub(super) fn client(fared: &Fared) -> Check {
    let mut detail = format!(
        "{} pages served all the while, {} failed, the slowest took {}",
        number(fared.ok),
        number(fared.failed),
        short(fared.slowest)
    );
    if let Some(error) = &fared.last_error {
        detail += &format!("; last error: {error}");
    }
    Check { what: "honest client", ok: fared.failed == 0 && fared.ok > 0, detail }
}

/// Every packet that the card received is to be counted once.
pub(super) fn accounting(metrics: &Metrics, card: u64) -> Check {
    let (received, passed, dropped) = (metrics.received(), metrics.passed(), metrics.dropped());
    let detail = format!(
        "{} received = {} passed + {} dropped; the card itself counted {}",
        number(received),
        number(passed),
        number(dropped),
        number(card)
    );
    Check { what: "every packet", ok: received == passed + dropped && received == card && received > 0, detail }
}

/// Our own captures are to be complete, or nothing above holds.
pub(super) fn captures(lost: u64) -> Check {
    Check { what: "our captures", ok: lost == 0, detail: format!("{} frames missed", number(lost)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::leak::tests::row;
    use std::time::Duration;

    const DROPPED: Outcome =
        Outcome { decision: Decision::Blocked, seen: 33, sent: 10_000, arrived: 0, dropped: 10_000, would_drop: 0 };
    const OBSERVED: Outcome =
        Outcome { decision: Decision::WouldBlock, arrived: 10_000, dropped: 0, would_drop: 10_000, ..DROPPED };

    fn judged(outcome: Outcome, observing: bool) -> bool {
        let scanner = Scanner::new([203, 0, 113, 1].into(), [198, 51, 100, 1].into());
        scan(&scanner, &outcome, observing).ok
    }

    #[test]
    fn a_blocked_scan_is_shown_only_if_nothing_of_it_comes_through() {
        assert!(judged(DROPPED, false));
        assert!(!judged(Outcome { arrived: 1, ..DROPPED }, false));
        assert!(!judged(Outcome { dropped: 0, ..DROPPED }, false));
        assert!(!judged(Outcome { sent: 0, ..DROPPED }, false), "nothing came that could have been dropped");
        assert!(!judged(Outcome { decision: Decision::NotBlocked, ..DROPPED }, false));
        assert!(!judged(OBSERVED, false));
    }

    #[test]
    fn an_observed_scan_is_shown_only_if_all_of_it_comes_through() {
        assert!(judged(OBSERVED, true));
        assert!(!judged(Outcome { dropped: 1, ..OBSERVED }, true));
        assert!(!judged(Outcome { would_drop: 0, ..OBSERVED }, true));
        assert!(!judged(DROPPED, true));
    }

    #[test]
    fn a_scanner_that_is_not_dropped_fails_the_table_and_a_missed_aim_does_not() {
        assert!(leaks(&[row(33, Some(34)), row(99, Some(34))]).ok);
        assert!(leaks(&[row(33, Some(34)), row(99, Some(34))]).detail.ends_with("met by 1 of 2"));
        assert!(!leaks(&[Row { decision: Decision::NotBlocked, ..row(33, None) }]).ok);
        assert!(!leaks(&[]).ok);
    }

    #[test]
    fn one_page_that_failed_fails_the_client() {
        let good = Fared { ok: 100, failed: 0, last_error: None, slowest: Duration::from_millis(2) };
        assert!(client(&good).ok);
        assert!(!client(&Fared { failed: 1, ..good.clone() }).ok);
        assert!(!client(&Fared { ok: 0, ..good }).ok);
    }

    #[test]
    fn a_packet_that_is_not_counted_or_counted_twice_breaks_the_account() {
        let text = "tcpcap_packets_total{verdict=\"pass\"} 7\ntcpcap_packets_total{verdict=\"drop\"} 5\n";
        let metrics = Metrics::parse(text).unwrap();
        assert!(accounting(&metrics, 12).ok);
        assert!(!accounting(&metrics, 11).ok && !accounting(&metrics, 13).ok);
        assert!(!accounting(&Metrics::default(), 0).ok);
        assert!(captures(0).ok && !captures(1).ok);
    }
}
