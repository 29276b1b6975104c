//! The control socket as a TCP port of a namespace, for clients that know no other.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use tcpcap_lab::Namespace;

/// Hands on what comes, until it is dropped.
pub struct Relay {
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    namespace: Namespace,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    pub fn start(namespace: &Namespace, socket: PathBuf) -> Self {
        let listener = namespace.enter(|| TcpListener::bind(("127.0.0.1", 0))).unwrap().unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let socket = socket.clone();
                thread::spawn(move || stream.and_then(|stream| join(stream, &socket)));
            }
        });
        Self { address, stop, namespace: namespace.clone(), thread: Some(thread) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // The thread waits for a connection: here it is.
        let woken = self.namespace.enter(|| TcpStream::connect(self.address).is_ok());
        if let (Ok(true), Some(thread)) = (woken, self.thread.take()) {
            thread.join().unwrap();
        }
    }
}

fn join(client: TcpStream, socket: &Path) -> io::Result<()> {
    let server = UnixStream::connect(socket)?;
    let (mut from_client, mut to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || {
        drop(copy(&mut from_client, &mut to_server));
        drop(to_server.shutdown(Shutdown::Write));
    });
    let (mut from_server, mut to_client) = (server, client);
    let copied = copy(&mut from_server, &mut to_client);
    to_client.shutdown(Shutdown::Both)?;
    copied
}

/// As `io::copy`, but what came is handed on at once.
fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            n => to.write_all(&buffer[..n])?,
        }
    }
}
