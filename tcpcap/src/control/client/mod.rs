//! The command line's end of the control socket.

mod follow;
#[cfg(test)]
mod tests;

use std::{
    io::{self, ErrorKind},
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1,
    header::{CONTENT_TYPE, HOST},
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{net::UnixStream, time::timeout};

use super::{BlockShown, Command, Refused, SourceShown, Status, Story, Timeline, socket::GROUP, stream::Happened};
use crate::{
    failure::Failure,
    history::{Question, Row, clock},
};

/// How long a command may take. The daemon's end gives up first, and says why.
const PATIENCE: Duration = Duration::from_secs(30);

/// The longest answer, bytes: some times what all blocks are that there is room for.
const ANSWER_LIMIT: usize = 256 * 1024 * 1024;

/// Who asks the daemon.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    patience: Duration,
}

#[derive(Deserialize)]
struct Done {
    done: String,
}

impl Client {
    /// Nothing is connected yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), patience: PATIENCE }
    }

    /// How it is going.
    ///
    /// # Errors
    /// Nobody listens, or nobody answers well.
    pub fn status(&self) -> Result<Status, Failure> {
        self.ask(&Command::Status)
    }

    /// The blocks that are on, in no order.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub fn blocks(&self) -> Result<Vec<BlockShown>, Failure> {
        self.ask(&Command::List)
    }

    /// Who is knocking, those with the most attempts first.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub fn sources(&self) -> Result<Vec<SourceShown>, Failure> {
        self.ask(&Command::Sources)
    }

    /// What happened over time.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub fn timeline(&self) -> Result<Timeline, Failure> {
        self.ask(&Command::Timeline)
    }

    /// The latest findings, the newest first.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub fn findings(&self) -> Result<Vec<Happened>, Failure> {
        self.ask(&Command::Findings)
    }

    /// The story of an address.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub fn explain(&self, address: IpAddr) -> Result<Story, Failure> {
        self.ask(&Command::Explain { address })
    }

    /// Has something done that is answered with a sentence, and returns it.
    ///
    /// # Errors
    /// As [`Client::status`], or the daemon refuses: cause and remedy are its own.
    pub fn act(&self, command: &Command) -> Result<String, Failure> {
        self.ask::<Done>(command).map(|done| done.done)
    }

    /// Rows of the history, the newest first, at most 1,000 of them.
    ///
    /// # Errors
    /// As [`Client::status`], or there is no history.
    pub fn history(&self, question: &Question) -> Result<Vec<Row>, Failure> {
        let mut path = format!("history?limit={}", question.limit);
        for (key, time) in [("since", question.since), ("until", question.until)] {
            if let Some(time) = time {
                path += &format!("&{key}={}", clock::shown(time));
            }
        }
        if let Some(about) = question.about {
            path += &format!("&about={about}");
        }
        self.get((Method::GET, path, None))
    }

    /// As is asked; none where nobody listens.
    ///
    /// # Errors
    /// As [`Client::status`], but for that.
    pub fn if_running<T>(&self, ask: impl FnOnce(&Self) -> Result<T, Failure>) -> Result<Option<T>, Failure> {
        match ask(self) {
            Err(_) if self.is_deserted() => Ok(None),
            other => other.map(Some),
        }
    }

    /// Where it asks.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn is_deserted(&self) -> bool {
        std::os::unix::net::UnixStream::connect(&self.path).is_err_and(|e| is_nobody(e.kind()))
    }

    fn ask<T: DeserializeOwned>(&self, command: &Command) -> Result<T, Failure> {
        self.get(request(command))
    }

    fn get<T: DeserializeOwned>(&self, what: Asked) -> Result<T, Failure> {
        let asked = runtime()?.block_on(async { timeout(self.patience, self.exchange(what)).await });
        let (status, body) = asked.unwrap_or_else(|_| Err(self.silent()))?;
        if !status.is_success() {
            return Err(self.refused(status, &body));
        }
        serde_json::from_slice(&body).map_err(|e| self.strange(&format!("its answer is not understood: {e}")))
    }

    fn refused(&self, status: StatusCode, body: &[u8]) -> Failure {
        match serde_json::from_slice::<Refused>(body) {
            Ok(Refused { cause, remedy }) => Failure::failed(cause, remedy),
            Err(_) => self.strange(&format!("it answers {status} and no reason")),
        }
    }

    /// Asks and takes the whole answer.
    async fn exchange(&self, what: Asked) -> Result<(StatusCode, Bytes), Failure> {
        let (status, body) = self.send(what).await?;
        Ok((status, self.whole(body).await?))
    }

    async fn whole(&self, body: Incoming) -> Result<Bytes, Failure> {
        let body = Limited::new(body, ANSWER_LIMIT).collect().await;
        Ok(body.map_err(|e| self.strange(&format!("its answer breaks off: {e}")))?.to_bytes())
    }

    /// Asks; what is answered is yet to come.
    async fn send(&self, (method, path, body): Asked) -> Result<(StatusCode, Incoming), Failure> {
        let stream = UnixStream::connect(&self.path).await.map_err(|e| unreachable(&self.path, &e))?;
        let broken = |e: hyper::Error| self.strange(&format!("the connection broke: {e}"));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
        tokio::spawn(async move {
            // Whoever waits for the answer is told as well.
            if let Err(e) = connection.await {
                tracing::debug!("the connection to the daemon broke: {e}");
            }
        });
        let body = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/{path}"))
            .header(HOST, "tcpcap")
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| Failure::failed(format!("cannot ask for {path}: {e}"), "report this"))?;
        let (head, body) = sender.send_request(request).await.map_err(broken)?.into_parts();
        Ok((head.status, body))
    }

    fn silent(&self) -> Failure {
        Failure::failed(
            format!("what listens on {} does not answer within {} s", self.path.display(), self.patience.as_secs_f32()),
            "see its log, and restart it",
        )
    }

    fn strange(&self, what: &str) -> Failure {
        Failure::failed(
            format!("what listens on {} does not speak as tcpcap does: {what}", self.path.display()),
            "is it tcpcap, of this version? If it was stopped just now, start it and try again",
        )
    }
}

