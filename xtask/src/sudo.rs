//! Running as root what was built as an ordinary user.

use std::{env, path::Path, process::Command};

use crate::machine::Root;

/// What the user may have set for us or for tcpcap; sudo drops the rest.
const PASSED_ON: &[&str] = &["RUST_BACKTRACE", "RUST_LOG", "NO_COLOR", "INTERFACE_NAME", "PUBLIC_IP"];

/// A command that runs a program as root, with these variables besides. `None` if that cannot be.
pub(crate) fn as_root(root: Root, program: &Path, vars: impl IntoIterator<Item = (String, String)>) -> Option<Command> {
    let passed_on = |name: &str| name.starts_with("TCPCAP_") || PASSED_ON.contains(&name);
    let ours = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let vars = ours.filter(|(name, _)| passed_on(name)).chain(vars);
    Some(match root {
        Root::Already => {
            let mut plain = Command::new(program);
            plain.envs(vars);
            plain
        }
        Root::Sudo => {
            let mut sudo = Command::new("sudo");
            sudo.arg("env").args(vars.map(|(name, value)| format!("{name}={value}"))).arg(program);
            sudo
        }
        Root::Unavailable => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn through_sudo_variables_become_arguments() {
        let vars = [("TCPCAP_X".to_owned(), "a b".to_owned())];
        let sudo = as_root(Root::Sudo, Path::new("/t/xtask"), vars).unwrap();
        let args: Vec<_> = sudo.get_args().map(|a| a.to_str().unwrap()).collect();
        assert_eq!((sudo.get_program().to_str(), args[0]), (Some("sudo"), "env"));
        assert_eq!(args[args.len() - 2..], ["TCPCAP_X=a b", "/t/xtask"]);
    }

    #[test]
    fn who_is_root_needs_no_sudo_and_who_cannot_be_gets_no_command() {
        let plain = as_root(Root::Already, Path::new("/t/xtask"), []).unwrap();
        assert_eq!((plain.get_program().to_str(), plain.get_args().len()), (Some("/t/xtask"), 0));
        assert!(as_root(Root::Unavailable, Path::new("/t/xtask"), []).is_none());
    }
}
