//! The Debian package and the tarball: installed, upgraded, removed, purged. Needs root and what is shipped (`TCPCAP_DIST`).
