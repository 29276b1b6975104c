//! The pod of the daemon set, from the manifests as they are rendered, by `podman kube play` in the place of a kubelet.
//!
//! podman 4.3 knows no daemon sets and no ports of a pod on the host's network, asks probes with a curl in the container,
//! reads the name of a seccomp profile from an annotation only, and its own profile denies bpf(2). So the pod is cut out of
//! the daemon set with `components/seccomp`, ports and probes are taken off, and the probes are asked here. Nothing else is
//! changed but where the node's directories lie.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tcpcap_lab::{
    Internet, Process,
    http::{self, Server},
    layout::CARD,
    wait_until,
};
use tempfile::TempDir;

use crate::{
    container::{SOON, image, podman},
    privileges::{THREE, gets_through, scan},
    rendered::{Manifests, place},
};

/// What stands for a node's directories.
struct Node {
    directory: TempDir,
    pins: PathBuf,
    name: String,
}

impl Node {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let name = format!("tcpcap-test-{}-node", std::process::id());
        let pins = Path::new("/sys/fs/bpf").join(&name);
        Self { directory, pins, name }
    }

    /// A directory as the kubelet makes one that is not there, or the BPF file system's.
    fn path(&self, of_the_node: &str) -> PathBuf {
        let path = match of_the_node.strip_prefix("/sys/fs/bpf/") {
            Some(pins) => self.pins.join(pins),
            None => self.directory.path().join(of_the_node.trim_start_matches('/')),
        };
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&path).unwrap();
        path
    }

    fn pinned(&self) -> usize {
        fs::read_dir(self.pins.join("tcpcap")).map_or(0, Iterator::count)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        fn remove(directory: &Path) -> std::io::Result<()> {
            for entry in fs::read_dir(directory)? {
                let path = entry?.path();
                if path.is_dir() { remove(&path)? } else { fs::remove_file(&path)? }
            }
            fs::remove_dir(directory)
        }
        remove(&self.pins).ok();
    }
}

/// The pod of one node.
struct Pod {
    name: String,
    container: String,
    manifests: Manifests,
    volumes: Vec<String>,
}

