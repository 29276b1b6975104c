//! Running nft.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, Command},
    time::timeout,
};

use super::Config;

/// Where a program without a path is looked for, and all of its environment beside the language of its messages.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// What is read of a listing: a million elements fit.
const MAX_OUTPUT: u64 = 256 << 20;
/// What is read of its complaints.
const MAX_WORDS: u64 = 64 << 10;
/// How long a killed process may take to be gone.
const DEATH: Duration = Duration::from_secs(1);

/// Why nft did not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It could not be started.
    #[error("cannot run {0}: {1}")]
    Start(String, io::Error),
    /// It said no.
    #[error("nft failed ({0}): {1}")]
    Failed(ExitStatus, String),
    /// It took too long and was killed.
    #[error("nft took longer than {} s and was killed", .0.as_secs_f32())]
    TimedOut(Duration),
    /// It is not to be talked with.
    #[error("cannot talk with nft: {0}")]
    Io(io::Error),
    /// It lists more than fits.
    #[error("nft lists more than {} MiB", MAX_OUTPUT >> 20)]
    TooLong,
}

/// Runs it with these arguments and this input, and returns what it wrote.
///
/// # Errors
/// It cannot be run, fails, or does not end in time.
pub(super) async fn nft(config: &Config, args: &[&str], input: &str) -> Result<Vec<u8>, Error> {
    let mut command = Command::new(&config.nft);
    command.args(args).env_clear().env("PATH", PATH).env("LC_ALL", "C").current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    // A group of its own: what it starts is killed with it.
    command.process_group(0);
    let mut child = command.spawn().map_err(|e| Error::Start(config.nft.display().to_string(), e))?;
    match timeout(config.timeout, talk(&mut child, input)).await {
        Ok(done) => {
            let (status, output, words) = done.map_err(Error::Io)?;
            if !status.success() {
                return Err(Error::Failed(status, complaint(&words)));
            }
            if output.len() as u64 > MAX_OUTPUT {
                return Err(Error::TooLong);
            }
            Ok(output)
        }
        Err(_) => {
            kill(&mut child).await;
            Err(Error::TimedOut(config.timeout))
        }
    }
}

async fn talk(child: &mut Child, input: &str) -> io::Result<(ExitStatus, Vec<u8>, Vec<u8>)> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let write = async move {
        if let Some(mut stdin) = stdin {
            // It may end before it has read all; then its status says why.
            drop(stdin.write_all(input.as_bytes()).await);
        }
    };
    let ((), output, words) = tokio::join!(write, slurp(stdout, MAX_OUTPUT + 1), slurp(stderr, MAX_WORDS));
    Ok((child.wait().await?, output?, words?))
}

async fn slurp(from: Option<impl AsyncRead + Unpin>, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(most).read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

async fn kill(child: &mut Child) {
    if let Some(group) = child.id().and_then(|id| i32::try_from(id).ok()) {
        // SAFETY: has no preconditions; the child is not reaped yet, and leads the group of its id.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // One that cannot die is reaped later by the runtime.
    drop(timeout(DEATH, child.wait()).await);
}

/// The line that says what is wrong, in a length for a log.
fn complaint(words: &[u8]) -> String {
    let words = String::from_utf8_lossy(words);
    let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
    let line = lines.clone().find(|line| line.contains("rror")).or_else(|| lines.next()).unwrap_or("it said nothing");
    line.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_words_the_error_is_told() {
        assert_eq!(complaint(b"\n  x\nError: No such thing\nlist\n ^^^\n"), "Error: No such thing");
        assert_eq!(complaint(b"sorry\n"), "sorry");
        assert_eq!(complaint(b""), "it said nothing");
        assert_eq!(complaint("é".repeat(999).as_bytes()).chars().count(), 200);
    }
}
