//! What XDP a driver can, as the kernel tells since 6.3: the generic netlink family `netdev`.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_GENERIC};

// include/uapi/linux/{netlink,genetlink,netdev}.h
const REQUEST: u16 = 1;
const ERROR: u16 = 2;
const CONTROL: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
const GET_DEVICE: u8 = 1;
const IFINDEX: u16 = 1;
const XDP_FEATURES: u16 = 3;
const BASIC: u64 = 1;
const SEVERAL_BUFFERS: u64 = 1 << 5;

/// Lengths of the headers: netlink's, with generic netlink's, and of an attribute.
const HEADER: usize = 16;
const HEADERS: usize = 20;
const ATTRIBUTE: usize = 4;

/// What the driver of an interface can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Can {
    /// Native XDP.
    pub(super) native: bool,
    /// Packets that take several buffers.
    pub(super) frags: bool,
}

/// Asks for interfaces.
pub(super) struct Netdev {
    socket: Socket,
    family: u16,
}

impl Netdev {
    /// Opens a connection in this thread's network namespace.
    ///
    /// # Errors
    /// The kernel is older than 6.3, or refuses.
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_GENERIC)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        let mut netdev = Self { socket, family: CONTROL };
        let found = netdev.ask(GET_FAMILY, FAMILY_NAME, b"netdev\0")?;
        let id = attribute(&found, FAMILY_ID).and_then(|value| value.first_chunk().copied());
        netdev.family = u16::from_ne_bytes(id.ok_or(io::ErrorKind::InvalidData)?);
        Ok(netdev)
    }

    /// What the driver of this interface can.
    pub(super) fn can(&self, index: u32) -> io::Result<Can> {
        let found = self.ask(GET_DEVICE, IFINDEX, &index.to_ne_bytes())?;
        let features = attribute(&found, XDP_FEATURES).and_then(|value| value.first_chunk().copied());
        let features = u64::from_ne_bytes(features.ok_or(io::ErrorKind::InvalidData)?);
        Ok(Can { native: features & BASIC != 0, frags: features & SEVERAL_BUFFERS != 0 })
    }

    /// Sends a command with one attribute and returns the attributes of the answer.
    fn ask(&self, command: u8, kind: u16, value: &[u8]) -> io::Result<Vec<u8>> {
        let too_long = |_| io::Error::from(io::ErrorKind::InvalidInput);
        let padded = value.len().next_multiple_of(4);
        let mut request = Vec::with_capacity(HEADERS + ATTRIBUTE + padded);
        request.extend(u32::try_from(HEADERS + ATTRIBUTE + padded).map_err(too_long)?.to_ne_bytes());
        request.extend(self.family.to_ne_bytes());
        request.extend(REQUEST.to_ne_bytes());
        // Sequence number and port: the socket asks one thing at a time.
        request.extend([0; 8]);
        request.extend([command, 1, 0, 0]);
        request.extend(u16::try_from(ATTRIBUTE + value.len()).map_err(too_long)?.to_ne_bytes());
        request.extend(kind.to_ne_bytes());
        request.extend(value);
        request.resize(HEADERS + ATTRIBUTE + padded, 0);
        self.socket.send(&request, 0)?;
        let (answer, _) = self.socket.recv_from_full()?;
        attributes(&answer)
    }
}

/// The attributes behind the headers of an answer.
fn attributes(answer: &[u8]) -> io::Result<Vec<u8>> {
    let short = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let kind = answer.get(4..).and_then(|rest| rest.first_chunk()).map(|kind| u16::from_ne_bytes(*kind));
    if kind.ok_or_else(short)? == ERROR {
        let code = answer.get(HEADER..).and_then(|rest| rest.first_chunk()).ok_or_else(short)?;
        return Err(io::Error::from_raw_os_error(i32::from_ne_bytes(*code).wrapping_neg()));
    }
    answer.get(HEADERS..).map(<[u8]>::to_vec).ok_or_else(short)
}

/// The value of an attribute.
fn attribute(mut rest: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16::from_ne_bytes(*rest.first_chunk()?));
        let kind = u16::from_ne_bytes(*rest.get(2..)?.first_chunk()?);
        let value = rest.get(ATTRIBUTE..len)?;
        if kind == wanted {
            return Some(value);
        }
        rest = rest.get(len.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_found_among_others_and_cut_off_ones_are_none() {
        let bytes = [6, 0, 2, 0, b'a', 0, 0, 0, 6, 0, 1, 0, 7, 0, 0, 0];
        assert_eq!(attribute(&bytes, 1), Some(&[7, 0][..]));
        assert_eq!(attribute(&bytes, 9), None);
        assert_eq!(attribute(&bytes[..10], 1), None);
        assert_eq!(attribute(&[0, 0, 2, 0, 0, 0], 1), None, "shorter than its own header");
    }

    #[test]
    fn an_error_in_an_answer_is_the_kernels() {
        let mut answer = [0; 20];
        answer[4] = 2;
        answer[16..].copy_from_slice(&(-libc::ENODEV).to_ne_bytes());
        assert_eq!(attributes(&answer).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert!(attributes(&answer[..4]).is_err());
    }
}
