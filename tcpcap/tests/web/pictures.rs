//! The pictures of the documentation: `cargo test -p tcpcap --test web -- --ignored pictures`.

use std::{fs, path::Path, process::Command, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use tcpcap_lab::{
    Internet, Process,
    http::{Client, Server},
    layout::{SENSOR_V4, SENSOR_V6},
    scan::{Masscan, nmap},
};

use crate::{
    browser::Browser,
    sensor::{SOON, Sensor},
};

/// As much of the page as a picture shows, pixels.
const HIGHEST: u64 = 1800;

/// As much as a picture may take, bytes.
const LARGEST: u64 = 150_000;

#[test]
#[ignore = "takes two minutes, and changes files"]
fn pictures() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[22, 80, 443]).unwrap();
    let files = tempfile::TempDir::new().unwrap();
    let feed = files.path().join("drop.txt");
    let entries: String = (0..1204).map(|n| format!("100.{}.{}.0/24\n", 64 + n / 256, n % 256)).collect();
    fs::write(&feed, entries).unwrap();
    let config = files.path().join("config.toml");
    fs::write(&config, format!("[[feeds]]\npath = \"{}\"\n", feed.display())).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--config", config.to_str().unwrap(), "--allow", "192.0.2.240/28"]);
    let _honest = Client::start(&net.client, &[(SENSOR_V4, 80).into()], Duration::from_millis(400)).unwrap();
    let browser = Browser::open(&net.sensor);
    browser.visit("/");

    let fast = |ports: &str, rate: u32| {
        let source = net.fresh_source().unwrap().v4.into();
        let scan = Masscan { source, target: SENSOR_V4.into(), ports, rate };
        Process::spawn("masscan", scan.command(&net).unwrap()).unwrap()
    };
    let careful = |args: &[&str]| {
        let mut command = nmap(&net, net.fresh_source().unwrap().v4.into());
        command.args(args).arg(SENSOR_V4.to_string());
        Process::spawn("nmap", command).unwrap()
    };
    let told = |args: &[&str]| assert_eq!(sensor.ask(args).0, 0, "{args:?}");
    told(&["block", "198.18.7.0/24", "--reason", "sells scans"]);
    let paced = |ports: &str, rate: u32| {
        let source = net.fresh_source().unwrap().v4.into();
        Masscan { source, target: SENSOR_V4.into(), ports, rate }.run(&net, Duration::from_secs(120)).unwrap();
    };
    let _steady = fast("1-65535", 60);
    paced("1-1500", 150);
    let _odd = careful(&["-sX", "-p1-2000", "--max-rate", "25"]);
    paced("1-1200", 80);
    told(&["block", "192.0.2.77", "--for", "6h", "--reason", "guesses passwords"]);
    let _slow = careful(&["-sS", "-p1-3000", "--max-rate", "40"]);
    paced("1-4000", 320);
    let v6 =
        Masscan { source: net.fresh_source().unwrap().v6.into(), target: SENSOR_V6.into(), ports: "1-900", rate: 90 };
    v6.run(&net, SOON).unwrap();
    paced("1-1000", 50);
    let _late = fast("1-9000", 210);
    let last = net.fresh_source().unwrap().v4;
    Masscan { source: last.into(), target: SENSOR_V4.into(), ports: "1-1000", rate: 100 }.run(&net, SOON).unwrap();

    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    fs::create_dir_all(&directory).unwrap();
    let story = format!("/#/address/{last}");
    for (name, view, theme, width, height) in [
        ("web-light", "/", "light", 1440, 900),
        ("web-dark", "/", "dark", 1440, 900),
        ("web-phone-light", "/", "light", 390, 844),
        ("web-phone-dark", &*story, "dark", 390, 844),
    ] {
        browser.theme(theme);
        browser.resize(width, height);
        browser.visit(view);
        match view {
            "/" => browser.shows("#sources-rows", " dropped"),
            _ => browser.shows("#story-past", "Port scan"),
        }
        save(&browser, &directory.join(format!("{name}.png")));
    }
    assert_eq!(browser.complaints(), [""; 0]);
}

/// Saves the page, with as few colours as show it well.
fn save(browser: &Browser, file: &Path) {
    fs::write(file, STANDARD.decode(browser.picture(HIGHEST)).unwrap()).unwrap();
    let mut command = Command::new("pngquant");
    command.args(["--force", "--nofs", "--strip", "--speed=1", "--output"]).arg(file).arg("48").arg(file);
    Process::spawn("pngquant", command).unwrap().succeed(SOON).unwrap();
    let size = fs::metadata(file).unwrap().len();
    assert!(size < LARGEST, "{} has {size} bytes", file.display());
}
