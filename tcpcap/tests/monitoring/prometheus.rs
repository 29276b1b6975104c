//! A Prometheus beside the daemon, with what stands in `deploy/prometheus`.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use tcpcap_lab::{Namespace, Process, wait_for, wait_until};
use tempfile::TempDir;

use crate::panels::{deploy, text};

/// Long against everything waited for, so that a slow machine fails nothing.
pub const SOON: Duration = Duration::from_secs(60);

/// How often it scrapes and judges here, instead of every 15 s.
const INTERVAL: &str = "1s";

/// By how much `for:` is shortened here: what is to be so for a minute in earnest is to be so for half a second.
const HASTE: u32 = 120;

/// But not to less: on a busy machine a scrape may come late.
const SHORTEST: Duration = Duration::from_secs(4);

/// Where it listens, in its namespace.
const ADDRESS: &str = "127.0.0.1:9090";

pub struct Prometheus {
    namespace: Namespace,
    process: Process,
    _dir: TempDir,
}

/// An alert, as Prometheus tells of it.
#[derive(Clone, Debug)]
pub struct Told {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub description: String,
    pub firing: bool,
}

/// Our configuration with another interval, and our rules with shorter waiting: nothing else is different.
fn hasten(dir: &Path) -> std::path::PathBuf {
    let read = |file: &str| -> Value { serde_saphyr::from_str(&text(&deploy("prometheus").join(file))).unwrap() };
    let mut config = read("prometheus.yml");
    for key in ["scrape_interval", "scrape_timeout", "evaluation_interval"] {
        config["global"][key] = json!(INTERVAL);
    }
    let mut rules = read("alerts.yml");
    for group in rules["groups"].as_array_mut().unwrap() {
        for rule in group["rules"].as_array_mut().unwrap() {
            if let Some(hold) = rule.get_mut("for") {
                let hold_for = humantime::parse_duration(hold.as_str().unwrap()).unwrap();
                *hold = json!(format!("{}s", (hold_for / HASTE).max(SHORTEST).as_secs()));
            }
        }
    }
    // JSON is YAML.
    fs::write(dir.join("alerts.yml"), rules.to_string()).unwrap();
    fs::write(dir.join("prometheus.yml"), config.to_string()).unwrap();
    dir.join("prometheus.yml")
}

/// Header and body. In HTTP/1.0, so that a long one comes in one piece.
fn fetch(path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(ADDRESS)?;
    stream.set_read_timeout(Some(SOON))?;
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

impl Prometheus {
    /// Starts it, and waits until it has scraped a daemon.
    pub fn start(namespace: &Namespace) -> Self {
        let prometheus = Self::launch(namespace, TempDir::new().unwrap());
        prometheus.wait_for("a scrape", || !prometheus.query("up{job=\"tcpcap\"} == 1").is_empty());
        prometheus
    }

    /// Starts it with the example of many hosts where its configuration looks for such, and waits until it knows them;
    /// returns where each is scraped, and what it is called.
    pub fn start_for_many(namespace: &Namespace) -> (Self, BTreeMap<String, String>) {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("targets")).unwrap();
        fs::copy(deploy("prometheus/targets/example.yml.off"), dir.path().join("targets/hosts.yml")).unwrap();
        let prometheus = Self::launch(namespace, dir);
        let known = || -> BTreeMap<String, String> {
            let data = prometheus.ask("targets", None).unwrap_or_else(|| json!({ "activeTargets": [] }));
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let target = |target: &Value| (text(&target["scrapeUrl"]), text(&target["labels"]["instance"]));
            data["activeTargets"].as_array().unwrap().iter().map(target).collect()
        };
        prometheus.wait_for("its targets", || known().len() > 1);
        let known = known();
        (prometheus, known)
    }

    fn launch(namespace: &Namespace, dir: TempDir) -> Self {
        let mut command = namespace.command("prometheus");
        command
            .arg(format!("--config.file={}", hasten(dir.path()).display()))
            .arg(format!("--storage.tsdb.path={}", dir.path().join("data").display()))
            .args([&format!("--web.listen-address={ADDRESS}"), "--log.level=warn"]);
        let process = Process::spawn("prometheus", command).unwrap();
        Self { namespace: namespace.clone(), process, _dir: dir }
    }

    /// Waits until something holds; if it never does, says what Prometheus and its alerts said.
    fn wait_for(&self, what: &str, holds: impl FnMut() -> bool) {
        if let Err(error) = wait_until(what, SOON, holds) {
            panic!("{error:#}; alerts: {:#?}\nprometheus: {}", self.alerts(), self.process.output());
        }
    }

    /// What it answers; none while it does not.
    fn ask(&self, path: &str, query: Option<&str>) -> Option<Value> {
        let query = query
            .map(|query| url::form_urlencoded::Serializer::new("?".to_owned()).append_pair("query", query).finish());
        let path = format!("/api/v1/{path}{}", query.unwrap_or_default());
        let text = self.namespace.enter(|| fetch(&path)).unwrap().ok()?;
        let answer: Value = serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()?;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        Some(answer["data"].clone())
    }

    /// What a query finds now: one value a series.
    pub fn query(&self, query: &str) -> Vec<Value> {
        let data = self.ask("query", Some(query));
        data.map_or_else(Vec::new, |data| data["result"].as_array().unwrap().clone())
    }

    /// All alerts that fire or are about to.
    pub fn alerts(&self) -> Vec<Told> {
        let data = self.ask("alerts", None).unwrap_or_else(|| json!({ "alerts": [] }));
        let told = |alert: &Value| {
            let labels: BTreeMap<String, String> = serde_json::from_value(alert["labels"].clone()).unwrap();
            let description = alert["annotations"]["description"].as_str().unwrap().to_owned();
            Told { name: labels["alertname"].clone(), labels, description, firing: alert["state"] == "firing" }
        };
        data["alerts"].as_array().unwrap().iter().map(told).collect()
    }

    /// The names of all that fire.
    pub fn firing(&self) -> Vec<String> {
        self.alerts().into_iter().filter(|alert| alert.firing).map(|alert| alert.name).collect()
    }

    /// Waits until an alert fires.
    pub fn fires(&self, name: &str) -> Told {
        let firing = || self.alerts().into_iter().find(|alert| alert.firing && alert.name == name);
        self.wait_for(&format!("{name} to fire"), || firing().is_some());
        let told = wait_for(name, SOON, firing).unwrap();
        assert_eq!(told.labels["job"], "tcpcap");
        assert_eq!(told.labels["instance"], "127.0.0.1");
        told
    }

    /// Waits until an alert is over.
    pub fn is_over(&self, name: &str) {
        self.wait_for(&format!("the end of {name}"), || self.alerts().iter().all(|alert| alert.name != name));
    }

    /// Waits until it has scraped so many times.
    pub fn has_scraped(&self, times: u32) {
        let query = format!("count_over_time(up{{job=\"tcpcap\"}}[1h]) >= {times}");
        self.wait_for("scrapes", || !self.query(&query).is_empty());
    }

    /// All rules, each of which must have been judged without an error.
    pub fn judges_every_rule(&self) -> usize {
        let groups = |data: &Value| data["groups"].as_array().unwrap().clone();
        let rules = || -> Vec<Value> {
            let all = self.ask("rules", None).map_or_else(Vec::new, |data| groups(&data));
            all.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
        };
        self.wait_for("the rules", || !rules().is_empty() && rules().iter().all(|rule| rule["health"] == "ok"));
        rules().len()
    }
}
