//! What is shown of keys and configurations.

use super::{Case, nothing_said};
use crate::settings::{Settings, changes, defaults, keys::keys, reference};

fn differing(text: &str) -> Vec<&'static str> {
    let loaded = Case::file(text).loaded();
    changes(&Settings::default(), &loaded.settings).iter().map(|change| change.key).collect()
}

#[test]
fn the_file_of_defaults_is_a_configuration_that_changes_nothing_even_with_every_key_in_force() {
    let text = defaults();
    assert_eq!(differing(&text), Vec::<&str>::new());
    assert_eq!(Case::file(&text).loaded().number_set(), 0);
    let in_force: String = text
        .lines()
        .map(|line| line.strip_prefix('#').filter(|l| !l.starts_with(' ')).unwrap_or(line).to_owned() + "\n")
        .collect();
    assert_eq!(differing(&in_force), Vec::<&str>::new());
    assert_eq!(Case::file(&in_force).loaded().number_set(), keys().len());
    let long: Vec<_> = text.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(long, Vec::<&str>::new());
}

#[test]
fn every_example_is_a_value_of_its_key() {
    for key in keys() {
        if let Some(example) = key.example {
            let set = Case::file(&format!("{} = {example}\n", key.path)).loaded();
            assert_eq!(set.number_set(), 1, "{}", key.path);
            assert_ne!(key.show(&set.settings), key.show(&Settings::default()), "{}", key.path);
        }
    }
}

#[test]
fn what_holds_is_a_configuration_that_says_the_same_and_who_said_it() {
    let case = Case::file(
        "preset = \"strict\"\nallow = [\"10.0.0.0/8\"]\n[detect.port_scan]\nlong = 40\n[[feeds]]\npath = \"/a\"\n",
    )
    .and_file("config.d/10.toml", "[mirror.nftables]\nenabled = true\n")
    .variable("TCPCAP_ALLOW", "192.0.2.1")
    .flags(&["--listen", "127.0.0.1:1"]);
    let (loaded, dir) = case.load().unwrap();
    let text = loaded.effective_text();
    let again = Case::file(&text).loaded();
    assert_eq!(changes(&loaded.settings, &again.settings), vec![]);
    assert_eq!(again.number_set(), keys().len());
    let head: Vec<_> = text.lines().take(25).collect();
    insta::assert_snapshot!(super::without(&dir, &head.join("\n")), @r#"
    interfaces = []                        # default
    mode = "auto"                          # default
    egress = "auto"                        # default
    own = []                               # default
    observe = false                        # default
    preset = "strict"                      # DIR/config.toml:1
    allow = [
        "10.0.0.0/8",                      # DIR/config.toml:2
        "192.0.2.1/32",                    # TCPCAP_ALLOW
    ]
    deny = []                              # default
    feeds = [{ name = "a", path = "/a" }]  # DIR/config.toml:5
    block_for = "10m"                      # default
    scope = "all"                          # default
    reflex = true                          # default
    listen = "127.0.0.1:1"                 # --listen
    socket = "/run/tcpcap/tcpcap.sock"     # default
    state = "/var/lib/tcpcap"              # default
    detach = false                         # default
    log_format = "human"                   # default
    host_root = "/"                        # default
    detect.port_scan.burst = 3             # follows preset
    detect.port_scan.fast = "off"          # follows preset
    detect.port_scan.medium = 20           # follows preset
    detect.port_scan.long = 40             # DIR/config.toml:4
    "#);
}

#[test]
fn a_long_list_that_changes_is_told_by_its_difference() {
    let list = |last: u8| {
        let networks: Vec<_> = (1..=last).map(|n| format!("\"192.0.2.{n}\"")).collect();
        Case::file(&format!("deny = [{}]\n", networks.join(","))).loaded().settings
    };
    let told = |a, b| changes(&list(a), &list(b)).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(2, 3), ["deny: [192.0.2.1/32, 192.0.2.2/32] → [192.0.2.1/32, 192.0.2.2/32, 192.0.2.3/32]"]);
    assert_eq!(told(20, 21), ["deny: 20 → 21 entries (+192.0.2.21/32)"]);
    assert_eq!(told(21, 20), ["deny: 21 → 20 entries (−192.0.2.21/32)"]);
    assert!(told(20, 200)[0].ends_with("+192.0.2.107/32 …)"), "{:?}", told(20, 200));
}

#[test]
fn the_reference_is_as_the_keys_are() {
    let written = include_str!("../../../../docs/config.md");
    assert!(
        written == reference(),
        "docs/config.md is not what the keys say; write it anew: cargo run -p tcpcap -- config --reference > docs/config.md"
    );
}

#[test]
fn every_value_of_a_key_can_be_written_and_read_again() {
    let loaded = nothing_said();
    for key in keys() {
        let text = format!("{} = {}\n", key.path, key.show(&loaded.settings));
        assert_eq!(differing(&text), Vec::<&str>::new(), "{text}");
    }
}
