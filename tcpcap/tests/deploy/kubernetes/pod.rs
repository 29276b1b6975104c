//! What the pod may, and that it finds what it needs.

use std::{net::TcpListener, sync::Arc};

use serde_json::{Value, json};
use tcpcap::{
    control::{
        api::{Door, Patience},
        stream::Hub,
    },
    kernel::BPFFS,
    surface::http::{self, Shown},
};
use tcpcap_lab::http::fetch;
use tokio::sync::mpsc;

use super::{APPLICABLE, rendered::Manifests};
use crate::names::tcpcap;

const OBSERVE: &str = "overlays/observe";

#[test]
fn the_pod_has_three_capabilities_and_no_way_to_more() {
    for kustomization in APPLICABLE {
        let manifests = Manifests::of(kustomization);
        assert_eq!(
            manifests.container()["securityContext"],
            json!({
                "runAsUser": 0,
                "runAsGroup": 61112,
                "privileged": false,
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"], "add": ["BPF", "NET_ADMIN", "PERFMON"]},
                "seccompProfile": {"type": "RuntimeDefault"},
                "appArmorProfile": {"type": "Unconfined"},
            }),
            "{kustomization}"
        );
        let pod = manifests.pod();
        assert_eq!(pod["hostNetwork"], true);
        for absent in ["hostPID", "hostIPC", "hostUsers", "shareProcessNamespace", "securityContext"] {
            assert!(pod[absent].is_null(), "{absent}");
        }
        assert_eq!((&pod["automountServiceAccountToken"], &pod["enableServiceLinks"]), (&json!(false), &json!(false)));
        assert_eq!(manifests.only("ServiceAccount")["automountServiceAccountToken"], false);
        for kind in ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding", "Secret"] {
            assert!(!manifests.has(kind), "{kind}");
        }
    }
}

