//! What a check says.

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// tcpcap runs, with something less.
    Warn,
    /// tcpcap does not start, or does not do what it is told.
    Fail,
    /// Nothing to be looked at, or it cannot be seen from here.
    Skip,
}

impl Level {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Warn, Self::Fail, Self::Skip];

    /// The word for people and machines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
        }
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// How good or bad.
    pub level: Level,
    /// What was found.
    pub found: String,
    /// What that means for tcpcap; empty where it is as it should be.
    pub means: String,
    /// What to do about it; empty where there is nothing to do.
    pub remedy: String,
}

impl Finding {
    /// As it should be.
    pub fn ok(found: impl Into<String>) -> Self {
        Self { level: Level::Ok, found: found.into(), means: String::new(), remedy: String::new() }
    }

    /// tcpcap runs, with something less.
    pub fn warn(found: impl Into<String>, means: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Warn, found: found.into(), means: means.into(), remedy: remedy.into() }
    }

    /// tcpcap does not start, or does not do what it is told.
    pub fn fail(found: impl Into<String>, means: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { level: Level::Fail, ..Self::warn(found, means, remedy) }
    }

    /// Nothing to be looked at, or it cannot be seen from here.
    pub fn skip(found: impl Into<String>) -> Self {
        Self { level: Level::Skip, ..Self::ok(found) }
    }
}
