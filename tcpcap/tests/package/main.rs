//! The Debian package and the tarball: installed, upgraded, removed, purged, as docs/install.md says, on Debians that a
//! real systemd boots. Needs root and what is shipped (`TCPCAP_DIST`).

mod bytes;
mod chroot;
mod debian;
mod document;
mod faults;
mod host;
mod tarball;
mod upgrade;
