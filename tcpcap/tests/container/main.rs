//! The image as podman runs it, with the least privileges that work. Needs root and what is shipped (`TCPCAP_DIST`).
