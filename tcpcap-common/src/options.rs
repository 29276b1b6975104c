//! TCP options, read from the bytes that an event carries (RFC 9293 §3.1, RFC 7323, RFC 2018).
//!
//! Userspace only: the kernel program hands the bytes on as they came.

/// What a SYN's options say, and in which order they stood: enough to tell stacks and scanners apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size.
    pub mss: Option<u16>,
    /// Window scale shift.
    pub window_scale: Option<u8>,
    /// Selective acknowledgements permitted.
    pub sack_permitted: bool,
    /// Sender's timestamp value.
    pub timestamp: Option<u32>,
    /// Option kinds in order of appearance, padding included; `layout_len` of them are valid.
    layout: [u8; crate::record::OPTIONS_LEN],
    layout_len: u8,
    /// The options ended in the middle of one, or one has an impossible length.
    pub malformed: bool,
}

/// Option kinds (IANA "TCP Option Kind Numbers").
mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const NO_OPERATION: u8 = 1;
    pub(super) const MSS: u8 = 2;
    pub(super) const WINDOW_SCALE: u8 = 3;
    pub(super) const SACK_PERMITTED: u8 = 4;
    pub(super) const TIMESTAMP: u8 = 8;
}

impl Options {
    /// Reads options. Bytes past the first forty are ignored: a TCP header has room for no more.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut out = Self {
            mss: None,
            window_scale: None,
            sack_permitted: false,
            timestamp: None,
            layout: [0; crate::record::OPTIONS_LEN],
            layout_len: 0,
            malformed: false,
        };
        let mut rest = &bytes[..bytes.len().min(crate::record::OPTIONS_LEN)];
        while let Some((&kind, after_kind)) = rest.split_first() {
            out.layout[out.layout_len as usize] = kind;
            out.layout_len += 1;
            if kind == kind::END {
                break;
            }
            if kind == kind::NO_OPERATION {
                rest = after_kind;
                continue;
            }
            let Some(body) = after_kind.first().and_then(|&len| rest.get(2..len as usize)) else {
                out.malformed = true;
                break;
            };
            out.take(kind, body);
            rest = &rest[2 + body.len()..];
        }
        out
    }

    fn take(&mut self, kind: u8, body: &[u8]) {
        match (kind, body) {
            (kind::MSS, &[a, b]) => self.mss = Some(u16::from_be_bytes([a, b])),
            (kind::WINDOW_SCALE, &[shift]) => self.window_scale = Some(shift),
            (kind::SACK_PERMITTED, &[]) => self.sack_permitted = true,
            (kind::TIMESTAMP, &[a, b, c, d, ..]) if body.len() == 8 => {
                self.timestamp = Some(u32::from_be_bytes([a, b, c, d]));
            }
            (kind::MSS | kind::WINDOW_SCALE | kind::SACK_PERMITTED | kind::TIMESTAMP, _) => self.malformed = true,
            _ => {}
        }
    }

    /// Option kinds in order of appearance.
    #[must_use]
    pub fn layout(&self) -> &[u8] {
        &self.layout[..self.layout_len as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linux_syn() {
        let o = Options::read(&[2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 1, 2, 0, 0, 0, 0, 1, 3, 3, 7]);
        assert_eq!((o.mss, o.window_scale, o.sack_permitted, o.timestamp), (Some(1460), Some(7), true, Some(258)));
        assert_eq!(o.layout(), [2, 4, 8, 1, 3]);
        assert!(!o.malformed);
    }

    #[test]
    fn an_nmap_syn_has_a_segment_size_alone() {
        let o = Options::read(&[2, 4, 5, 180]);
        assert_eq!((o.mss, o.layout()), (Some(1460), &[2][..]));
    }

    #[test]
    fn broken_options_are_named_and_never_loop_or_panic() {
        for bytes in [&[2][..], &[2, 0], &[2, 1], &[2, 5, 1, 1], &[8, 10, 1], &[3, 2], &[2, 3, 1]] {
            assert!(Options::read(bytes).malformed, "{bytes:?}");
        }
        assert!(!Options::read(&[]).malformed);
        assert!(!Options::read(&[1, 1, 0, 99, 99]).malformed, "what follows the end is padding");
        assert_eq!(Options::read(&[1; 60]).layout().len(), 40);
    }
}
