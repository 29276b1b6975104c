//! Readable for everybody: on a phone, in the dark, by keyboard, by ear.

use serde_json::{Value, json};
use tcpcap_lab::{Internet, http::Server};

use crate::{
    browser::{Browser, key},
    live::{SCANNER, scan},
    sensor::Sensor,
};

/// The two views, with something in them.
const VIEWS: [&str; 2] = ["/", "/#/address/203.0.113.1"];

/// Texts that do not stand out by 4.5 to 1 against what is behind them, as `text: ratio`.
const FAINT: &str = r"
    const channels = (color) => (color.match(/[\d.]+/g) ?? []).map(Number);
    const light = ([r, g, b]) => {
        const [x, y, z] = [r, g, b].map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
        return 0.2126 * x + 0.7152 * y + 0.0722 * z;
    };
    const behind = (element) => {
        for (let e = element; e; e = e.parentElement) {
            const [r, g, b, a = 1] = channels(getComputedStyle(e).backgroundColor);
            if (a === 1) return [r, g, b];
        }
        return [255, 255, 255];
    };
    const ground = behind(document.body);
    const ratio = (element, ink) => {
        let fade = 1;
        for (let e = element; e; e = e.parentElement) fade *= Number(getComputedStyle(e).opacity);
        const faded = (color) => light(color.map((c, n) => c * fade + ground[n] * (1 - fade)));
        const [a, b] = [faded(channels(ink).slice(0, 3)), faded(behind(element))].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05);
    };
    const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    let seen = 0;
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || element.closest('script, style') || !element.checkVisibility()) continue;
        const style = getComputedStyle(element);
        const stands = ratio(element, element instanceof SVGElement ? style.fill : style.color);
        seen += 1;
        if (stands < 4.5) faint.push(`${walker.currentNode.textContent}: ${stands}`);
    }
    for (const input of document.querySelectorAll('input[placeholder]')) {
        if (ratio(input, getComputedStyle(input, '::placeholder').color) < 4.5) faint.push(input.id);
    }
    return { seen, faint };
";

/// Has every text in sight stand out, in both themes.
pub fn stands_out(browser: &Browser, view: &str) {
    for theme in ["light", "dark"] {
        browser.theme(theme);
        let found = browser.run(FAINT);
        assert_eq!(found["faint"], json!([]), "{view}, {theme}");
        assert!(found["seen"].as_u64() > Some(40), "{view}: {found}");
    }
}

/// What can be worked with, as far as it is to be seen; of a group of choices the one that is made.
const WORKABLE: &str = "
    return [...document.querySelectorAll('a[href], button, input, summary, [tabindex=\"0\"]')]
        .filter((e) => e.checkVisibility() && !(e.type === 'radio' && !e.checked)).length";

/// Numbers what has the focus; `null` where it was before, and where the focus has left the page.
const FOCUSED: &str = "
    const e = document.activeElement;
    if (e === document.body || e.dataset.visited) return null;
    e.dataset.visited = 1;
    const marked = [e, e.nextElementSibling].some((m) => m && getComputedStyle(m).outlineStyle === 'solid');
    return marked ? 'marked' : `not marked: ${e.outerHTML}`";

/// Nothing has the focus, and nothing had it.
const AFRESH: &str = "
    document.activeElement.blur();
    for (const e of document.querySelectorAll('[data-visited]')) delete e.dataset.visited;";

fn scanned(test: impl FnOnce(&Browser)) {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let sensor = Sensor::start(&net.sensor, &["--deny", "198.18.0.0/15"]);
    scan(&net, SCANNER.parse().unwrap(), "1000-1999");
    let v6 = net.first_scanner().v6;
    scan(&net, v6.into(), "1000-1999");
    assert_eq!(sensor.ask(&["block", "192.0.2.99", "--for", "1h", "--reason", &"longer than a line ".repeat(9)]).0, 0);
    let browser = Browser::open(&net.sensor);
    test(&browser);
    assert_eq!(browser.complaints(), [""; 0]);
}

fn views(browser: &Browser, look: impl Fn(&str)) {
    for view in VIEWS {
        browser.visit(view);
        let shown = if view == "/" { "#blocks-rows" } else { "#story-past" };
        browser.shows(shown, "Port scan");
        browser.run("for (const more of document.querySelectorAll('details')) more.open = true");
        look(view);
    }
}

