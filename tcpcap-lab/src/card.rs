//! A card as its namespace knows it, and what it has counted itself: the figure that ours are held against.

use std::{
    ffi::CString,
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

/// A card's index and hardware address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Card {
    /// Index within its namespace.
    pub index: u32,
    /// Ethernet address.
    pub mac: [u8; 6],
}

/// A card's own counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Packets received, those that an XDP program dropped among them.
    pub rx_packets: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Packets lost before anybody saw them: no room in the queue.
    pub rx_dropped: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Packets that could not be sent: with a veth pair, those for which the other end had no room.
    pub tx_dropped: u64,
}

/// Reads a card's line of `/proc/net/dev`. Not from `/sys/class/net`, which shows the namespace it was mounted in.
pub(crate) fn parse(table: &str, card: &str) -> Option<Counters> {
    let numbers = table.lines().find_map(|line| {
        let (name, numbers) = line.split_once(':')?;
        (name.trim() == card).then_some(numbers)
    })?;
    let n: Vec<u64> = numbers.split_whitespace().map_while(|n| n.parse().ok()).collect();
    Some(Counters {
        rx_bytes: *n.first()?,
        rx_packets: *n.get(1)?,
        rx_dropped: *n.get(3)?,
        tx_packets: *n.get(9)?,
        tx_dropped: *n.get(11)?,
    })
}

/// Looks a card of this thread's namespace up.
pub(crate) fn look_up(name: &str) -> io::Result<Card> {
    let c_name = CString::new(name)?;
    // SAFETY: the pointer is to a string that ends with a zero byte.
    let index = unsafe { libc::if_nametoindex(c_name.as_ptr()) };
    if index == 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: no pointers are handed over; the result is checked before it is owned.
    let socket = unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(fd)
    };
    // SAFETY: an all-zero ifreq is valid; the kernel reads the name and writes the address, both within it.
    let request = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(c_name.as_bytes_with_nul()) {
            *to = *from as libc::c_char;
        }
        if libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR, &raw mut request) != 0 {
            return Err(io::Error::last_os_error());
        }
        request
    };
    // SAFETY: SIOCGIFHWADDR filled this member of the union.
    let data = unsafe { request.ifr_ifru.ifru_hwaddr.sa_data };
    let mut mac = [0; 6];
    for (to, from) in mac.iter_mut().zip(data) {
        *to = from.cast_unsigned();
    }
    Ok(Card { index, mac })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0
 card0: 5000 50    1    2    3     4          5         6     7000   70    8    9    10     11       12          13
";

    #[test]
    fn a_cards_line_is_found_and_read() {
        let expected = Counters { rx_packets: 50, rx_bytes: 5000, rx_dropped: 2, tx_packets: 70, tx_dropped: 9 };
        assert_eq!(parse(TABLE, "card0"), Some(expected));
        assert_eq!(parse(TABLE, "lo"), Some(Counters::default()));
        assert_eq!(parse(TABLE, "card"), None);
    }
}
