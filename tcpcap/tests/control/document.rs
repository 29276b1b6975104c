//! The document that describes the calls, held against the calls.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::daemon::{Daemon, code, obeys};

const METHODS: [&str; 6] = ["GET", "POST", "DELETE", "PUT", "PATCH", "TRACE"];

/// The methods of each path.
pub(crate) fn calls(document: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let methods = |item: &Value| item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
    document["paths"].as_object().unwrap().iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// A path that somebody could ask.
pub(crate) fn filled(path: &str) -> String {
    path.replace("{address}", "192.0.2.7").replace("{network}", "192.0.2.0%2F24")
}

fn document(daemon: &Daemon) -> Value {
    let (status, document) = daemon.send("GET", "/api/v1/openapi.json", "");
    assert_eq!(status, 200);
    document
}

#[test]
fn each_documented_call_exists_and_no_other_does() {
    let daemon = Daemon::that(obeys);
    let calls = calls(&document(&daemon));
    assert!(calls.len() >= 13, "{calls:?}");
    for (path, documented) in &calls {
        for method in METHODS {
            // A stream without end is none with HEAD.
            let asked = if (method, path.as_str()) == ("GET", "/api/v1/events") { "HEAD" } else { method };
            let (head, body) = daemon.raw(asked, &filled(path));
            let exists = ![404, 405].contains(&code(&head));
            assert_eq!(exists, documented.contains(method), "{method} {path}: {head} {body}");
            if exists {
                continue;
            }
            let allowed = head.lines().find_map(|line| line.strip_prefix("allow: ")).unwrap_or_default();
            let mut expected = documented.clone();
            if documented.contains("GET") {
                expected.insert("HEAD".to_owned());
            }
            let allowed: BTreeSet<String> = allowed.split(',').map(str::to_uppercase).collect();
            assert_eq!(allowed, expected, "{method} {path}: {head}");
        }
    }
}

/// Every reference in a value.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(array) => array.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn the_document_refers_to_nothing_that_is_not_in_it_and_has_nothing_that_nobody_refers_to() {
    let document = document(&Daemon::that(obeys));
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let mut found = Vec::new();
    references(&document, &mut found);
    let missing: Vec<_> = found.iter().filter(|r| document.pointer(&r[1..]).is_none()).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for kind in ["schemas", "responses"] {
        for name in document["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            // Only the port sees browsers.
            assert!(found.contains(&&*reference) || name == "Status421", "{reference}");
        }
    }
}

#[test]
fn each_call_and_each_of_its_parameters_says_what_it_is_and_how_it_fails() {
    let document = document(&Daemon::that(obeys));
    let mut named = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, call) in item.as_object().unwrap() {
            let is_text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            assert!(is_text(&call["summary"]) && is_text(&call["operationId"]), "{method} {path}");
            assert!(named.insert(call["operationId"].to_string()), "{path}: {}", call["operationId"]);
            for parameter in call["parameters"].as_array().into_iter().flatten() {
                assert!(is_text(&parameter["description"]), "{method} {path}: {parameter}");
                assert_eq!(parameter["in"] == "path", path.contains('{'), "{method} {path}: {parameter}");
            }
            for (status, answer) in call["responses"].as_object().unwrap() {
                let refused = format!("#/components/responses/Status{status}");
                assert!(status == "200" || answer["$ref"] == *refused, "{method} {path} {status}: {answer}");
            }
        }
    }
    for (status, answer) in document["components"]["responses"].as_object().unwrap() {
        let schema = &answer["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(schema, "#/components/schemas/Refused", "{status}");
    }
}

/// What docs/api.md lists: lines such as "| `GET /api/v1/status` | … |".
#[test]
fn the_page_about_the_api_lists_each_call_and_no_other() {
    let page = include_str!("../../../docs/api.md");
    let listed: BTreeSet<String> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .filter_map(|line| line.split_once('`'))
        .map(|(call, _)| call.to_owned())
        .filter(|call| call.contains(" /api/"))
        .collect();
    let documented: BTreeSet<String> = calls(&document(&Daemon::that(obeys)))
        .into_iter()
        .flat_map(|(path, methods)| methods.into_iter().map(move |method| format!("{method} {path}")))
        .collect();
    assert_eq!(listed, documented);
}
