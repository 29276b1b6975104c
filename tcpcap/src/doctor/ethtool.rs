//! A card asked by `ioctl(SIOCETHTOOL)`: its driver, its offloads, its queues. All of it may be asked by anybody.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

// include/uapi/linux/{sockios,ethtool}.h
const SIOCETHTOOL: u64 = 0x8946;
const GET_DRIVER: u32 = 0x03;
const GET_STRINGS: u32 = 0x1b;
const GET_SET_SIZE: u32 = 0x37;
const GET_FEATURES: u32 = 0x3a;
const GET_CHANNELS: u32 = 0x3c;
const FEATURES: u32 = 4;
const STRING_LEN: usize = 32;
/// More names than any kernel has features.
const MOST_FEATURES: usize = 1024;

/// An offload that is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offload {
    pub(super) name: &'static str,
    /// It cannot be turned off from here.
    pub(super) fixed: bool,
}

/// Receive queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Queues {
    /// In use.
    pub(super) now: u32,
    /// That the card has.
    pub(super) most: u32,
}

/// A card that is asked, by its name.
pub(super) struct Ethtool<'a> {
    socket: OwnedFd,
    name: &'a str,
}

impl<'a> Ethtool<'a> {
    pub(super) fn open(name: &'a str) -> io::Result<Self> {
        // SAFETY: no pointers are handed over; the result is checked before it is owned.
        let socket = unsafe {
            match libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) {
                fd if fd < 0 => return Err(io::Error::last_os_error()),
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        Ok(Self { socket, name })
    }

    /// The driver's name.
    pub(super) fn driver(&self) -> Option<String> {
        let mut words = [0; 49];
        words[0] = GET_DRIVER;
        self.ask(&mut words).ok()?;
        Some(text(&bytes(&words)[4..4 + STRING_LEN])).filter(|driver| !driver.is_empty())
    }

    /// Which of the named features are on; none known where the card has none to ask.
    pub(super) fn on(&self, names: &[&'static str]) -> io::Result<Vec<Offload>> {
        // The size of one set of strings, told behind a mask of which sets are meant.
        let mut size = [GET_SET_SIZE, 0, 1 << FEATURES, 0, 0];
        self.ask(&mut size)?;
        let count = usize::try_from(size[4]).unwrap_or(0).min(MOST_FEATURES);
        let mut strings = vec![0; 3 + count * STRING_LEN / 4];
        (strings[0], strings[1], strings[2]) = (GET_STRINGS, FEATURES, size[4]);
        let mut features = vec![0; 2 + count.div_ceil(32) * 4];
        features[0] = GET_FEATURES;
        features[1] = u32::try_from(count.div_ceil(32)).unwrap_or(0);
        self.ask(&mut strings)?;
        self.ask(&mut features)?;
        let strings = bytes(&strings);
        let found = strings[12..].chunks_exact(STRING_LEN).enumerate().filter_map(|(n, string)| {
            let name = text(string);
            let name = names.iter().find(|wanted| **wanted == name)?;
            // Of each 32 features: available, requested, active, never changed.
            let block = features.get(2 + n / 32 * 4..)?;
            let bit = |word: usize| block.get(word).is_some_and(|word| word >> (n % 32) & 1 == 1);
            bit(2).then(|| Offload { name, fixed: bit(3) || !bit(0) })
        });
        Ok(found.collect())
    }

    /// Receive queues, alone and combined with sending.
    pub(super) fn queues(&self) -> Option<Queues> {
        let mut words = [0; 9];
        words[0] = GET_CHANNELS;
        self.ask(&mut words).ok()?;
        let [_, most_rx, _, _, most_combined, rx, _, _, combined] = words;
        Some(Queues { now: rx + combined, most: most_rx.max(most_combined) }).filter(|queues| queues.now > 0)
    }

    fn ask(&self, words: &mut [u32]) -> io::Result<()> {
        // SAFETY: an all-zero ifreq is valid.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        if self.name.len() >= request.ifr_name.len() {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_data = words.as_mut_ptr().cast();
        // SAFETY: each command's answer fits its words: fixed ones by their definition, others by the count asked for.
        match unsafe { libc::ioctl(self.socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn bytes(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_that_is_not_there_answers_nothing() {
        let card = Ethtool::open("no-such-card").unwrap();
        assert!(card.driver().is_none() && card.queues().is_none());
        assert!(card.on(&["rx-lro"]).is_err());
        let long = Ethtool::open("a-name-that-no-card-can-have").unwrap();
        assert_eq!(long.on(&["rx-lro"]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn the_loopback_tells_its_features() {
        let lo = Ethtool::open("lo").unwrap();
        // Loopback devices do scatter-gather, whatever the machine.
        let on = lo.on(&["tx-scatter-gather", "rx-lro"]).unwrap();
        assert_eq!(on.iter().map(|offload| offload.name).collect::<Vec<_>>(), ["tx-scatter-gather"]);
    }
}
