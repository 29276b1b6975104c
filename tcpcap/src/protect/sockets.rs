//! Established connections to our ports, asked of the kernel by `sock_diag`, which needs no privilege.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, SocketAddr},
};

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::{
    SockDiagMessage,
    constants::{AF_INET, AF_INET6, IPPROTO_TCP},
    inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags},
};
use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

/// The kernel packs no more than half of this into one answer.
const BUFFER: usize = 65_536;

/// A connection that a program of this host has accepted or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Connection {
    /// Our end.
    pub(super) local: SocketAddr,
    /// The other end.
    pub(super) peer: SocketAddr,
    /// The kernel's own number for this socket: who connects once more from the same port has another.
    pub(super) cookie: [u8; 8],
}

/// The connections of this thread's network namespace with these local ports. Those that nobody has accepted yet are
/// not among them: nobody waits for their login either. What is more than `most` is left out, and counted in the second
/// part.
///
/// # Errors
/// The kernel does not answer: it was built without `tcp_diag`, or a filter is in the way.
pub(super) fn established(ports: &BTreeSet<u16>, most: usize) -> io::Result<(Vec<Connection>, u64)> {
    let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
    socket.bind_auto()?;
    socket.connect(&netlink_sys::SocketAddr::new(0, 0))?;
    let mut buffer = vec![0; BUFFER];
    let (mut found, mut left_out) = (Vec::new(), 0);
    for port in ports {
        for family in [AF_INET, AF_INET6] {
            socket.send(&request(family, *port), 0)?;
            receive(&socket, &mut buffer, |answer| match connection(answer) {
                Some(connection) if connection.local.port() == *port => {
                    if found.len() < most {
                        found.push(connection);
                    } else {
                        left_out += 1;
                    }
                }
                _ => {}
            })?;
        }
    }
    Ok((found, left_out))
}

fn request(family: u8, port: u16) -> Vec<u8> {
    let id = if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() };
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::ESTABLISHED,
        // The kernel passes over sockets of other ports itself.
        socket_id: SocketId { source_port: port, ..id },
    };
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    bytes
}

/// Hands over every answer until the kernel is done.
fn receive(socket: &Socket, buffer: &mut [u8], mut take: impl FnMut(&InetResponse)) -> io::Result<()> {
    loop {
        let len = socket.recv(&mut &mut *buffer, 0)?;
        let mut rest = buffer.get(..len).unwrap_or_default();
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
            match message.payload {
                NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(answer)) => take(&answer),
                NetlinkPayload::Done(_) => return Ok(()),
                NetlinkPayload::Error(e) => return Err(e.to_io()),
                _ => {}
            }
            let len = usize::try_from(message.header.length).unwrap_or(usize::MAX).next_multiple_of(4).max(4);
            rest = rest.get(len..).unwrap_or_default();
        }
    }
}

fn connection(answer: &InetResponse) -> Option<Connection> {
    let id = &answer.header.socket_id;
    let end = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port);
    // Without an inode it is in nobody's hands.
    (answer.header.inode != 0).then(|| Connection {
        local: end(id.source_address, id.source_port),
        peer: end(id.destination_address, id.destination_port),
        cookie: id.cookie,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream};

    fn ours(listener: &TcpListener) -> Vec<Connection> {
        established(&[listener.local_addr().unwrap().port()].into(), 1000).unwrap().0
    }

    #[test]
    fn a_connection_is_seen_once_it_is_accepted_and_until_it_is_closed() {
        for address in [IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()] {
            let listener = TcpListener::bind((address, 0)).unwrap();
            let to = listener.local_addr().unwrap();
            let client = TcpStream::connect(to).unwrap();
            assert!(ours(&listener).is_empty(), "not accepted");
            let (accepted, from) = listener.accept().unwrap();
            let seen = ours(&listener);
            assert_eq!(seen.len(), 1);
            assert_eq!((seen[0].local, seen[0].peer), (to, from));
            assert_eq!(ours(&listener), seen, "the same connection");
            drop(client);
            drop(accepted);
            assert!(ours(&listener).is_empty());
        }
    }

    #[test]
    fn ipv4_on_a_socket_for_both_families_is_ipv4() {
        let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let _client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        let (_accepted, from) = listener.accept().unwrap();
        assert!(from.is_ipv6());
        let seen = ours(&listener);
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].peer, SocketAddr::new(Ipv4Addr::LOCALHOST.into(), from.port()));
    }

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let to = listener.local_addr().unwrap();
        let _both: Vec<_> = (0..3).map(|_| (TcpStream::connect(to).unwrap(), listener.accept().unwrap())).collect();
        let (found, left_out) = established(&[to.port()].into(), 2).unwrap();
        assert_eq!((found.len(), left_out), (2, 1));
    }
}
