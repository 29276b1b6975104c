//! Plans for machines that we do not have.

use super::*;
use crate::needs::ALL;

fn every_package() -> Vec<&'static str> {
    [PACKAGES, COMPILER_PACKAGES, LINKER_PACKAGES].into_iter().flatten().map(|p| p.name).collect()
}

/// A Debian straight from its installer, with a C compiler and cargo.
fn fresh(root: Root) -> Machine {
    let there = ["gcc", "libc6-dev", "util-linux", "procps"];
    let absent = every_package().into_iter().filter(|p| !there.contains(p)).collect();
    Machine {
        root,
        apt: true,
        compiler: Compiler::Missing,
        linker: None,
        absent,
        bpffs: false,
        python_missing: PYTHON.iter().map(|python| python.name).collect(),
        tools_missing: TOOLS.iter().map(|tool| tool.name).collect(),
        systemd: false,
    }
}

fn complete() -> Machine {
    Machine {
        root: Root::Already,
        apt: true,
        compiler: found(22),
        linker: Some("/usr/bin/bpf-linker, 0.13.0".to_owned()),
        absent: vec![],
        bpffs: true,
        python_missing: vec![],
        tools_missing: vec![],
        systemd: true,
    }
}

fn found(llvm: u32) -> Compiler {
    Compiler::Found { detail: "/usr/bin/rustc".to_owned(), llvm }
}

fn installed(plan: &Plan) -> Vec<&'static str> {
    plan.actions.iter().flat_map(|a| if let Action::Install(p) = a { p.clone() } else { vec![] }).collect()
}

#[test]
fn nothing_missing_is_nothing_to_do() {
    let plan = plan(&complete(), &ALL);
    assert_eq!((plan.actions.len(), &plan.obstacle), (0, &None));
    assert!(plan.needs.iter().all(|n| n.met));
}

#[test]
fn a_fresh_debian_gets_everything_in_order() {
    let plan = plan(&fresh(Root::Already), &ALL);
    assert_eq!(plan.obstacle, None);
    let [
        Action::Update,
        Action::Install(packages),
        Action::BuildLinker,
        Action::MountBpffs,
        Action::InstallPython(_),
        Action::InstallPython(_),
        tools @ ..,
    ] = &plan.actions[..]
    else {
        panic!("{:?}", plan.actions);
    };
    for wanted in ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev", "nmap", "masscan", "hping3", "nftables"] {
        assert!(packages.contains(&wanted), "{wanted}");
    }
    assert!(!packages.contains(&"gcc"), "it is there already");
    for twice in ["g++", "python3-venv"] {
        assert_eq!(packages.iter().filter(|p| **p == twice).count(), 1, "{twice} is wanted for two things");
    }
    assert_eq!(tools, TOOLS.iter().map(Action::BuildTool).collect::<Vec<_>>());
}

#[test]
fn a_service_that_comes_with_a_tool_is_masked_before_it_is_installed() {
    let actions = |machine: &Machine| plan(machine, &ALL).actions;
    let ssh = Machine { absent: vec!["openssh-server"], ..complete() };
    let units = vec!["ssh.service", "ssh.socket"];
    assert_eq!(actions(&ssh), [Action::Update, Action::Mask(units.clone()), Action::Install(vec!["openssh-server"])]);
    assert_eq!(Action::Mask(units).command("cargo").1.join(" "), "systemctl mask ssh.service ssh.socket");
    let no_systemd = Machine { systemd: false, ..ssh };
    assert_eq!(actions(&no_systemd), [Action::Update, Action::Install(vec!["openssh-server"])]);
    let nmap = Machine { absent: vec!["nmap"], ..complete() };
    assert_eq!(actions(&nmap), [Action::Update, Action::Install(vec!["nmap"])]);
}

#[test]
fn an_ordinary_user_with_sudo_gets_the_same() {
    let plan_of = |root| plan(&fresh(root), &ALL);
    assert_eq!(plan_of(Root::Sudo), plan_of(Root::Already));
    let rooted: Vec<bool> = plan_of(Root::Sudo).actions.iter().map(Action::needs_root).collect();
    assert_eq!(
        rooted,
        [true, true, false, true, false, false, false, false],
        "what is built or goes below target/ is the user's"
    );
}

