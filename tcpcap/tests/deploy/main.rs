//! What stands in `deploy/`, held against schemas and against what tcpcap has. Needs no root.

mod systemd;
