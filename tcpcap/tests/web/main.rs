//! The web page in a real browser, over the real daemon, in a namespace. Needs root, and chromium with its driver.

mod address;
mod browser;
mod live;
mod looks;
mod pictures;
mod trust;

#[path = "../e2e/sensor.rs"]
#[allow(dead_code, reason = "these tests need less of it")]
mod sensor;
