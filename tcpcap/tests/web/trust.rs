//! Nothing that somebody else chose becomes markup, and nobody lures a browser here.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
};

use tcpcap_lab::{Internet, Namespace};

use crate::{browser::Browser, sensor::Sensor};

const HOSTILE: &str = "<img src=x onerror=document.title='taken'><script>document.title='taken'</script>";

/// The whole answer to a request with this host.
fn answer(namespace: &Namespace, host: &str, path: &str) -> String {
    let asked = namespace.enter(|| {
        let mut stream = TcpStream::connect(("127.0.0.1", 2112))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text).map(|_| text)
    });
    asked.unwrap().unwrap()
}

#[test]
fn what_others_wrote_is_shown_as_text() {
    let net = Internet::build().unwrap();
    let feeds = tempfile::TempDir::new().unwrap();
    let feed = feeds.path().join("<b onmouseover=alert(1)>feed<b>.txt");
    fs::write(&feed, "10.9.0.0/16\nno address\n").unwrap();
    let config = feeds.path().join("config.toml");
    fs::write(&config, format!("[[feeds]]\npath = {:?}\n", feed.to_str().unwrap())).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--config", config.to_str().unwrap()]);
    assert_eq!(sensor.ask(&["block", "192.0.2.99", "--reason", HOSTILE]).0, 0);
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    browser.shows("#blocks-rows .why", &format!("Operator: {HOSTILE}"));
    browser.run("document.querySelector('#health details').open = true");
    browser.shows("#health-details", "<b onmouseover=alert(1)>feed<b>.txt: 1 entry, 1 bad line");
    browser.visit("/#/address/192.0.2.99");
    browser.shows("#story-now", HOSTILE);
    browser.shows("#story-past", HOSTILE);
    browser.visit("/#/address/10.9.1.1");
    browser.shows("#story-now", "Reason: Feed <b onmouseover=alert(1)>feed<b>.txt.");
    assert_eq!(browser.run("return document.querySelectorAll('img, b, main script').length"), 0);
    assert_eq!(browser.run("return document.title"), "10.9.1.1 – tcpcap");
    assert_eq!(browser.complaints(), [""; 0]);
}

#[test]
fn the_page_is_for_known_hosts_alone_and_carries_a_strict_policy() {
    let net = Internet::build().unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let config = directory.path().join("config.toml");
    fs::write(&config, "[http]\nhosts = [\"sensor.example\"]\n").unwrap();
    let _sensor = Sensor::start(&net.sensor, &["--config", config.to_str().unwrap()]);
    assert_eq!(answer(&net.sensor, "sensor.example:2112", "/").split("\r\n").next(), Some("HTTP/1.1 200 OK"));
    let page = answer(&net.sensor, "127.0.0.1:2112", "/");
    assert!(page.starts_with("HTTP/1.1 200 OK"), "{page}");
    let header = page.split("\r\n\r\n").next().unwrap().to_lowercase();
    for part in [
        "content-security-policy: default-src 'none'; script-src 'sha256-",
        "'; style-src 'sha256-",
        "'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        "x-frame-options: deny",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
        "cache-control: no-store",
    ] {
        assert!(header.contains(part), "{part}: {header}");
    }
    for path in ["/", "/api/v1/status"] {
        let refused = answer(&net.sensor, "evil.example", path);
        assert!(refused.starts_with("HTTP/1.1 421"), "{path}: {refused}");
        assert!(refused.contains("this host is not known as `evil.example`"), "{path}: {refused}");
    }
}

#[test]
fn a_script_that_got_into_the_page_would_not_run() {
    let net = Internet::build().unwrap();
    let _sensor = Sensor::start(&net.sensor, &[]);
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    assert_eq!(browser.complaints(), [""; 0]);
    browser
        .run("const s = document.createElement('script'); s.textContent = 'window.taken = 1'; document.body.append(s)");
    assert_eq!(browser.run("return window.taken ?? null"), serde_json::Value::Null);
    let log = browser.complaints();
    assert!(log.iter().any(|line| line.contains("Content Security Policy")), "{log:?}");
}
