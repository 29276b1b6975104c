//! Every key there is. What stands here is all that stands anywhere: flags, environment, errors, the reference, what a
//! reload tells and what it applies are made from it.

mod detect;
mod general;
mod parts;

use std::sync::LazyLock;

use super::key::Key;

/// All keys, in the order in which they are set and shown: whatever a key follows comes before it.
pub(super) fn keys() -> &'static [Key] {
    static KEYS: LazyLock<Vec<Key>> =
        LazyLock::new(|| [general::keys(), detect::keys(), parts::keys()].into_iter().flatten().collect());
    &KEYS
}

/// The key of this path.
pub(super) fn key(path: &str) -> Option<&'static Key> {
    keys().iter().find(|key| key.path == path)
}

/// Whether this is a table that holds keys: `detect`, `detect.port_scan`.
pub(super) fn is_table(path: &str) -> bool {
    keys().iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The tables that hold keys.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    keys().iter().flat_map(|key| key.path.match_indices('.').map(|(end, _)| &key.path[..end]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::settings::Settings;

    #[test]
    fn every_key_and_every_variable_has_one_meaning_and_a_reason() {
        let paths: BTreeSet<_> = keys().iter().map(|key| key.path).collect();
        assert_eq!(paths.len(), keys().len());
        let variables: Vec<_> = keys().iter().flat_map(Key::variables).collect();
        assert_eq!(variables.iter().collect::<BTreeSet<_>>().len(), variables.len());
        for key in keys() {
            assert!(!key.about.is_empty() && !key.why.is_empty(), "{}", key.path);
            assert!(!is_table(key.path), "{}", key.path);
        }
    }

    #[test]
    fn what_a_key_follows_is_set_before_it() {
        for (n, key) in keys().iter().enumerate() {
            if let Some(before) = key.follows {
                assert!(keys()[..n].iter().any(|key| key.path == before), "{}", key.path);
            }
        }
    }

    #[test]
    fn a_copied_key_is_the_same_and_nothing_else_is_touched_but_what_follows_it() {
        let default = Settings::default();
        for key in keys() {
            let mut copy = default.clone();
            key.copy(&default, &mut copy);
            for other in keys() {
                assert_eq!(other.show(&copy), other.show(&default), "{}", other.path);
            }
        }
    }
}
