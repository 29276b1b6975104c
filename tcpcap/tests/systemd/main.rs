//! The service under a real systemd. Needs root and what is shipped (`TCPCAP_DIST`).
