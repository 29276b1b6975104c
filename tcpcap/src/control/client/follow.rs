//! Listening to what happens.

use std::ops::ControlFlow;

use http_body_util::BodyExt as _;
use hyper::Method;
use tokio::{select, signal, time::timeout};

use super::{Client, runtime};
use crate::{control::stream::Happened, failure::Failure};

/// The longest event, bytes: some times what a finding with all its evidence is.
const EVENT_LIMIT: usize = 1 << 20;

impl Client {
    /// Hands on what happens, as it happens, until whoever gets it has enough or SIGINT comes.
    ///
    /// # Errors
    /// As [`Client::status`]; the daemon stops; or `each` fails.
    pub fn follow(
        &self,
        connections: bool,
        mut each: impl FnMut(Happened) -> Result<ControlFlow<()>, Failure>,
    ) -> Result<(), Failure> {
        runtime()?.block_on(async {
            let asked = (Method::GET, format!("events?connections={connections}"), None);
            let (status, mut body) = timeout(self.patience, self.send(asked)).await.map_err(|_| self.silent())??;
            if !status.is_success() {
                return Err(self.refused(status, &self.whole(body).await?));
            }
            let mut frames = Frames::default();
            loop {
                let frame = select! {
                    frame = body.frame() => frame,
                    stopped = signal::ctrl_c() => return stopped.map_err(|e| {
                        Failure::failed(format!("cannot listen for SIGINT: {e}"), "raise the limit of open files")
                    }),
                };
                let Some(Ok(frame)) = frame else { return Err(self.over()) };
                let Some(data) = frame.data_ref() else { continue };
                for text in frames.take(data).map_err(|what| self.strange(what))? {
                    let happened = serde_json::from_str(&text)
                        .map_err(|e| self.strange(&format!("an event is not understood: {e}")))?;
                    if each(happened)?.is_break() {
                        return Ok(());
                    }
                }
            }
        })
    }

    fn over(&self) -> Failure {
        Failure::failed(
            format!("what listens on {} has stopped: nothing more is told", self.path.display()),
            "start tcpcap and listen anew; `tcpcap history` has what happened meanwhile",
        )
    }
}

/// Server-sent events out of pieces of text (the HTML standard, § 9.2): as much of it as tcpcap sends.
#[derive(Default)]
struct Frames {
    begun: Vec<u8>,
    data: String,
}

impl Frames {
    /// The data of events that are whole with this piece.
    fn take(&mut self, piece: &[u8]) -> Result<Vec<String>, &'static str> {
        let mut whole = Vec::new();
        for &byte in piece {
            if byte != b'\n' {
                self.begun.push(byte);
                if self.begun.len() + self.data.len() > EVENT_LIMIT {
                    return Err("an event has no end");
                }
                continue;
            }
            let line = String::from_utf8(std::mem::take(&mut self.begun)).map_err(|_| "an event is no text")?;
            match line.strip_prefix("data:") {
                Some(data) => self.data += data.strip_prefix(' ').unwrap_or(data),
                None if line.is_empty() && !self.data.is_empty() => whole.push(std::mem::take(&mut self.data)),
                // Names of events, and comments that keep the connection alive.
                None => {}
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_put_together_wherever_the_pieces_end() {
        let text = "event: finding\ndata: {\"a\":1}\n\n:\n\nevent: pulse\ndata:{\"b\":\"ü\"}\n\n".as_bytes();
        for size in 1..=text.len() {
            let mut frames = Frames::default();
            let events: Vec<_> = text.chunks(size).flat_map(|piece| frames.take(piece).unwrap()).collect();
            assert_eq!(events, ["{\"a\":1}", "{\"b\":\"ü\"}"], "{size}");
        }
    }

    #[test]
    fn what_is_endless_or_no_text_is_refused() {
        let mut frames = Frames::default();
        frames.take(b"data: x").unwrap();
        assert_eq!(frames.take(&vec![b'x'; EVENT_LIMIT]), Err("an event has no end"));
        assert_eq!(Frames::default().take(b"\xff\n"), Err("an event is no text"));
    }
}
