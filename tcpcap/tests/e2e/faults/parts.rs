//! Parts of the daemon that fail: the mirror in nftables, the history. Neither disturbs what happens at the card.

use std::{fs, io::Write, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use tcpcap_common::Addr;
use tcpcap_lab::{Internet, Process, layout::CARD, wait_until};
use tempfile::TempDir;

use super::{Config, blocks, forged, ip, scan};
use crate::sensor::{SOON, Sensor, tcpcap};

fn healthy(sensor: &Sensor, part: &str, healthy: bool) {
    let wanted = f64::from(u8::from(healthy));
    sensor.metrics(&format!("{part} healthy: {healthy}"), |m| {
        m.get("tcpcap_part_healthy", &[("part", part)]) == Some(wanted)
    });
}

/// Blocks one more scanner, which the card drops at once.
fn another(net: &Internet, sensor: &mut Sensor, n: u8) {
    scan(net, forged(n));
    sensor.says(&[&format!("Blocked 203.0.113.{n} for 10 min")]);
    let blocks = blocks(&net.sensor);
    let dropped = || blocks.get(Addr::from(ip(forged(n)))).map(|block| block.packets);
    let before = dropped().unwrap();
    scan(net, forged(n));
    assert_eq!(dropped(), Some(before + 100));
}

fn nft(net: &Internet, args: &[&str]) -> String {
    let mut command = net.sensor.command("nft");
    command.args(args);
    let mut nft = Process::spawn("nft", command).unwrap();
    nft.wait(SOON).unwrap();
    nft.output()
}

fn mirrored(net: &Internet, sources: &[u8]) {
    wait_until("the mirror", SOON, || {
        let table = nft(net, &["list", "table", "inet", "tcpcap"]);
        sources.iter().all(|n| table.contains(&forged(*n).to_string()))
    })
    .unwrap();
}

#[test]
fn an_nft_that_is_missing_fails_hangs_or_forgets_does_not_disturb_the_card() {
    let net = Internet::build().unwrap();
    let config = Config::new("");
    let path = config.0.path().join("nft");
    let script = |text: &str| {
        let draft = config.file("script", &format!("#!/bin/sh\n{text}\n"));
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(draft, &path).unwrap();
    };
    let real = "exec nft \"$@\"";
    config.write(&format!("[mirror.nftables]\nenabled = true\nnft = \"{}\"\n", path.display()));

    let mut sensor = config.start(&net.sensor);
    healthy(&sensor, "mirror", false);
    sensor.says(&["WARN", "the mirror is degraded: cannot run"]);
    another(&net, &mut sensor, 80);
    script(real);
    healthy(&sensor, "mirror", true);
    mirrored(&net, &[80]);

    script("echo 'Error: out of luck' >&2; exit 1");
    another(&net, &mut sensor, 81);
    healthy(&sensor, "mirror", false);
    sensor.says(&["WARN", "the mirror is degraded:", "out of luck"]);
    script(real);
    healthy(&sensor, "mirror", true);
    mirrored(&net, &[80, 81]);

    script(&format!("touch {0}/asked; sleep 3; {real}", config.0.path().display()));
    another(&net, &mut sensor, 82);
    wait_until("a slow run", SOON, || config.0.path().join("asked").exists()).unwrap();
    another(&net, &mut sensor, 83);
    mirrored(&net, &[82, 83]);
    healthy(&sensor, "mirror", true);

    script(real);
    nft(&net, &["flush", "ruleset"]);
    another(&net, &mut sensor, 84);
    mirrored(&net, &[80, 81, 82, 83, 84]);
    healthy(&sensor, "mirror", true);
    let metrics = sensor.metrics("errors", |m| m.count("tcpcap_backend_errors_total", &[("backend", "nftables")]) >= 2);
    assert_eq!(metrics.count("tcpcap_backend_errors_total", &[("backend", "xdp")]), 0);
    sensor.stop();
}

/// Takes all the room there is.
fn fill(ballast: &Path) {
    let mut file = fs::File::create(ballast).unwrap();
    while file.write_all(&[0; 4096]).is_ok() {}
    while file.write_all(&[0]).is_ok() {}
}

#[test]
fn a_full_disk_costs_the_history_and_no_block_and_is_written_again_once_there_is_room() {
    let net = Internet::build().unwrap();
    let state = Arc::new(TempDir::new().unwrap());
    let disk = state.path().to_str().unwrap();
    let socket = format!("{disk}/tcpcap.sock");
    let run = tcpcap(&net.sensor, &["run", "--iface", CARD, "--state", disk, "--socket", &socket]);
    let mut command = net.sensor.command("unshare");
    command.args(["--mount", "sh", "-c"]);
    command.arg(format!("mount -t tmpfs -o size=2m none {disk} && exec nsenter \"$@\""));
    command.arg("sh").args(run.get_args());
    let mut process = Process::spawn("tcpcap", command).unwrap();
    process.wait_for_line(SOON, |l| l.contains("tcpcap ready")).unwrap();
    // Its own view of the directory.
    let ballast = Path::new("/proc").join(process.id().to_string()).join("root").join(&disk[1..]).join("ballast");
    let mut sensor = Sensor { process, namespace: net.sensor.clone(), state: Arc::clone(&state) };
    healthy(&sensor, "history", true);
    another(&net, &mut sensor, 80);
    fill(&ballast);
    (100..200).for_each(|n| scan(&net, forged(n)));
    healthy(&sensor, "history", false);
    another(&net, &mut sensor, 81);
    fs::remove_file(&ballast).unwrap();
    healthy(&sensor, "history", true);
    another(&net, &mut sensor, 82);
    let metrics = sensor.metrics("the file", |m| m.get("tcpcap_history_bytes", &[]).is_some_and(|bytes| bytes > 0.0));
    assert_eq!(metrics.count("tcpcap_blocks", &[("origin", "automatic")]), 103);
    sensor.stop();
}
