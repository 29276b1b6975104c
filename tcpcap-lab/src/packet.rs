//! Raw packet sockets.

#![allow(clippy::cast_possible_truncation, reason = "constants and sizes that the system calls want narrower")]

use std::{
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use crate::namespace::Namespace;

/// All protocols, as `bind` wants it: in network order.
const ALL: u16 = (libc::ETH_P_ALL as u16).to_be();
/// Room for one second of a fast scan's answers and more.
const RECEIVE_BUFFER: libc::c_int = 64 << 20;

/// Opens a packet socket on a card.
pub(crate) fn open(namespace: &Namespace, card: &str) -> anyhow::Result<OwnedFd> {
    let index = namespace.card(card)?.index;
    let socket = namespace.enter(|| {
        // Protocol 0: nothing is received before it is bound to the card.
        // SAFETY: no pointers are handed over; the result is checked before it is owned.
        let socket = unsafe {
            let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
            if fd < 0 {
                return Err(io::Error::last_os_error());
            }
            OwnedFd::from_raw_fd(fd)
        };
        set_option(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)?;
        // SAFETY: an all-zero sockaddr_ll is valid; the kernel reads as many bytes of it as it is told.
        let bound = unsafe {
            let mut address: libc::sockaddr_ll = std::mem::zeroed();
            address.sll_family = libc::AF_PACKET as u16;
            address.sll_protocol = ALL;
            address.sll_ifindex = index.cast_signed();
            libc::bind(socket.as_raw_fd(), (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
        };
        if bound != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(socket)
    })??;
    Ok(socket)
}

/// Sets an integer socket option.
pub(crate) fn set_option(socket: &OwnedFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the kernel reads one integer.
    let done = unsafe {
        let len = size_of_val(&value) as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast(), len)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Frames received and lost since the last call.
pub(crate) fn take_statistics(socket: &OwnedFd) -> io::Result<libc::tpacket_stats> {
    let mut statistics = libc::tpacket_stats { tp_packets: 0, tp_drops: 0 };
    let mut len = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: the kernel writes at most `len` bytes.
    let done = unsafe {
        let (level, name) = (libc::SOL_PACKET, libc::PACKET_STATISTICS);
        libc::getsockopt(socket.as_raw_fd(), level, name, (&raw mut statistics).cast(), &raw mut len)
    };
    if done == 0 { Ok(statistics) } else { Err(io::Error::last_os_error()) }
}
