//! Steps as nft's JSON.

use std::{borrow::Cow, collections::HashSet, time::Duration};

use ipnet::IpNet;
use nftables::{
    expr::{BinaryOperation, Elem, Expression, NamedExpression, Payload, PayloadField, Prefix},
    schema::{Chain, Element, FlushObject, NfCmd, NfListObject, NfObject, Nftables, Rule, Set, SetFlag, SetType},
    schema::{SetTypeValue, Table},
    stmt::{Counter, Match, Operator, Statement},
    types::{NfChainPolicy, NfChainType, NfFamily, NfHook},
};
use serde_json::Value;
use tcpcap_core::{IPV6_PREFIX_LEN, Scope, Time};

use super::{
    Config, Hook,
    layout::{CHAIN, Mode, NEVER, Role, SetId},
    plan::{Batch, Step},
};

const FAMILY: NfFamily = NfFamily::INet;

/// A run of nft that does this.
///
/// # Errors
/// None that is known of: every part can be written as JSON.
pub(super) fn render(config: &Config, batch: &Batch, now: Time) -> serde_json::Result<Value> {
    let commands = batch.iter().flat_map(|step| commands(config, step, now)).map(NfObject::CmdObject);
    let mut json = serde_json::to_value(Nftables { objects: commands.collect() })?;
    tidy(&mut json);
    Ok(json)
}

/// The crate writes absent parts of elements as null, which not each nft need take, and flags in random order.
fn tidy(json: &mut Value) {
    match json {
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Object(entries) => {
            for (key, value) in entries {
                match value {
                    Value::Object(element) if key == "elem" => element.retain(|_, part| !part.is_null()),
                    Value::Array(flags) if key == "flags" => flags.sort_by_key(Value::to_string),
                    value => tidy(value),
                }
            }
        }
        _ => {}
    }
}

fn commands<'a>(config: &'a Config, step: &Step, now: Time) -> Vec<NfCmd<'a>> {
    let bare_chain = || Chain { family: FAMILY, table: name(config), name: CHAIN.into(), ..Chain::default() };
    let flush_chain = || NfCmd::Flush(FlushObject::Chain(bare_chain()));
    match step {
        Step::DeleteTable => vec![NfCmd::Delete(table(config))],
        Step::AddTable => vec![NfCmd::Add(table(config))],
        Step::AddSet(id) => vec![NfCmd::Add(NfListObject::Set(Box::new(set(config, *id))))],
        // Added first: deleting what is not there would fail.
        Step::DeleteChain => vec![
            NfCmd::Add(NfListObject::Chain(bare_chain())),
            flush_chain(),
            NfCmd::Delete(NfListObject::Chain(bare_chain())),
        ],
        Step::AddChain => vec![NfCmd::Add(NfListObject::Chain(Chain {
            _type: Some(NfChainType::Filter),
            hook: Some(match config.hook {
                Hook::Prerouting => NfHook::Prerouting,
                Hook::Input => NfHook::Input,
            }),
            prio: Some(config.priority),
            policy: Some(NfChainPolicy::Accept),
            ..bare_chain()
        }))],
        Step::Rules(mode) => std::iter::once(flush_chain())
            .chain(SetId::all().map(|id| NfCmd::Add(NfListObject::Rule(rule(config, id, *mode)))))
            .collect(),
        Step::Flush(id) => vec![NfCmd::Flush(FlushObject::Set(Box::new(set(config, *id))))],
        Step::Put(id, elements) => {
            let elements = elements.iter().map(|(network, until)| timed(*id, *network, *until, now)).collect();
            vec![NfCmd::Add(element(config, *id, elements))]
        }
        // Added first for the same reason; nobody sees that, as it all happens at once.
        Step::Drop(id, networks) => {
            let keys: Vec<_> = networks.iter().map(|network| key(*id, *network)).collect();
            vec![NfCmd::Add(element(config, *id, keys.clone())), NfCmd::Delete(element(config, *id, keys))]
        }
    }
}

fn name(config: &Config) -> Cow<'_, str> {
    Cow::Borrowed(&config.table)
}

fn table(config: &Config) -> NfListObject<'_> {
    NfListObject::Table(Table { family: FAMILY, name: name(config), handle: None })
}

