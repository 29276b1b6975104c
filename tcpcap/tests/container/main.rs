//! The image as podman runs it, with the least privileges that work. Needs root and what is shipped (`TCPCAP_DIST`).

#[path = "../deploy/compose.rs"]
mod compose;
mod container;
mod contents;
mod health;
mod kubernetes;
mod outlives;
mod privileges;
mod refused;
#[path = "../deploy/kubernetes/rendered.rs"]
mod rendered;
mod source;