#[test]
fn without_root_and_sudo_the_commands_are_named_and_nothing_is_done() {
    let plan = plan(&fresh(Root::Unavailable), &ALL);
    assert_eq!(plan.obstacle, Some(Obstacle::NoRoot));
    assert_eq!(plan.actions.len(), 4 + PYTHON.len() + TOOLS.len());
}

#[test]
fn building_the_linker_alone_needs_no_root() {
    let machine = Machine { root: Root::Unavailable, linker: None, ..complete() };
    let plan = plan(&machine, &ALL);
    assert_eq!((plan.actions, plan.obstacle), (vec![Action::BuildLinker], None));
}

#[test]
fn an_unknown_distribution_is_told_what_is_missing() {
    let plan = plan(&Machine { apt: false, ..fresh(Root::Already) }, &ALL);
    let Some(Obstacle::UnknownDistribution(missing)) = plan.obstacle else {
        panic!("{:?}", plan.obstacle);
    };
    for wanted in ["the command nmap, which scans", COMPILER_RECIPE, LINKER_RECIPE] {
        assert!(missing.iter().any(|m| m == wanted), "{wanted} is not in {missing:?}");
    }
    assert!(!missing.iter().any(|m| m.contains("rustc-web") || m.contains("llvm-22")), "Debian's: {missing:?}");
}

#[test]
fn a_distribution_without_apt_that_has_everything_is_fine() {
    // Debian's own compiler and LLVM are elsewhere or absent there, and not wanted.
    let mut absent: Vec<_> = [COMPILER_PACKAGES, LINKER_PACKAGES].into_iter().flatten().map(|p| p.name).collect();
    absent.retain(|name| !PACKAGES.iter().any(|p| p.name == *name));
    let plan = plan(&Machine { apt: false, absent, ..complete() }, &ALL);
    assert_eq!((plan.actions, plan.obstacle), (vec![], None));
}

#[test]
fn a_developer_with_nightly_and_a_linker_gets_no_second_compiler() {
    let machine = Machine { compiler: found(23), linker: Some("0.13.0".to_owned()), ..fresh(Root::Sudo) };
    let plan = plan(&machine, &ALL);
    let packages = installed(&plan);
    assert!(packages.contains(&"nmap"));
    for unwanted in ["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22-dev"] {
        assert!(!packages.contains(&unwanted), "{unwanted}");
    }
    assert!(!plan.actions.contains(&Action::BuildLinker));
}

#[test]
fn a_compiler_too_new_for_the_linker_we_build_is_not_relied_on() {
    let plan_of = |llvm| plan(&Machine { compiler: found(llvm), ..fresh(Root::Already) }, &ALL);
    assert!(installed(&plan_of(23)).contains(&"rustc-web"));
    assert!(!installed(&plan_of(22)).contains(&"rustc-web"));
}

#[test]
fn a_bad_choice_of_compiler_is_the_users_to_undo() {
    let machine = Machine { compiler: Compiler::BadOverride("/bin/false fails".to_owned()), ..complete() };
    assert_eq!(plan(&machine, &[Part::Sandbox]).obstacle, None, "it is not in the way of other parts");
    assert_eq!(plan(&machine, &ALL).obstacle, Some(Obstacle::BadOverride("/bin/false fails".to_owned())));
}

#[test]
fn a_verb_asks_only_for_its_parts() {
    let machine = fresh(Root::Already);
    let compile = plan(&machine, &[Part::Compile]);
    assert!(!installed(&compile).contains(&"nmap"));
    assert!(!compile.actions.contains(&Action::MountBpffs));
    let sandbox = plan(&machine, &[Part::Sandbox, Part::Bpffs]);
    assert!(!installed(&sandbox).contains(&"llvm-22-dev"));
    assert!(!sandbox.actions.contains(&Action::BuildLinker));
}

#[test]
fn each_list_of_python_is_installed_to_a_place_of_its_own() {
    let machine = Machine { python_missing: vec!["kubernetes-validate"], ..complete() };
    let plan = plan(&machine, &ALL);
    let [action @ Action::InstallPython(python)] = &plan.actions[..] else { panic!("{:?}", plan.actions) };
    assert_eq!((python.name, action.needs_root()), ("kubernetes-validate", false));
    let words = action.command("cargo").1.join(" ");
    assert!(words.contains(&format!("/{} ", python.place)) && words.ends_with(python.pinned), "{words}");
}
