//! What nft says it holds.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::Deserialize;
use serde_json::Value;
use tcpcap_core::Time;

use super::{
    Config,
    layout::{ANY_MARKER, CHAIN, Elements, MARKER, Mode, NEVER, Role, SetId},
    plan::Held,
};

/// A table of our name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// It is ours.
    Ours(Held),
    /// Somebody else made it; what shows that.
    Foreign(String),
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

/// Of other kinds of object nothing is read.
#[derive(Deserialize)]
struct Object {
    table: Option<Table>,
    chain: Option<Chain>,
    rule: Option<Rule>,
    set: Option<Set>,
}

#[derive(Deserialize)]
struct Table {
    name: String,
}

#[derive(Deserialize)]
struct Chain {
    name: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    hook: Option<String>,
    prio: Option<i64>,
    policy: Option<String>,
}

#[derive(Deserialize)]
struct Rule {
    comment: Option<String>,
    #[serde(default)]
    expr: Vec<Value>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(rename = "type")]
    kind: Value,
    #[serde(default)]
    flags: Value,
    #[serde(default)]
    elem: Vec<Element>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Timed { elem: Timed },
    Plain(Key),
    Other(serde::de::IgnoredAny),
}

#[derive(Deserialize)]
struct Timed {
    val: Key,
    timeout: Option<u64>,
    expires: Option<u64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Key {
    Address(IpAddr),
    Prefix { prefix: Prefix },
}

#[derive(Deserialize)]
struct Prefix {
    addr: IpAddr,
    len: u8,
}

impl Key {
    fn network(&self) -> Option<IpNet> {
        match self {
            Self::Address(address) => Some((*address).into()),
            Self::Prefix { prefix } => IpNet::new(prefix.addr, prefix.len).ok(),
        }
    }
}

/// Whether `nft -j list tables` lists ours.
///
/// # Errors
/// It is no such listing.
pub(super) fn lists(text: &[u8], config: &Config) -> serde_json::Result<bool> {
    let listing: Listing = serde_json::from_slice(text)?;
    Ok(listing.nftables.iter().filter_map(|object| object.table.as_ref()).any(|table| table.name == config.table))
}

/// Reads `nft -j list table`. A table without our mark is ours only if we know that we made it.
///
/// # Errors
/// It is no such listing.
pub(super) fn read(text: &[u8], config: &Config, known: bool, now: Time) -> serde_json::Result<Found> {
    let listing: Listing = serde_json::from_slice(text)?;
    let mut held = Held { table: true, ..Held::default() };
    let mut rules = Vec::new();
    for object in listing.nftables {
        if let Some(chain) = object.chain {
            if chain.name != CHAIN {
                return Ok(Found::Foreign(format!("it has a chain `{}`", chain.name)));
            }
            held.chain = is_in_place(&chain, config);
        }
        rules.extend(object.rule);
        if let Some(set) = object.set
            && let Some(id) = SetId::named(&set.name)
        {
            held.misshapen |= !is_shaped(&set, id);
            let (elements, odd) = elements(&set.elem, id, now);
            if odd {
                held.odd.insert(id);
            }
            held.sets.insert(id, elements);
        }
    }
    let marks: Vec<&str> = rules.iter().filter_map(|r| r.comment.as_deref()).collect();
    if !known && !marks.iter().any(|mark| mark.starts_with(ANY_MARKER)) {
        return Ok(Found::Foreign("no rule in it bears tcpcap's mark".to_owned()));
    }
    let current = format!("{MARKER}: ");
    held.misshapen |= marks.iter().any(|mark| mark.starts_with(ANY_MARKER) && !mark.starts_with(&current));
    held.rules = [Mode::Enforce, Mode::Observe].into_iter().find(|mode| are_rules(&rules, *mode));
    Ok(Found::Ours(held))
}

fn is_in_place(chain: &Chain, config: &Config) -> bool {
    chain.kind.as_deref() == Some("filter")
        && chain.hook.as_deref() == Some(config.hook.name())
        && chain.prio == Some(config.priority.into())
        && chain.policy.as_deref() == Some("accept")
}

fn is_shaped(set: &Set, id: SetId) -> bool {
    let has = |flag: &str| match &set.flags {
        Value::Array(flags) => flags.iter().any(|f| f == flag),
        one => one == flag,
    };
    set.kind == (if id.is_v6() { "ipv6_addr" } else { "ipv4_addr" })
        && has("interval") == id.is_interval()
        && has("timeout") == id.has_timeout()
}

/// Known by their comments and verdicts: how nft words the rest depends on its version.
fn are_rules(rules: &[Rule], mode: Mode) -> bool {
    rules.len() == SetId::all().count()
        && rules.iter().zip(SetId::all()).all(|(rule, id)| {
            let verdict = if id.role() == Role::Allowed || mode == Mode::Observe { "return" } else { "drop" };
            rule.comment.as_deref() == Some(&id.comment(mode))
                && rule.expr.last().is_some_and(|last| last.get(verdict).is_some())
        })
}

/// The elements, and whether there are others that cannot be ours.
fn elements(listed: &[Element], id: SetId, now: Time) -> (Elements, bool) {
    let (mut elements, mut odd) = (Elements::new(), false);
    for element in listed {
        let (key, until) = match element {
            Element::Plain(key) => (key, NEVER),
            Element::Timed { elem } => match elem.expires.or(elem.timeout) {
                Some(seconds) => (&elem.val, now + std::time::Duration::from_secs(seconds)),
                None => (&elem.val, NEVER),
            },
            Element::Other(_) => {
                odd = true;
                continue;
            }
        };
        let network =
            key.network().and_then(|network| if id.is_interval() { Some(network) } else { id.source(network) });
        match network {
            Some(network) => {
                elements.insert(network, until);
            }
            None => odd = true,
        }
    }
    (elements, odd)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str =
        r#"{"nftables":[{"metainfo":{"version":"1.0.6"}},{"table":{"family":"inet","name":"tcpcap","handle":1}},"#;

    fn found(objects: &str, known: bool) -> Found {
        read(format!("{TABLE}{objects}]}}").as_bytes(), &Config::default(), known, Time::from_secs(100)).unwrap()
    }

    fn held(objects: &str) -> Held {
        match found(objects, true) {
            Found::Ours(held) => held,
            Found::Foreign(why) => panic!("{why}"),
        }
    }

    #[test]
    fn a_table_of_somebody_else_is_told_by_its_chains_or_the_lack_of_our_mark() {
        let chain =
            |name: &str| format!(r#"{{"chain":{{"family":"inet","table":"tcpcap","name":"{name}","handle":6}}}}"#);
        let foreign = |objects: &str, known| match found(objects, known) {
            Found::Foreign(why) => why,
            Found::Ours(held) => panic!("{held:?}"),
        };
        assert_eq!(foreign(&chain("mine"), true), "it has a chain `mine`");
        assert_eq!(foreign(&chain("blocks"), false), "no rule in it bears tcpcap's mark");
        assert!(!held(&chain("blocks")).chain, "it is ours, but hooked in nowhere");
    }

    #[test]
    fn an_older_table_of_ours_is_misshapen() {
        let rule = r#"{"rule":{"chain":"blocks","comment":"tcpcap mirror 0: x","expr":[{"drop":null}]}}"#;
        assert!(matches!(found(rule, false), Found::Ours(held) if held.misshapen && held.rules.is_none()));
    }

    #[test]
    fn elements_are_read_with_their_ends() {
        let held = held(
            r#"{"set":{"name":"blocked4","type":"ipv4_addr","flags":["timeout"],"elem":[
                {"elem":{"val":"192.0.2.7","timeout":100,"expires":40}},"192.0.2.8"]}},
               {"set":{"name":"blocked6","type":"ipv6_addr","flags":"timeout","elem":["2001:db8::"]}},
               {"set":{"name":"blocked_nets4","type":"ipv4_addr","flags":["interval","timeout"],"elem":[
                {"elem":{"val":{"prefix":{"addr":"10.0.0.0","len":9}},"timeout":50,"expires":49}},"11.9.9.9"]}},
               {"set":{"name":"somebodys","type":"mark"}}"#,
        );
        let shown: Vec<String> = held
            .sets
            .values()
            .flatten()
            .map(|(n, until)| format!("{n} {}", if *until == NEVER { 0 } else { until.as_nanos() / 1_000_000_000 }))
            .collect();
        assert_eq!(shown, ["192.0.2.7/32 140", "192.0.2.8/32 0", "2001:db8::/64 0", "10.0.0.0/9 149", "11.9.9.9/32 0"]);
        assert!(held.odd.is_empty() && !held.misshapen);
    }

    #[test]
    fn elements_that_cannot_be_ours_make_their_set_odd() {
        for elem in [r#"{"range":["10.0.0.1","10.0.0.9"]}"#, r#""2001:db8::1""#, r#"{"elem":{"val":{"set":[]}}}"#] {
            let held = held(&format!(
                r#"{{"set":{{"name":"blocked6","type":"ipv6_addr","flags":["timeout"],"elem":[{elem}]}}}}"#
            ));
            assert_eq!(held.odd.len(), 1, "{elem}");
        }
        assert!(held(r#"{"set":{"name":"blocked6","type":"ipv4_addr","flags":["timeout"]}}"#).misshapen);
        assert!(held(r#"{"set":{"name":"blocked6","type":"ipv6_addr"}}"#).misshapen);
    }

    #[test]
    fn garbage_is_an_error() {
        for text in ["", "{}", "[]", "nft: command not found"] {
            read(text.as_bytes(), &Config::default(), true, Time::ZERO).unwrap_err();
        }
    }
}
