//! `tcpcap list`: the blocks that are on, newest first.

use indicatif::HumanCount;

use super::{
    print,
    screen::Screen,
    table::{Column, table},
    unattended,
};
use crate::{
    control::{BlockShown, Named, readable},
    failure::Failure,
    settings::{ShowArgs, ShowFormat},
};

/// Prints them: as the daemon knows them, or as the kernel does if there is none.
///
/// # Errors
/// Neither can be asked.
pub fn run(args: &ShowArgs) -> Result<(), Failure> {
    let client = args.socket.client()?;
    let mut blocks = match client.if_running(|client| client.blocks())? {
        Some(blocks) => blocks,
        None => {
            let left = unattended::left()?;
            let blocks = left.as_ref().map(unattended::blocks).transpose()?.unwrap_or_default();
            eprintln!("{}", unattended::warning(client.path(), left.as_ref(), &blocks.instead()));
            blocks.in_force
        }
    };
    blocks.sort_by_key(|block| (block.age_s, block.network));
    match args.output {
        ShowFormat::Text => print::text(&text(&blocks, Screen::here())),
        ShowFormat::Json => print::json(&blocks),
    }
}

const COLUMNS: [Column; 6] = [
    Column::words("SOURCE"),
    Column::words("LEFT"),
    Column::words("AGE").spare(),
    Column::numbers("TIMES").spare(),
    Column::numbers("PACKETS"),
    Column::words("WHY"),
];

fn text(blocks: &[BlockShown], screen: Screen) -> String {
    if blocks.is_empty() {
        return "nobody is blocked\n".to_owned();
    }
    let rows: Vec<_> = blocks.iter().map(row).collect();
    table(&COLUMNS, &rows, screen) + &total(blocks.len())
}

fn total(number: usize) -> String {
    match number {
        1 => "1 block\n".to_owned(),
        _ => format!("{} blocks\n", HumanCount(number as u64)),
    }
}

fn row(block: &BlockShown) -> [String; 6] {
    [
        Named(&block.network).to_string(),
        block.left_s.map_or_else(|| "for ever".to_owned(), readable),
        readable(block.age_s),
        if block.times == 0 { "-".to_owned() } else { block.times.to_string() },
        HumanCount(block.packets).to_string(),
        why(block),
    ]
}

/// `port-scan`, `operator: too curious`, `feed drop.txt (syn)`
fn why(block: &BlockShown) -> String {
    let BlockShown { origin, why, .. } = block;
    let why = match origin.as_str() {
        "operator" if why.is_empty() || why == origin => origin.clone(),
        "operator" => format!("operator: {why}"),
        "feed" => format!("feed {why}"),
        _ => why.clone(),
    };
    if block.scope == "syn" { why + " (syn)" } else { why }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCREEN: Screen = Screen { width: 80, colour: false };

    fn block(network: &str, origin: &str, why: &str) -> BlockShown {
        BlockShown {
            network: network.parse().unwrap(),
            origin: origin.to_owned(),
            why: why.to_owned(),
            scope: "all".to_owned(),
            age_s: 40,
            left_s: Some(560),
            times: 1,
            packets: 1_234_567,
            bytes: 80_000_000,
        }
    }

    #[test]
    fn a_list_is_aligned_and_fits_a_terminal() {
        let blocks = [
            block("192.0.2.56/32", "automatic", "port-scan"),
            BlockShown {
                left_s: None,
                times: 0,
                packets: 0,
                age_s: 3_900,
                ..block("203.0.113.0/24", "operator", "curious")
            },
            BlockShown { scope: "syn".to_owned(), packets: 7, ..block("2001:db8:1:2::/64", "automatic", "sweep") },
        ];
        let expected = "\
SOURCE             LEFT        AGE        TIMES    PACKETS  WHY
192.0.2.56         9 min 20 s  40 s           1  1,234,567  port-scan
203.0.113.0/24     for ever    1 h 5 min      -          0  operator: curious
2001:db8:1:2::/64  9 min 20 s  40 s           1          7  sweep (syn)
3 blocks
";
        assert_eq!(text(&blocks, SCREEN), expected);
        assert!(expected.lines().all(|line| line.len() <= SCREEN.width));
    }

    #[test]
    fn nobody_and_one_read_as_people_say_it() {
        assert_eq!(text(&[], SCREEN), "nobody is blocked\n");
        assert!(text(&[block("192.0.2.1/32", "automatic", "sweep")], SCREEN).ends_with("\n1 block\n"));
        assert_eq!(total(12_345), "12,345 blocks\n");
    }

    #[test]
    fn who_wants_a_block_is_told_with_what_for() {
        for (origin, why_given, shown) in [
            ("automatic", "port-scan", "port-scan"),
            ("operator", "", "operator"),
            ("operator", "operator", "operator"),
            ("operator", "too curious", "operator: too curious"),
            ("feed", "drop.txt", "feed drop.txt"),
        ] {
            assert_eq!(why(&block("192.0.2.1/32", origin, why_given)), shown);
        }
    }
}