#[test]
fn nothing_is_wider_than_the_narrowest_phone_or_the_screen() {
    scanned(|browser| {
        for (width, height) in [(320, 640), (390, 844), (768, 1024), (1440, 900)] {
            browser.resize(width, height);
            views(browser, |view| {
                let widths = browser.run("return [innerWidth, document.documentElement.scrollWidth]");
                assert_eq!(widths, json!([width, width]), "{view}");
                let cut = "return [...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).map((e) => e.className + e.scrollWidth)";
                assert_eq!(browser.run(cut), json!([]), "{view} at {width}");
            });
        }
    });
}

#[test]
fn light_and_dark_follow_the_viewer_and_every_text_stands_out() {
    scanned(|browser| {
        browser.visit("/");
        for (theme, color) in [("light", "rgb(244, 246, 248)"), ("dark", "rgb(14, 19, 24)")] {
            browser.theme(theme);
            assert_eq!(browser.run("return getComputedStyle(document.body).backgroundColor"), color);
        }
        views(browser, |view| stands_out(browser, view));
    });
}

#[test]
fn everything_is_reached_by_tab_with_a_mark_and_has_a_name() {
    scanned(|browser| {
        views(browser, |view| {
            // The page goes on meanwhile: counted first, so that what is new is no fault.
            let workable = browser.run(WORKABLE).as_u64().unwrap();
            browser.run(AFRESH);
            let mut reached = 0;
            for _ in 0..workable + 5 {
                browser.press(key::TAB);
                match browser.run(FOCUSED) {
                    Value::String(how) if how == "marked" => reached += 1,
                    Value::Null => {}
                    other => panic!("{view}: {other}"),
                }
            }
            assert!(reached >= workable, "{view}: {reached} of {workable}");
            let tree = browser.devtools("Accessibility.getFullAXTree", &json!({}));
            let nodes = tree["nodes"].as_array().unwrap();
            let is_focusable = |node: &&Value| {
                node["properties"].as_array().is_some_and(|all| {
                    all.iter().any(|property| property["name"] == "focusable" && property["value"]["value"] == true)
                })
            };
            let focusable: Vec<_> = nodes.iter().filter(|node| node["ignored"] == false).filter(is_focusable).collect();
            assert!(focusable.len() as u64 >= workable, "{view}");
            for node in focusable {
                let name = node["name"]["value"].as_str().unwrap_or_default();
                assert!(!name.is_empty() || node["role"]["value"] == "main", "{view}: {node}");
            }
            for role in ["banner", "main", "contentinfo", "search", "heading"] {
                assert!(nodes.iter().any(|node| node["role"]["value"] == role), "{view}: {role}");
            }
        });
    });
}

#[test]
fn the_chart_is_read_by_keyboard_and_as_a_table() {
    scanned(|browser| {
        browser.visit("/");
        browser.until(
            "what came",
            r"return /^In .*: [1-9]\d+ attempts, 1,\d+ packets dropped, 2 findings$/.test(readout.textContent)",
        );
        browser.run("charts.focus()");
        let told = || browser.run("return charts.getAttribute('aria-valuetext')").as_str().unwrap().to_owned();
        browser.press(key::HOME);
        browser.until("a moment's figures", r"return /^\d\d:\d\d:\d\d: /.test(charts.getAttribute('aria-valuetext'))");
        assert_eq!(told(), browser.text("#readout"));
        browser.press(key::ESCAPE);
        browser.until("all figures", "return readout.textContent.startsWith('In ')");
        browser.click("#figures summary");
        browser.until("rows", r"return [...document.querySelectorAll('#figures-rows tr')].some((e) => /^\d\d:\d\d\t[1-9]\d+\t0\t[\d,]+\t[12]\t[12]$/.test(e.innerText))");
        browser.click("input[value=minutes]");
        browser.shows("#attempts-name", "Attempts per minute");
        browser.until(
            "the same of a day",
            r"return /^In .*: [1-9]\d+ attempts, 1,\d+ packets dropped, 2 findings$/.test(readout.textContent)",
        );
    });
}

#[test]
fn without_scripts_the_page_says_what_to_type_instead() {
    let net = Internet::build().unwrap();
    let _sensor = Sensor::start(&net.sensor, &[]);
    let browser = Browser::open(&net.sensor);
    browser.devtools("Emulation.setScriptExecutionDisabled", &json!({ "value": true }));
    browser.go("/");
    let tree = browser.devtools("Accessibility.getFullAXTree", &json!({})).to_string();
    assert!(tree.contains("This page needs JavaScript") && tree.contains("tcpcap status"), "{tree}");
    assert!(!tree.contains("Loading") && !tree.contains("Over time"), "{tree}");
}
