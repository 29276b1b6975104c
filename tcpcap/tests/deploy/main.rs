//! What stands in `deploy/`, held against schemas and against what tcpcap has. Needs no root.

mod compose;
mod dashboard;
mod docker;
mod kubernetes;
mod names;
mod panels;
mod prometheus;
mod systemd;
mod vocabulary;
