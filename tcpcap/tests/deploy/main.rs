//! What stands in `deploy/`, held against schemas and against what tcpcap has. Needs no root.

mod systemd;
mod dashboard;
mod panels;
mod prometheus;
mod vocabulary;
mod compose;
mod docker;
mod kubernetes;
mod names;