#[test]
fn the_namespace_says_what_the_pod_takes() {
    let manifests = Manifests::of("base");
    let namespace = manifests.only("Namespace");
    assert_eq!(namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"], "privileged");
    let name = &namespace["metadata"]["name"];
    for namespaced in ["ServiceAccount", "ConfigMap", "DaemonSet"] {
        assert_eq!(manifests.only(namespaced)["metadata"]["namespace"], *name, "{namespaced}");
    }
    let pod = manifests.pod();
    assert_eq!(pod["serviceAccountName"], manifests.only("ServiceAccount")["metadata"]["name"]);
    assert_eq!(pod["priorityClassName"], manifests.only("PriorityClass")["metadata"]["name"]);
}

#[test]
fn of_the_node_it_sees_three_directories_and_writes_to_two() {
    let manifests = Manifests::of("base");
    let volumes = manifests.pod()["volumes"].as_array().unwrap();
    let mounts = manifests.container()["volumeMounts"].as_array().unwrap();
    assert_eq!(volumes.len(), mounts.len());
    let mut seen: Vec<String> = volumes
        .iter()
        .map(|volume| {
            let mount = mounts.iter().find(|mount| mount["name"] == volume["name"]).unwrap();
            let how = if mount["readOnly"] == true { "ro" } else { "rw" };
            let what = match &volume["hostPath"]["path"] {
                Value::String(path) => path.clone(),
                _ => volume.as_object().unwrap().keys().find(|key| *key != "name").unwrap().clone(),
            };
            format!("{} {how} {what}", mount["mountPath"].as_str().unwrap())
        })
        .collect();
    seen.sort();
    assert_eq!(
        seen,
        [
            "/etc/tcpcap ro configMap",
            "/run/systemd/sessions ro /run/systemd/sessions",
            "/run/tcpcap rw emptyDir",
            &format!("{BPFFS} rw {BPFFS}/tcpcap"),
            "/var/lib/tcpcap rw /var/lib/tcpcap",
        ]
    );
    // Those are where tcpcap looks unless told otherwise.
    let (code, defaults) = tcpcap(&["config", "--defaults"], &[]);
    assert_eq!(code, 0);
    for path in ["\"/run/tcpcap/tcpcap.sock\"", "\"/var/lib/tcpcap\"", "\"127.0.0.1:2112\""] {
        assert!(defaults.contains(path), "{path}");
    }
    let (code, man) = tcpcap(&["man"], &[]);
    assert!(code == 0 && man.contains("/etc/tcpcap/config.toml"), "{man}");
}

#[test]
fn its_command_is_one_that_the_binary_takes() {
    for kustomization in APPLICABLE {
        let manifests = Manifests::of(kustomization);
        let command = manifests.container()["command"].as_array().unwrap();
        let words: Vec<&str> = command.iter().map(|word| word.as_str().unwrap()).collect();
        assert_eq!((words[0], manifests.container()["args"].is_null()), ("/usr/bin/tcpcap", true));
        let (code, said) = tcpcap(&[&words[1..], &["--help"]].concat(), &[]);
        assert_eq!(code, 0, "{said}");
    }
}

/// The paths and addresses of all three probes.
fn probes(container: &Value) -> Vec<(String, Value)> {
    ["startupProbe", "livenessProbe", "readinessProbe"]
        .iter()
        .map(|probe| {
            let get = &container[probe]["httpGet"];
            assert_eq!(get["port"], container["ports"][0]["name"], "{probe}");
            (get["path"].as_str().unwrap().to_owned(), get["host"].clone())
        })
        .collect()
}

#[test]
fn probes_ask_what_the_http_port_answers_where_it_listens() {
    let manifests = Manifests::of(OBSERVE);
    let container = manifests.container();
    assert_eq!(container["ports"][0]["containerPort"], 2112);
    let asked = probes(container);
    assert_eq!(asked.iter().map(|(path, _)| &**path).collect::<Vec<_>>(), ["/healthz", "/healthz", "/readyz"]);
    assert!(asked.iter().all(|(_, host)| *host == "127.0.0.1"), "{asked:?}");
    assert!(manifests.environment().iter().all(|(name, _)| name != "TCPCAP_LISTEN"), "it listens on the loopback");
    // With metrics for others it listens on the node's address, which is the pod's.
    let monitored = Manifests::of("overlays/example");
    assert!(monitored.environment().contains(&("TCPCAP_LISTEN".to_owned(), "192.0.2.10:2112".to_owned())));
    assert!(probes(monitored.container()).iter().all(|(_, host)| host.is_null()));

    let shown = Shown::default();
    let (requests, _taken) = mpsc::channel(1);
    let door = Door::new(requests, Arc::new(Hub::default()), None, Patience::HTTP, shown.metrics.http.clone());
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let _serving = http::serve(listener, shown, door, Vec::new()).unwrap();
    let status = |path: &str| fetch(address, path).unwrap().status;
    // No daemon has made it ready, and its loop has never beaten: a kubelet takes both for failures.
    for (path, _) in asked {
        assert_eq!(status(&path), 503, "{path}");
    }
    assert_eq!((status("/metrics"), status("/nowhere")), (200, 404));
}

#[test]
fn one_daemon_a_node_is_replaced_after_it_has_gone() {
    let manifests = Manifests::of("base");
    let spec = &manifests.only("DaemonSet")["spec"];
    assert_eq!(spec["updateStrategy"]["rollingUpdate"], json!({"maxUnavailable": "10%", "maxSurge": 0}));
    let labels = spec["template"]["metadata"]["labels"].as_object().unwrap();
    for (label, value) in spec["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[label], *value, "{label}");
    }
    assert_eq!(manifests.pod()["tolerations"], json!([{"operator": "Exists"}]));
    let resources = &manifests.container()["resources"];
    for kind in ["cpu", "memory"] {
        assert!(resources["requests"][kind].is_string() && resources["limits"][kind].is_string(), "{kind}");
    }
}

#[test]
fn with_its_component_the_pod_has_tcpcaps_own_seccomp_profile() {
    let manifests = Manifests::with("base", "seccomp");
    let profile = &manifests.container()["securityContext"]["seccompProfile"];
    assert_eq!(*profile, json!({"type": "Localhost", "localhostProfile": "tcpcap.json"}));
}
