//! `tcpcap run`: put everything together, in the order in which it may fail.
//!
//! Start: settings → host → network → port → program and maps → lists → attach. Nothing is attached before everything
//! that can be wrong has been looked at; what is attached stays when this process ends, however it ends, unless it is told
//! to detach or had nowhere to pin it.
//! Stop: leave the loop, write the history, then the HTTP server, then the log's last lines.

use std::sync::Arc;

use tokio::sync::mpsc;
use tracing::info;

use crate::{
    control::{
        api::{Door, Patience},
        server::{Counters, Limits, Server, WAITING},
        socket::{self, Socket},
    },
    daemon::{self, Daemon},
    failure::Failure,
    history::history_in,
    host,
    settings::{RunArgs, Settings},
    surface::{
        http::{self, Shown},
        log::Log,
        metrics::Metrics,
        tell,
    },
};

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// Whatever keeps it from starting, or ends it early.
pub fn run(args: RunArgs) -> Result<(), Failure> {
    let settings = args.clone().resolve()?;
    host::require()?;
    let log = Log::start(settings.log_format);
    // One thread: the ring wakes this one directly, without a hop over a worker.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::failed(format!("cannot start the event loop: {e}"), "raise the limit of open files"))?;
    runtime.block_on(serve(args, settings, log))
}

async fn serve(args: RunArgs, settings: Settings, log: Log) -> Result<(), Failure> {
    // First: whoever is second is told who is first.
    let pins = daemon::claim()?;
    let listener = http::listen(settings.listen)?;
    let shown = Shown::default();
    let (orders, requests) = mpsc::channel(WAITING);
    let door = |patience, counters: &Counters| {
        let history = Some(history_in(&settings.state));
        Door::new(orders.clone(), Arc::clone(&shown.hub), history, patience, counters.clone())
    };
    let control = door(Patience::CONTROL, &shown.metrics.control);
    let http = door(Patience::HTTP, &shown.metrics.http);
    // What is left of it are the doors, which go with their servers.
    drop(orders);
    let control = listen_for_orders(&settings, control, &shown.metrics).await?;
    let (listen, hosts) = (settings.listen, settings.http_hosts.clone());
    let mut daemon = Daemon::start(args, settings, shown.clone(), pins, requests, log).await?;
    let server = http::serve(listener, shown, http, hosts)
        .map_err(|e| Failure::failed(format!("cannot start the HTTP server: {e}"), "raise the limit of threads"))?;
    info!("tcpcap ready: {daemon}; metrics on http://{listen}/metrics");
    // After the other threads have been started: they have time.
    if let Err(e) = host::hurry() {
        info!(
            "at normal priority ({e}; CAP_SYS_NICE is missing): on a busy host, scanners see more before they are dropped"
        );
    }
    let result = daemon.run().await;
    daemon.end();
    drop(control);
    drop(server);
    result
}

/// Opens the control socket. Without it tcpcap runs on its own.
async fn listen_for_orders(settings: &Settings, door: Door, metrics: &Metrics) -> Result<Option<Server>, Failure> {
    let bound = match socket::listen(&settings.socket).await? {
        Socket::Open(bound) => bound,
        Socket::Unavailable(why) => {
            metrics.enforcement.set_healthy("control", false);
            tell::no_control(&why);
            return Ok(None);
        }
    };
    metrics.enforcement.set_healthy("control", true);
    Server::start(bound, door, Limits::default())
        .map(Some)
        .map_err(|e| Failure::failed(format!("cannot serve the control socket: {e}"), "raise the limit of threads"))
}
