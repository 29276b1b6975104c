//! Rates over the last minutes, as columns.

use crate::control::Sample;

/// How far back they reach, seconds.
const SPAN: u64 = 300;

/// Columns, the newest last.
#[derive(Debug, PartialEq)]
pub(super) struct Chart {
    /// The highest rate a second within the time of each; none where nobody was there to see.
    pub(super) bars: Vec<Option<u64>>,
    /// The latest rate a second.
    pub(super) now: f64,
    /// The highest.
    pub(super) most: f64,
    /// How far back it reaches, seconds.
    pub(super) span_s: u64,
}

/// What came a second in each moment of the last minutes, in at most so many columns.
pub(super) fn chart(seconds: &[Sample], width: usize, of: impl Fn(&Sample) -> u64) -> Chart {
    let each = SPAN.div_ceil(width.max(1) as u64);
    let columns = usize::try_from(SPAN / each).unwrap_or(usize::MAX);
    let mut chart = Chart { bars: vec![None; columns], now: 0.0, most: 0.0, span_s: each * columns as u64 };
    let Some(last) = seconds.last() else { return chart };
    // By the clock, so that a column does not change any more once it is over.
    let newest = last.at / each;
    #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = |sample: &Sample| of(sample) as f64 / f64::from(sample.span_s.max(1));
    for sample in seconds {
        let back = usize::try_from(newest.saturating_sub(sample.at / each)).unwrap_or(usize::MAX);
        let Some(bar) = columns.checked_sub(back.saturating_add(1)).and_then(|n| chart.bars.get_mut(n)) else {
            continue;
        };
        let rate = rate(sample);
        chart.most = chart.most.max(rate);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and it saturates")]
        let rounded = rate.ceil() as u64;
        *bar = Some(bar.unwrap_or(0).max(rounded));
    }
    chart.now = rate(last);
    chart
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, attempts: u64) -> Sample {
        Sample { at, span_s: 1, attempts, ..Sample::default() }
    }

    #[test]
    fn a_column_is_the_highest_rate_of_its_time() {
        let seconds: Vec<_> = (1000..1020).map(|at| sample(at, at - 1000)).collect();
        let chart = chart(&seconds, 75, |s| s.attempts);
        assert_eq!((chart.bars.len(), chart.span_s, chart.now, chart.most), (75, 300, 19.0, 19.0));
        assert_eq!(chart.bars[69..], [None, Some(3), Some(7), Some(11), Some(15), Some(19)]);
    }

    #[test]
    fn a_gap_stays_empty_and_a_sample_of_several_seconds_is_a_rate() {
        let long = Sample { span_s: 4, ..sample(1010, 10) };
        let chart = chart(&[sample(1000, 8), long], 300, |s| s.attempts);
        assert_eq!((chart.now, chart.most), (2.5, 8.0));
        assert_eq!(chart.bars[289..], [Some(8), None, None, None, None, None, None, None, None, None, Some(3)]);
    }

    #[test]
    fn nothing_odd_breaks_it() {
        for width in [0, 1, 7, 1000] {
            let past_and_future = [sample(u64::MAX, 1), sample(0, u64::MAX), sample(5, 1)];
            let chart = chart(&past_and_future, width, |s| s.attempts);
            assert!(chart.bars.len() <= width.max(1));
            assert!(chart.span_s <= 300);
        }
        assert_eq!(chart(&[], 10, |s| s.attempts).bars, vec![None; 10]);
    }
}
