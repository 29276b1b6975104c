//! The image made from source, as anybody makes it who has a clone.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use tcpcap_lab::Process;

use crate::container::{image, podman};

/// It takes five minutes on two cores that have nothing else to do.
const PATIENCE: Duration = Duration::from_secs(1200);

#[test]
#[ignore = "compiles tcpcap once more: cargo xtask test --builds"]
fn a_clone_is_enough_to_make_the_image_from_source() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let context = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mut list = Command::new("git");
    let list = list.args(["-c", "safe.directory=*", "ls-files", "-z"]).current_dir(&root).stdout(Stdio::piped());
    let mut list = list.spawn().unwrap();
    let mut copy = Command::new("cp");
    let listed = std::io::read_to_string(list.stdout.take().unwrap()).unwrap();
    assert!(list.wait().unwrap().success());
    copy.args(["--parents", "--no-dereference", "--target-directory"]).arg(context.path()).current_dir(&root);
    copy.args(listed.split_terminator('\0').filter(|path| root.join(path).exists()));
    assert!(copy.status().unwrap().success());

    let base = "{{index .Labels \"org.opencontainers.image.base.name\"}}";
    let base = podman().succeed(&["image", "inspect", &format!("--format={base}"), &image()]).unwrap();
    let made = format!("localhost/tcpcap-test-{}", std::process::id());
    let base = format!("--build-arg=BASE={}", base.trim());
    let tag = format!("--tag={made}");
    let mut build =
        podman().command(&["build", "--format=docker", "--network=host", "--no-cache", "--force-rm", &base, &tag, "."]);
    build.current_dir(context.path());
    let built = Process::spawn("podman build", build).unwrap().succeed(PATIENCE);
    let said = built.and_then(|()| podman().succeed(&["run", "--rm", "--network=none", &made, "--version"]));
    podman().run(&["rmi", "--force", &made]).ok();
    assert_eq!(said.unwrap(), format!("tcpcap {}\n", env!("CARGO_PKG_VERSION")));
}