impl Pod {
    /// As the daemon set makes it.
    fn play(net: &Internet, node: &Node, kustomization: &str) -> Self {
        let manifests = Manifests::with(kustomization, "seccomp");
        let name = node.name.clone();
        let mut template = manifests.only("DaemonSet")["spec"]["template"].clone();
        let container = template["spec"]["containers"][0].as_object_mut().unwrap();
        assert!(image().ends_with(&format!("/{}", container["image"].as_str().unwrap())), "{}", container["image"]);
        for left_out in ["ports", "startupProbe", "livenessProbe", "readinessProbe"] {
            container.remove(left_out).unwrap();
        }
        let profile = container["securityContext"]["seccompProfile"]["localhostProfile"].as_str().unwrap().to_owned();
        let container = container["name"].as_str().unwrap().to_owned();
        let annotation = format!("container.seccomp.security.alpha.kubernetes.io/{container}");
        template["metadata"]["annotations"][annotation] = format!("localhost/{profile}").into();
        template["metadata"]["name"] = name.clone().into();

        // podman makes volumes of these, by their names.
        let mut volumes = vec![];
        let mut config = manifests.only("ConfigMap").clone();
        config["metadata"]["name"] = format!("{name}-config").into();
        for volume in template["spec"]["volumes"].as_array_mut().unwrap() {
            if let Value::String(path) = &volume["hostPath"]["path"] {
                volume["hostPath"]["path"] = node.path(path).to_str().unwrap().into();
            } else if volume["configMap"].is_object() {
                volume["configMap"]["name"] = config["metadata"]["name"].clone();
                volumes.push(format!("{name}-config"));
            }
        }
        let profiles = node.directory.path().join("seccomp");
        fs::create_dir_all(&profiles).unwrap();
        fs::copy(place("../docker/seccomp.json"), profiles.join(profile)).unwrap();

        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": template["metadata"], "spec": template["spec"],
        });
        let file = node.directory.path().join("pod.yaml");
        fs::write(&file, format!("---\n{config}\n---\n{pod}\n")).unwrap();
        let profiles = format!("--seccomp-profile-root={}", profiles.display());
        let args = ["kube", "play", "--log-driver=k8s-file", &profiles, file.to_str().unwrap()];
        let pod = Self { container: format!("{name}-{container}"), name, manifests, volumes };
        let mut kube = Process::spawn("podman kube play", podman().command_in(&net.sensor, &args)).unwrap();
        kube.succeed(SOON).unwrap();
        pod
    }

    fn log(&self) -> String {
        podman().run(&["logs", &self.container]).unwrap().1
    }

    /// Asks as the kubelet does, from the node's network, until there is the answer that it wants.
    fn passes(&self, net: &Internet, probe: &str) {
        let container = self.manifests.container();
        let get = &container[probe]["httpGet"];
        let host: Ipv4Addr = get["host"].as_str().unwrap().parse().unwrap();
        let port = u16::try_from(container["ports"][0]["containerPort"].as_u64().unwrap()).unwrap();
        let address = SocketAddr::new(host.into(), port);
        let path = get["path"].as_str().unwrap();
        let asked =
            wait_until(probe, SOON, || http::get(&net.sensor, address, path).is_ok_and(|answer| answer.status == 200));
        asked.unwrap_or_else(|e| panic!("{e:#}: {}", self.log()));
    }

    fn says(&self, text: &str) {
        let said = wait_until(text, SOON, || self.log().contains(text));
        said.unwrap_or_else(|e| panic!("{e:#}: {}", self.log()));
    }

    /// Runs a verb of tcpcap in the pod.
    fn ask(&self, net: &Internet, args: &[&str]) -> String {
        let args = [&["exec", &self.container, "tcpcap"], args].concat();
        let mut asked = Process::spawn("podman exec", podman().command_in(&net.sensor, &args)).unwrap();
        asked.succeed(SOON).unwrap();
        asked.output()
    }

    /// A line of its process's status.
    fn status(&self, field: &str) -> String {
        let pid = podman().succeed(&["inspect", "--format={{.State.Pid}}", &self.container]).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
        status.lines().find_map(|line| line.strip_prefix(field)).unwrap().trim().to_owned()
    }

    /// Ends it within its grace, and takes it away.
    fn delete(self) {
        let grace = self.manifests.pod()["terminationGracePeriodSeconds"].to_string();
        podman().succeed(&["pod", "stop", "--time", &grace, &self.name]).unwrap();
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        podman().run(&["pod", "rm", "--force", "--ignore", &self.name]).ok();
        for volume in &self.volumes {
            podman().run(&["volume", "rm", "--force", volume]).ok();
        }
    }
}

#[test]
fn the_pod_blocks_a_scan_leaves_its_block_behind_and_the_detaching_one_takes_everything_out() {
    let net = Internet::build().unwrap();
    let _server = Server::start(&net.sensor, &[80]).unwrap();
    let node = Node::new();
    let pod = Pod::play(&net, &node, "base");
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        pod.passes(&net, probe);
    }
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(pod.status(set), THREE, "{set}");
    }
    assert_eq!((pod.status("NoNewPrivs:"), pod.status("Seccomp:")), ("1".to_owned(), "2".to_owned()));
    let status = pod.ask(&net, &["status"]);
    for line in [&format!("{CARD}  native"), "mode         enforce", "pins         on", "history      on", "10.0.0.0/8"]
    {
        assert!(status.contains(line), "{line}: {status}");
    }

    scan(&net, net.first_scanner().v4.into());
    pod.says("Blocked 203.0.113.1 for 10 min");
    assert!(!gets_through(&net));
    pod.delete();
    assert!(!gets_through(&net));

    let pod = Pod::play(&net, &node, "overlays/detach");
    pod.passes(&net, "readinessProbe");
    pod.says("1 blocks of an earlier run go on");
    assert!(gets_through(&net), "it drops nothing");
    pod.delete();
    assert_eq!(node.pinned(), 0);
    assert!(gets_through(&net));
}
