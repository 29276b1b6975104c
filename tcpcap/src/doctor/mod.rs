//! What this kernel, card, capability set and container allow, and what stands in tcpcap's way.
//!
//! Every check looks and changes nothing: what it makes or loads to see whether that works is dropped again, and
//! nothing is attached. `docs/doctor.md` describes each.

mod card;
mod checks;
mod ethtool;
mod finding;
mod host;
mod netdev;
pub mod report;

pub use checks::{ALL, Check, Group};
pub use finding::{Finding, Level};
pub use host::Host;

use checks::Run;
use report::{Line, Report};

/// Runs all checks.
#[must_use]
pub fn examine(host: &Host) -> Report {
    let mut lines = Vec::new();
    let line = |check: &Check, interface: Option<&str>, finding: Finding| Line {
        check: check.name,
        group: check.group,
        interface: interface.map(str::to_owned),
        finding,
    };
    let of = |group| ALL.iter().filter(move |check| check.group == group);
    for group in Group::ALL {
        if group != Group::Interface {
            lines.extend(of(group).filter_map(|check| match check.run {
                Run::Host(run) => Some(line(check, None, run(host))),
                Run::Card(_) => None,
            }));
            continue;
        }
        match host.cards() {
            Err(finding) => lines.extend(of(group).take(1).map(|check| line(check, None, finding.clone()))),
            Ok(cards) => {
                for (name, card) in cards {
                    lines.extend(of(group).filter_map(|check| match (check.run, card) {
                        (Run::Card(run), Ok(card)) => Some(line(check, Some(name), run(host, card))),
                        // What is not there is said once.
                        (Run::Card(_), Err(finding)) if check.name == checks::INTERFACE => {
                            Some(line(check, Some(name), finding.clone()))
                        }
                        _ => None,
                    }));
                }
            }
        }
    }
    Report { lines }
}
