//! The story of an address: found by click, by keyboard and by its place.

use tcpcap_lab::{Internet, http::Server};

use crate::{
    browser::{Browser, key},
    live::{SCANNER, scan},
    sensor::Sensor,
};

#[test]
fn an_address_is_opened_by_click_by_search_and_by_its_place_and_left_again() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    scan(&net, SCANNER.parse().unwrap(), "1000-1999");
    let browser = Browser::open(&net.sensor);
    browser.visit("/");
    browser.shows("#blocks-rows", SCANNER);
    browser.click("#blocks-rows a");
    browser.shows("#story-title", SCANNER);
    browser.shows("#story-now", "All packets of 203.0.113.1 are dropped. Reason: Port scan.");
    browser.shows("#story-next", "Should a rule fire for it again, that block would last 20 min");
    browser.shows("#story-seen", "attempts, now ");
    browser.shows("#story-seen", "0 handshakes completed");
    browser.shows("#story-seen", "masscan");
    browser.shows("#story-past", "Port scan");
    browser.shows("#story-past", "Block began");
    browser.shows("#story-act", "tcpcap unblock 203.0.113.1");
    assert_eq!(browser.run("return document.activeElement.id"), "story-title", "the focus goes along");
    assert_eq!(browser.run("return document.title"), format!("{SCANNER} – tcpcap"));
    let left = browser.text("#story-now [data-ends]");
    let less = format!("return document.querySelector('#story-now [data-ends]').textContent !== {left:?}");
    browser.until("less time to be left", &less);

    assert_eq!(sensor.ask(&["unblock", SCANNER]).0, 0);
    browser.shows("#story-now", "It is free");
    browser.shows("#story-past", "Block lifted");
    browser.shows("#story-act", "tcpcap block 203.0.113.1 --for 1h");

    browser.click("#story a[href='#/']");
    browser.until("the overview", "return !overview.hidden && story.hidden");
    browser.run("document.querySelector('#sources-rows a').focus()");
    browser.press(key::ENTER);
    browser.shows("#story-title", SCANNER);

    browser.click("#address");
    browser.press("2001:db8::7");
    browser.press(key::ENTER);
    browser.shows("#story-title", "2001:db8::7");
    browser.shows("#story-now", "It is free");
    browser.shows("#story-seen", "Neither kernel nor detector remembers anything of it.");
    browser.shows("#story-source", "Counted and blocked as 2001:db8::/64");

    browser.visit("/#/address/198.51.100.1");
    browser.shows("#story-now", "It is never blocked: 198.51.100.1 is an address of this host.");
    browser.visit("/#/address/<b>nonsense</b>");
    browser.shows("#story-problem", "`<b>nonsense</b>` is no address");
    browser.shows("#story-problem", "Look up an address such as 192.0.2.7");
    let log = browser.complaints();
    assert!(log.iter().all(|line| line.contains("/explain/") && line.contains("400")), "{log:?}");
}

#[test]
fn a_command_is_copied_as_it_stands() {
    let net = Internet::build().unwrap();
    let sensor = Sensor::start(&net.sensor, &[]);
    assert_eq!(sensor.ask(&["block", "192.0.2.64/26"]).0, 0);
    let browser = Browser::open(&net.sensor);
    let grant = serde_json::json!({ "permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"] });
    browser.devtools("Browser.grantPermissions", &grant);
    browser.visit("/#/address/192.0.2.64");
    browser.shows("#story-act li", "tcpcap unblock 192.0.2.64/26");
    browser.click("#story-act button");
    browser.shows("#story-act .copied", "Copied");
    browser.run("navigator.clipboard.readText().then((text) => { window.got = text; })");
    assert_eq!(browser.wait_for("the clipboard", "return window.got ?? null"), "tcpcap unblock 192.0.2.64/26");
}
