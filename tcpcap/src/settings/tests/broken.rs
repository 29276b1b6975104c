//! What is refused, and how that is told.

use proptest::prelude::*;

use super::Case;
use crate::{lists::MAX_FEEDS, settings::keys::keys};

#[test]
fn all_errors_of_all_places_are_told_at_once_each_with_place_key_value_and_rule() {
    let case = Case::file(
        "observ = true\npreset = \"balansed\"\nallow = [\n  \"10.0.0.0/8\",\n  \"::/0\",\n  \"example.org\",\n]\n\
         deny = [\"16.0.0.0/4\"]\ninterfaces = \"eth0\"\nlisten = 2112\n\n[detect.portscan]\nburst = 3\n\n\
         [detect.port_scan]\nfast = 257\nbursts = 3\n\n[[feeds]]\npath = \"drop.txt\"\nnaem = \"x\"\n\n\
         [mirror.nftables]\nenabled = \"yes\"\ntable = \"my table\"\n",
    )
    .and_file("config.d/10.toml", "mode = \"auto\"\nlisten = \n")
    .and_file("config.d/20.toml", "detect = 3\n[[feeds]]\n")
    .variable("TCPCAP_MODE", "natve")
    .flags(&["--block-for", "48h"]);
    insta::assert_snapshot!(case.errors().join("\n"), @r#"
    DIR/config.toml:1: there is no key `observ`; did you mean `observe`?
    DIR/config.toml:2: preset: "balansed" is not one of strict, balanced, relaxed; did you mean `balanced`?
    DIR/config.toml:5: allow: "::/0" cannot be taken: it holds the IPv4 addresses too; name what is meant: 2000::/3 are the public IPv6 addresses
    DIR/config.toml:6: allow: "example.org" is not an address or a network such as "192.0.2.0/24"
    DIR/config.toml:8: deny: "16.0.0.0/4" cannot be taken: it would shut out 1 in 16 of all IPv4 addresses; /8 is the broadest that is taken
    DIR/config.toml:9: interfaces: "eth0" is not a list of at most 64, each the name of an interface, such as "eth0"
    DIR/config.toml:10: listen: 2112 is not an address and a port, such as "127.0.0.1:2112" or "[::1]:2112"
    DIR/config.toml:12: there is no key `detect.portscan`; did you mean `detect.port_scan`?
    DIR/config.toml:16: detect.port_scan.fast: 257 is not a number from 1 to 256, or "off"
    DIR/config.toml:17: there is no key `detect.port_scan.bursts`; did you mean `detect.port_scan.burst`?
    DIR/config.toml:20: feeds: "drop.txt" is not a path that begins with /
    DIR/config.toml:21: feeds: "naem" is not a key of a feed, which are `path` and `name`; did you mean `name`?
    DIR/config.toml:24: mirror.nftables.enabled: "yes" is not true or false
    DIR/config.toml:25: mirror.nftables.table: "my table" is not a name for a table: a letter, then letters, digits and _, at most 31
    DIR/config.d/10.toml:2: `listen =` is not TOML: string values must be quoted, expected literal string
    DIR/config.d/20.toml:1: `detect` is a table: write its keys below [detect]
    DIR/config.d/20.toml:2: feeds: {} cannot be taken: a feed needs the `path` of a file
    TCPCAP_MODE: "natve" is not one of auto, native, generic; did you mean `native`?
    --block-for: "48h" is not a time from 1s to 24h, such as "1h 30m"
    "#);
}

#[test]
fn what_is_no_value_of_a_key_is_refused_with_what_is() {
    let list: String = (1..=9).map(|port| format!("{port},")).collect();
    for (line, said) in [
        ("observe = 1", "observe: 1 is not true or false"),
        ("mode = 3.5", "mode: 3.5 is not one of auto, native, generic"),
        ("block_for = \"0s\"", "\"0s\" is not a time from 1s to 24h"),
        ("block_for = \"25h\"", "\"25h\" is not a time from 1s to 24h"),
        ("block_for = 600", "600 is not a time from 1s to 24h"),
        ("detect.port_scan.burst = 0", "0 is not a number from 1 to 256, or \"off\""),
        ("detect.port_scan.burst = \"none\"", "\"none\" is not a number from 1 to 256, or \"off\""),
        ("detect.port_scan.burst = \"3\"", "\"3\" is not a number from 1 to 256, or \"off\""),
        ("detect.stealth.probes = 33", "33 is not a number from 1 to 32, or \"off\""),
        ("detect.brute_force.ports = [0]", "0 is not a number from 1 to 65535"),
        (&format!("detect.brute_force.ports = [{list}]"), "cannot be taken: 9 are more than 8"),
        ("caps.blocks = 0", "0 is not a number from 1 to 131072"),
        ("caps.blocks = 99999999999999999999", "99999999999999999999 is not a number from 1 to 131072"),
        ("listen = \"everywhere\"", "\"everywhere\" is not an address and a port"),
        ("socket = \"tcpcap.sock\"", "\"tcpcap.sock\" is not a path that begins with /"),
        ("interfaces = [\"a b\"]", "\"a b\" is not the name of an interface"),
        ("interfaces = [\"sixteen-letters-\"]", "is not the name of an interface"),
        ("own = [\"192.0.2.0/33\"]", "\"192.0.2.0/33\" is not an address or a network"),
        ("deny = [\"0.0.0.0/0\"]", "would shut out all of IPv4"),
        ("deny = [\"127.0.0.1\"]", "\"127.0.0.1\" cannot be taken: it touches 127.0.0.0/8, which is loopback"),
        ("allow = [\"::/0\"]", "\"::/0\" cannot be taken: it holds the IPv4 addresses too"),
        ("history.max_age = \"59m\"", "\"59m\" is not a time from 1h to"),
        ("history.max_size = \"1 KiB\"", "\"1 KiB\" is not a size from 1 MiB to 1024 GiB, such as \"64 MiB\""),
        ("history.max_size = \"99999999999999999999 GiB\"", "is not a size from"),
        ("http.hosts = [\"example.org:80\"]", "\"example.org:80\" is not a host name without a port"),
        ("http.hosts = [\"a..b\"]", "is not a host name"),
        ("mirror.nftables.table = \"\"", "\"\" is not a name for a table"),
        ("mirror.nftables.hook = \"forward\"", "\"forward\" is not one of prerouting, input"),
        ("mirror.nftables.priority = 2000", "2000 is not a number from -1000 to 1000"),
        ("mirror.nftables.nft = \"bin/nft\"", "\"bin/nft\" is not a program's name, or its path from / on"),
        ("feeds = [1]", "1 is not a table with the `path` of a file"),
        ("[[feeds]]\nname = \"x\"", "a feed needs the `path` of a file"),
        ("[[feeds]]\npath = \"/\"", "the file's name is no name for a feed"),
        ("[[feeds]]\npath = \"/a\"\nname = \"\"", "\"\" is not a name of 1 to 64 printable characters"),
        ("[[feeds]]\npath = \"/a\"\nname = \"a\\nb\"", "is not a name of 1 to 64 printable characters"),
        ("mirror = true", "`mirror` is a table: write its keys below [mirror]"),
        ("\"\\u001b[31m\" = 1", "there is no key `\\u{1b}[31m`"),
    ] {
        let errors = Case::file(line).errors();
        assert_eq!(errors.len(), 1, "{line}: {errors:?}");
        assert!(errors[0].starts_with("DIR/config.toml:") && errors[0].contains(said), "{line}: {errors:?}");
    }
}

#[test]
fn a_value_is_wrong_even_where_another_wins_over_it() {
    let case = Case::file("mode = \"fast\"\n").flags(&["--mode", "native"]);
    assert_eq!(case.errors(), ["DIR/config.toml:1: mode: \"fast\" is not one of auto, native, generic"]);
}

#[test]
fn two_feeds_of_one_name_are_an_error_that_names_both_places() {
    let case = Case::file("observe = true\n[[feeds]]\npath = \"/a/drop.txt\"\n")
        .and_file("config.d/10.toml", "\n[[feeds]]\npath = \"/b/drop.txt\"\n");
    assert_eq!(
        case.errors(),
        [
            "DIR/config.d/10.toml:2: two feeds are named `drop.txt`, the other at DIR/config.toml:2: give one another `name`"
        ]
    );
}

#[test]
fn errors_across_keys_are_told_beside_others_unless_they_would_follow_from_them() {
    let feed = "[[feeds]]\npath = \"/a\"\n";
    let text = format!("caps.blocks = 0\ncaps.unverified = 131072\n{feed}{feed}[mirror.nftables]\nhook = 1\n");
    assert_eq!(
        Case::file(&text).errors(),
        [
            "DIR/config.toml:1: caps.blocks: 0 is not a number from 1 to 131072",
            "DIR/config.toml:5: two feeds are named `a`, the other at DIR/config.toml:3: give one another `name`",
            "DIR/config.toml:8: mirror.nftables.hook: 1 is not one of prerouting, input",
        ]
    );
}

#[test]
fn more_feeds_than_there_can_be_are_too_many_in_however_many_files() {
    let feeds = |of: &str, count: usize| -> String {
        (0..count).map(|n| format!("[[feeds]]\npath = \"/{of}{n}\"\n")).collect()
    };
    let case = Case::file(&feeds("a", MAX_FEEDS)).and_file("config.d/10.toml", &feeds("b", 2));
    assert_eq!(case.errors(), ["DIR/config.d/10.toml:1: 66 feeds are more than 64"]);
}

#[test]
fn unverified_sources_cannot_have_more_blocks_than_there_are() {
    let case = Case::file("caps.blocks = 10\n").and_file("config.d/10.toml", "[caps]\nunverified = 11\n");
    assert_eq!(case.errors(), ["DIR/config.d/10.toml:2: caps.unverified: 11 is more than caps.blocks, which is 10"]);
}

#[test]
fn what_is_allowed_and_smells_is_a_warning_with_its_place() {
    let case = Case::file(
        "allow = [\"0.0.0.0/0\", \"192.0.2.0/24\"]\ndeny = [\"192.0.2.7\"]\nlisten = \"0.0.0.0:2112\"\nobserve = true\n\
         interfaces = [\"no-such-card\"]\n[[feeds]]\npath = \"/nonexistent/drop.txt\"\n[mirror.nftables]\nenabled = true\n",
    )
    .variable("TCPCAP_OBSERV", "1")
    .variable("TCPCAP_SERVICE_HOST", "10.0.0.1");
    insta::assert_snapshot!(case.warnings().join("\n"), @r#"
        DIR/config.toml:1: allow: 0.0.0.0/0 allows a large part of the Internet, scanners included
        DIR/config.toml:2: deny: 192.0.2.7/32 is not blocked, for 0.0.0.0/0 is allowed, and allowed wins
        DIR/config.toml:3: listen: whoever reaches 0.0.0.0:2112 sees who connects to this host; is there a firewall?
        DIR/config.toml:5: interfaces: there is no interface no-such-card on this host now
        DIR/config.toml:6: feeds: /nonexistent/drop.txt is not there now; it is read once it is
        DIR/config.toml:9: mirror.nftables.enabled: in observe mode nftables only counts too
        TCPCAP_OBSERV: this variable is not used; did you mean `TCPCAP_OBSERVE`?
        "#);
    let idle = Case::file("mirror.nftables.hook = \"input\"\n");
    assert_eq!(
        idle.warnings(),
        ["DIR/config.toml:1: mirror.nftables.hook: has no effect: mirror.nftables.enabled is false"]
    );
    assert_eq!(Case::default().warnings(), Vec::<String>::new());
}

proptest! {
    #[test]
    fn whatever_a_file_says_is_taken_or_told_of_in_lines(text in "(?s).{0,300}") {
        if let Err(errors) = Case::file(&text).load() {
            prop_assert!(!errors.is_empty());
            for error in errors {
                prop_assert!(!error.contains(char::is_control), "{:?}", error);
            }
        }
    }

    #[test]
    fn whatever_a_key_is_set_to_is_taken_or_told_of_with_its_line(
        at in 0..keys().len(),
        value in prop_oneof![
            "-?[0-9]{1,20}", "true|false|1e3|inf|1979-05-27", "\\PC{0,20}".prop_map(|text| format!("{text:?}")),
            "[a-z0-9.:/ ]{0,20}".prop_map(|text| format!("[\"{text}\", 3]")), Just("{ a = 1, path = \"/x\" }".to_owned()),
        ],
    ) {
        let line = format!("{} = {value}\n", keys()[at].path);
        match Case::file(&line).load() {
            Ok((loaded, _)) => prop_assert_eq!(loaded.number_set(), 1),
            Err(errors) => prop_assert!(errors.iter().all(|e| e.starts_with("DIR/config.toml:1: ")), "{:?}", errors),
        }
    }
}