fn set(config: &Config, id: SetId) -> Set<'_> {
    let flags = [(id.is_interval(), SetFlag::Interval), (id.has_timeout(), SetFlag::Timeout)];
    Set {
        family: FAMILY,
        table: name(config),
        name: id.name().into(),
        set_type: SetTypeValue::Single(if id.is_v6() { SetType::Ipv6Addr } else { SetType::Ipv4Addr }),
        flags: Some(flags.into_iter().filter(|(has, _)| *has).map(|(_, flag)| flag).collect::<HashSet<_>>()),
        ..Set::default()
    }
}

fn element<'a>(config: &'a Config, id: SetId, elements: Vec<Expression<'a>>) -> NfListObject<'a> {
    NfListObject::Element(Element {
        family: FAMILY,
        table: name(config),
        name: id.name().into(),
        elem: elements.into(),
    })
}

fn key(id: SetId, network: IpNet) -> Expression<'static> {
    let address = Expression::String(network.network().to_string().into());
    if !id.is_interval() {
        return address;
    }
    let prefix = Prefix { addr: Box::new(address), len: network.prefix_len().into() };
    Expression::Named(NamedExpression::Prefix(prefix))
}

fn timed(id: SetId, network: IpNet, until: Time, now: Time) -> Expression<'static> {
    let key = key(id, network);
    if until == NEVER {
        return key;
    }
    Expression::Named(NamedExpression::Elem(Elem {
        val: Box::new(key),
        timeout: Some(timeout(until.since(now))),
        ..Elem::default()
    }))
}

/// In whole seconds, so that no block ends early, and never 0, which would mean never.
fn timeout(left: Duration) -> u32 {
    let seconds = left.as_secs().saturating_add(u64::from(left.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

fn rule(config: &Config, id: SetId, mode: Mode) -> Rule<'_> {
    let mut expr = Vec::new();
    if id.scope() == Scope::Syn {
        let syn = |text: &'static str| Expression::String(text.into());
        let flags = BinaryOperation::AND(
            payload("tcp", "flags"),
            Expression::BinaryOperation(Box::new(BinaryOperation::OR(vec![syn("syn"), syn("ack")]))),
        );
        expr.push(equal(Expression::BinaryOperation(Box::new(flags)), syn("syn")));
    }
    let source = match (id.is_v6(), id.role()) {
        (false, _) => payload("ip", "saddr"),
        // The whole prefix is one source: looked up by what its addresses share.
        (true, Role::Sources(_)) => {
            let mask = std::net::Ipv6Addr::from_bits(!(u128::MAX >> IPV6_PREFIX_LEN)).to_string();
            let prefix = BinaryOperation::AND(payload("ip6", "saddr"), Expression::String(mask.into()));
            Expression::BinaryOperation(Box::new(prefix))
        }
        (true, _) => payload("ip6", "saddr"),
    };
    expr.push(equal(source, Expression::String(format!("@{}", id.name()).into())));
    match (id.role(), mode) {
        (Role::Allowed, _) => expr.push(Statement::Return(None)),
        (_, Mode::Enforce) => expr.extend([Statement::Counter(Counter::Anonymous(None)), Statement::Drop(None)]),
        (_, Mode::Observe) => expr.extend([Statement::Counter(Counter::Anonymous(None)), Statement::Return(None)]),
    }
    Rule {
        family: FAMILY,
        table: name(config),
        chain: CHAIN.into(),
        expr: expr.into(),
        comment: Some(id.comment(mode).into()),
        ..Rule::default()
    }
}

fn payload(protocol: &'static str, field: &'static str) -> Expression<'static> {
    let field = PayloadField { protocol: protocol.into(), field: field.into() };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

fn equal<'a>(left: Expression<'a>, right: Expression<'a>) -> Statement<'a> {
    Statement::Match(Match { left, right, op: Operator::EQ })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timeout_is_never_too_short_and_never_none() {
        for (left, seconds) in [(0, 1), (1, 1), (999, 1), (1000, 1), (1001, 2), (600_000, 600)] {
            assert_eq!(timeout(Duration::from_millis(left)), seconds, "{left} ms");
        }
        assert_eq!(timeout(Duration::MAX), u32::MAX);
    }
}
