//! Who wins.

use std::time::Duration;

use tcpcap_core::{Caps, Preset, Thresholds};

use super::{Case, nothing_said};
use crate::{
    kernel::{EgressChoice, ModeChoice},
    mirror::Hook,
    settings::keys::keys,
};

#[test]
fn defaults_are_safe() {
    let s = nothing_said().settings;
    assert_eq!((s.mode, s.judging.observe, s.judging.preset), (ModeChoice::Auto, false, Preset::Balanced));
    assert_eq!(s.egress, EgressChoice::Auto);
    assert!(s.listen.ip().is_loopback() && s.http_hosts.is_empty());
    assert_eq!(s.socket.to_str(), Some("/run/tcpcap/tcpcap.sock"));
    assert_eq!(s.judging.block_for, Duration::from_secs(600));
    assert_eq!(s.judging.thresholds, Thresholds::default());
    assert_eq!(s.mirror.wanted(), None);
}

/// A key with a flag, and three values of it, each unlike its default.
const SCALARS: [(&str, &str, &str, &str); 14] = [
    ("mode", "native", "generic", "native"),
    ("egress", "off", "clsact", "off"),
    ("observe", "true", "false", "true"),
    ("preset", "strict", "relaxed", "strict"),
    ("block_for", "1m", "2m", "3m"),
    ("scope", "syn", "all", "syn"),
    ("reflex", "false", "true", "false"),
    ("listen", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
    ("socket", "/1", "/2", "/3"),
    ("state", "/1", "/2", "/3"),
    ("detach", "true", "false", "true"),
    ("log_format", "json", "human", "json"),
    ("host_root", "/1", "/2", "/3"),
    ("protect.session_linger", "1s", "2s", "3s"),
];

#[test]
fn of_every_key_with_a_flag_the_flag_wins_over_environment_file_and_default() {
    for (path, filed, environed, typed) in SCALARS {
        let key = crate::settings::keys::key(path).unwrap();
        let leak = |text: String| -> &'static str { text.leak() };
        let variable = leak(key.variables()[0].clone());
        assert_eq!(variable, format!("TCPCAP_{}", path.replace('.', "_").to_uppercase()));
        let flag = leak(format!("--{}={typed}", key.flag.unwrap().name));
        let quoted = |text: &str| if key.is_switch() { text.to_owned() } else { format!("{text:?}") };
        let line = format!("{path} = {}\n", quoted(filed));

        let case = Case::file(&line);
        assert_eq!(case.effective(path), (quoted(filed), "DIR/config.toml:1".to_owned()));
        let case = case.variable(variable, environed);
        assert_eq!(case.effective(path), (quoted(environed), variable.to_owned()));
        let case = case.flags(&[flag]);
        let (name, _) = flag.split_once('=').unwrap();
        assert_eq!(case.effective(path), (quoted(typed), name.to_owned()));
        let default = toml::Value::to_string(&key.show(&nothing_said().settings));
        assert_eq!(Case::default().effective(path), (default, "default".to_owned()));
    }
    let lists = ["interfaces", "own", "allow", "deny"];
    let flagged = keys().iter().filter(|key| key.flag.is_some()).map(|key| key.path);
    assert!(flagged.clone().all(|path| lists.contains(&path) || SCALARS.iter().any(|s| s.0 == path)));
}

#[test]
fn a_later_file_wins_and_lists_add_up_over_files_environment_and_flags() {
    let case = Case::file("interfaces = [\"a\"]\nblock_for = \"1m\"\nallow = [\"10.0.0.0/8\"]\n")
        .and_file("config.d/20.toml", "block_for = \"3m\"\nallow = [\n\"192.0.2.1\"]\n")
        .and_file("config.d/10.toml", "block_for = \"2m\"\ninterfaces = [\"b\", \"c\"]\n")
        .variable("TCPCAP_ALLOW", "192.0.2.2, 192.0.2.3")
        .flags(&["--allow", "192.0.2.4,192.0.2.5", "--allow", "192.0.2.6"]);
    assert_eq!(case.effective("block_for"), ("\"3m\"".to_owned(), "DIR/config.d/20.toml:1".to_owned()));
    assert_eq!(case.effective("interfaces"), ("[\"b\", \"c\"]".to_owned(), "DIR/config.d/10.toml:2".to_owned()));
    let (allowed, who) = case.effective("allow");
    assert_eq!(allowed.matches("192.0.2").count(), 6, "{allowed}");
    assert_eq!(who, "DIR/config.toml:3, DIR/config.d/20.toml:2, TCPCAP_ALLOW, --allow");
    let loaded = case.loaded();
    let lines: Vec<_> = loaded.items("allow").iter().map(ToString::to_string).collect();
    assert!(lines[0].ends_with("config.toml:3") && lines[1].ends_with("20.toml:3"), "{lines:?}");
    assert_eq!(lines[2..], ["TCPCAP_ALLOW", "TCPCAP_ALLOW", "--allow", "--allow", "--allow"]);
}

#[test]
fn feeds_of_all_files_add_up_and_are_named_after_their_files() {
    let feed = |path: &str| format!("[[feeds]]\npath = \"{path}\"\n");
    let case = Case::file(&feed("/etc/tcpcap/feeds/drop.txt"))
        .and_file("config.d/10.toml", "[[feeds]]\nname = \"mine\"\npath = \"/srv/drop.txt\"\n");
    let feeds = case.loaded().settings.feeds;
    let named: Vec<_> = feeds.iter().map(|f| (&*f.name, f.path.to_str().unwrap())).collect();
    assert_eq!(named, [("drop.txt", "/etc/tcpcap/feeds/drop.txt"), ("mine", "/srv/drop.txt")]);
}

#[test]
fn an_empty_variable_is_none_and_those_of_the_original_are_honoured_below_ours() {
    let case = Case::file("mode = \"native\"\n").variable("TCPCAP_MODE", "").variable("TCPCAP_OBSERVE", "");
    assert_eq!(case.loaded().settings.mode, ModeChoice::Native);
    let case = case.variable("INTERFACE_NAME", "eth7,eth8").variable("PUBLIC_IP", "203.0.113.5");
    assert_eq!(case.effective("interfaces"), ("[\"eth7\", \"eth8\"]".to_owned(), "INTERFACE_NAME".to_owned()));
    let case = case.variable("TCPCAP_INTERFACES", "eth9").variable("TCPCAP_OWN", "203.0.113.6");
    assert_eq!(case.effective("interfaces"), ("[\"eth9\"]".to_owned(), "TCPCAP_INTERFACES".to_owned()));
    let own = ("[\"203.0.113.5/32\", \"203.0.113.6/32\"]".to_owned(), "PUBLIC_IP, TCPCAP_OWN".to_owned());
    assert_eq!(case.effective("own"), own);
}

#[test]
fn a_switch_is_taken_back_by_the_command_line() {
    let case = Case::file("observe = true\n");
    assert!(case.loaded().settings.judging.observe);
    assert!(!case.flags(&["--observe=false"]).loaded().settings.judging.observe);
    assert!(Case::default().flags(&["--observe"]).loaded().settings.judging.observe);
    assert!(Case::default().variable("TCPCAP_OBSERVE", "1").loaded().settings.judging.observe);
}

#[test]
fn a_threshold_may_be_set_or_switched_off_and_the_others_stay_the_presets_wherever_that_is_named() {
    let case = Case::file("[detect.port_scan]\nburst = 100\nlong = \"off\"\n[detect.brute_force]\nports = [8022]\n")
        .flags(&["--preset", "relaxed"]);
    let t = case.loaded().settings.judging.thresholds;
    let relaxed = Thresholds::of(Preset::Relaxed);
    assert_eq!((t.port_scan.burst_pairs, t.port_scan.long_pairs), (Some(100), None));
    assert_eq!(t.brute_force.more_ports, [8022, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        (t.port_scan.fast_score, t.stealth, t.flood),
        (relaxed.port_scan.fast_score, relaxed.stealth, relaxed.flood)
    );
    assert_eq!(case.effective("detect.port_scan.fast"), ("36".to_owned(), "follows preset".to_owned()));
    assert_eq!(case.effective("detect.port_scan.burst"), ("100".to_owned(), "DIR/config.toml:2".to_owned()));
}

#[test]
fn every_rule_has_a_table() {
    let text = "[detect]\nstealth.probes = 1\nstray = { refused = 2, unanswered = 3 }\nflood = { target = 4, source = 5 }\n\
                fan_out.pairs = 6\nbrute_force.attempts = 12\n\
                port_scan = { fast = 7, medium = 8, abandoned = 9, abandoned_sweep = 10, open = 11 }\n";
    let t = Case::file(text).loaded().settings.judging.thresholds;
    let p = t.port_scan;
    assert_eq!((t.stealth.probes, t.stray.refused_pairs, t.stray.unanswered_pairs), (Some(1), Some(2), Some(3)));
    assert_eq!((t.flood.half_open, t.flood.half_open_of_source, t.fan_out.pairs), (Some(4), Some(5), Some(6)));
    assert_eq!((p.fast_score, p.medium_pairs, p.abandoned_pairs), (Some(7), Some(8), Some(9)));
    assert_eq!((p.abandoned_targets, p.open_ports, t.brute_force.attempts), (Some(10), Some(11), Some(12)));
}

#[test]
fn unverified_sources_get_half_of_the_blocks_unless_told_otherwise() {
    let caps = |text: &str| Case::file(&format!("[caps]\n{text}\n")).loaded().settings.judging.caps;
    assert_eq!(caps(""), Caps::default());
    assert_eq!(caps("blocks = 11\nper_minute = 5"), Caps { entries: 11, unverified: 6, per_minute: 5 });
    assert_eq!(caps("unverified = 3\nblocks = 11").unverified, 3);
    let case = Case::file("caps.blocks = 11\n");
    assert_eq!(case.effective("caps.unverified"), ("6".to_owned(), "follows caps.blocks".to_owned()));
}

#[test]
fn each_key_of_the_parts_is_taken() {
    let text = "protect = { ssh_ports = [22, 8022], session_linger = \"0s\" }\n\
                history = { max_age = \"7days\", max_size = \"64 MiB\" }\nhttp.hosts = [\"sensor.example.org\"]\n\
                [mirror.nftables]\ntable = \"a_1\"\nhook = \"input\"\npriority = -5\nnft = \"/opt/nft\"\ninclude_feeds = true\n";
    let s = Case::file(text).loaded().settings;
    assert_eq!((s.protect.ports.as_slice(), s.protect.linger), ([22, 8022].as_slice(), Duration::ZERO));
    assert_eq!((s.history.age, s.history.bytes), (Duration::from_secs(7 * 86_400), 64 << 20));
    assert_eq!(s.http_hosts, ["sensor.example.org"]);
    assert_eq!(s.mirror.wanted(), None, "not unless it is enabled");
    let config = &s.mirror.config;
    assert_eq!((&*config.table, config.hook, config.priority), ("a_1", Hook::Input, -5));
    assert_eq!((config.nft.to_str(), config.include_feeds), (Some("/opt/nft"), true));
    let enabled = Case::file("mirror.nftables.enabled = true\n").loaded().settings;
    assert_eq!(enabled.mirror.wanted(), Some(&crate::mirror::Config::default()));
}
