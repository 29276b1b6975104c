//! The clsact qdisc of an interface, asked and removed by netlink without waiting for anything but the kernel's answer:
//! it is done while a program is taken off, where nothing can be awaited.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

// include/uapi/linux/{netlink,rtnetlink,pkt_sched}.h
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const DUMP: u16 = 0x300;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const DEL_QDISC: u16 = 37;
const GET_FILTER: u16 = 46;
const NEW_FILTER: u16 = 44;
const CLSACT: u32 = 0xffff_fff1;
const HANDLE: u32 = 0xffff_0000;
const INGRESS: u32 = 0xffff_fff2;
const EGRESS: u32 = 0xffff_fff3;

/// A netlink header (16 bytes) and a traffic control message (20 bytes) without attributes.
const REQUEST_LEN: usize = 36;
const HEADER_LEN: usize = 16;

/// Whether no filter hangs on the qdisc, in either direction.
///
/// # Errors
/// The kernel does not answer, or there is no such interface.
pub fn is_unused(index: u32) -> io::Result<bool> {
    Ok(!has_filters(index, INGRESS)? && !has_filters(index, EGRESS)?)
}

/// Removes the qdisc.
///
/// # Errors
/// There is none, or the kernel refuses.
pub fn remove(index: u32) -> io::Result<()> {
    let mut removed = Err(io::Error::from(io::ErrorKind::UnexpectedEof));
    ask(DEL_QDISC, ACK, index, HANDLE, CLSACT, |kind, body| {
        if kind == ERROR {
            removed = error_of(body);
        }
        kind != ERROR
    })?;
    removed
}

fn has_filters(index: u32, parent: u32) -> io::Result<bool> {
    let mut found = Ok(false);
    ask(GET_FILTER, DUMP, index, 0, parent, |kind, body| {
        match kind {
            NEW_FILTER => found = Ok(true),
            ERROR => found = error_of(body).map(|()| false),
            _ => {}
        }
        kind != DONE && kind != ERROR
    })?;
    found
}

/// The error in an answer; none when it only acknowledges.
fn error_of(body: &[u8]) -> io::Result<()> {
    match body.first_chunk().map(|code| i32::from_ne_bytes(*code)) {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

/// Sends a request and hands over kind and body of each message that comes back, for as long as more are wanted.
fn ask(
    kind: u16,
    flags: u16,
    index: u32,
    handle: u32,
    parent: u32,
    mut more: impl FnMut(u16, &[u8]) -> bool,
) -> io::Result<()> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    socket.send(&request(kind, REQUEST | flags, [0, index, handle, parent, 0]), 0)?;
    loop {
        let (answer, _) = socket.recv_from_full()?;
        let mut rest = &answer[..];
        while let Some((kind, body, next)) = message(rest) {
            if !more(kind, body) {
                return Ok(());
            }
            rest = next;
        }
    }
}

/// A request: family, interface, handle, parent and info behind the header.
fn request(kind: u16, flags: u16, words: [u32; 5]) -> Vec<u8> {
    let mut out = Vec::with_capacity(REQUEST_LEN);
    out.extend(36u32.to_ne_bytes());
    out.extend(kind.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    // Sequence number and port: the socket asks one thing at a time.
    out.extend([0; 8]);
    words.iter().for_each(|word| out.extend(word.to_ne_bytes()));
    out
}

/// The first message of an answer: its kind, its body, and what follows it.
fn message(bytes: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let len = usize::try_from(u32::from_ne_bytes(*bytes.first_chunk()?)).ok()?;
    let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
    let body = bytes.get(HEADER_LEN..len)?;
    Some((kind, body, bytes.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_as_long_as_it_says() {
        let request = request(GET_FILTER, REQUEST | DUMP, [0, 7, 0, EGRESS, 0]);
        assert_eq!(request.len(), REQUEST_LEN);
        let (kind, body, rest) = message(&request).unwrap();
        assert_eq!((kind, body.len(), rest.len()), (GET_FILTER, 20, 0));
        assert_eq!(body[4..8], 7u32.to_ne_bytes());
    }

    #[test]
    fn answers_that_are_cut_off_are_none() {
        let whole = [request(DONE, 0, [0; 5]), request(ERROR, 0, [0; 5])].concat();
        let (kind, _, rest) = message(&whole).unwrap();
        assert_eq!((kind, message(rest).unwrap().0), (DONE, ERROR));
        assert!((0..REQUEST_LEN).all(|len| message(&whole[..len]).is_none()));
        assert!(message(&[0; 36]).is_none(), "shorter than its own header");
    }

    #[test]
    fn an_interface_that_does_not_exist_has_no_qdisc_to_remove() {
        assert!(remove(u32::MAX >> 1).is_err());
    }
}
