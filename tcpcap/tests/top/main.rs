//! `tcpcap top` in a real terminal (tmux), against a daemon that only answers.

mod acting;
mod leaving;
mod pane;
mod showing;
mod straw;