/// Method, path below the version, and body.
type Asked = (Method, String, Option<Value>);

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start a runtime: {e}"), "raise the limit of open files"))
}

fn request(command: &Command) -> Asked {
    match command {
        Command::Status => (Method::GET, "status".to_owned(), None),
        Command::List => (Method::GET, "blocks".to_owned(), None),
        Command::Sources => (Method::GET, "sources".to_owned(), None),
        Command::Explain { address } => (Method::GET, format!("explain/{address}"), None),
        Command::Timeline => (Method::GET, "timeline".to_owned(), None),
        Command::Findings => (Method::GET, "findings".to_owned(), None),
        Command::Block { network, lasts, note } => {
            let body = json!({ "network": network, "lasts": lasts.map(|lasts| lasts.as_secs()), "note": note });
            (Method::POST, "blocks".to_owned(), Some(body))
        }
        Command::Unblock { network } => (Method::DELETE, format!("blocks/{network}"), None),
        Command::Allow { network } => (Method::POST, "allowed".to_owned(), Some(json!({ "network": network }))),
        Command::Disallow { network } => (Method::DELETE, format!("allowed/{network}"), None),
        Command::Mode { observe, syn_only } => {
            (Method::POST, "mode".to_owned(), Some(json!({ "observe": observe, "syn_only": syn_only })))
        }
        Command::Reload => (Method::POST, "reload".to_owned(), None),
    }
}

/// Whether it means that nobody listens: there is no socket, or one that a dead daemon left.
fn is_nobody(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused)
}

/// Why nobody can be reached.
fn unreachable(path: &Path, e: &io::Error) -> Failure {
    let path = path.display();
    match e.kind() {
        kind if is_nobody(kind) => Failure::failed(
            format!("tcpcap is not running (nobody listens on {path})"),
            "start it with `tcpcap run` or `systemctl start tcpcap`; if it runs, name its socket with --socket",
        ),
        ErrorKind::PermissionDenied => Failure::failed(
            format!("this user may not use {path}: it is for root and the group {GROUP}"),
            format!("use sudo, or join the group: `sudo usermod -aG {GROUP} USER`, and log in anew"),
        ),
        ErrorKind::WouldBlock => {
            Failure::failed(format!("too many are waiting at {path} already"), "try again in a moment")
        }
        _ => Failure::failed(format!("cannot connect to {path}: {e}"), "name tcpcap's socket with --socket"),
    }
}
