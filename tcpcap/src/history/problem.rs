//! Why there is no history: one line of cause, one of remedy. The daemon runs without it.

use std::{fmt, path::Path};

use rusqlite::ErrorCode;

use crate::failure::Failure;

/// The history cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong, and with which file.
    pub cause: String,
    /// What the operator can do about it.
    pub remedy: String,
}

impl Problem {
    pub(super) fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { cause: cause.into(), remedy: remedy.into() }
    }

    pub(super) fn with(path: &Path, error: &dyn fmt::Display) -> Self {
        Self::new(
            format!("cannot use the history {}: {error}", path.display()),
            "its directory must exist or be creatable, be writable, and have room",
        )
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.cause, self.remedy)
    }
}

impl std::error::Error for Problem {}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::failed(problem.cause, problem.remedy)
    }
}

/// Why nothing is written at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Degraded {
    /// The disk is full.
    Full = 1,
    /// The disk fails.
    Io,
    /// The file or its file system is read-only.
    ReadOnly,
    /// Another program holds the file.
    Busy,
    /// The file is damaged.
    Corrupt,
    /// The file cannot be opened.
    Unopened,
    /// Whatever else.
    Other,
}

impl Degraded {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Full, Self::Io, Self::ReadOnly, Self::Busy, Self::Corrupt, Self::Unopened, Self::Other];

    /// The name used in metrics and for machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "disk-full",
            Self::Io => "io-error",
            Self::ReadOnly => "read-only",
            Self::Busy => "busy",
            Self::Corrupt => "corrupt",
            Self::Unopened => "not-opened",
            Self::Other => "other",
        }
    }

    pub(super) fn of(error: &rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::SystemIoFailure) => Self::Io,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => Self::ReadOnly,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt,
            Some(ErrorCode::CannotOpen) => Self::Unopened,
            _ => Self::Other,
        }
    }
}
