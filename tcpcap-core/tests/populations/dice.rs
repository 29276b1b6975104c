//! Random parameters, drawn so that what fails shrinks to the least that still does.

use std::{ops::RangeInclusive, time::Duration};

/// How many parameters a behaviour may have.
pub const CHOICES: usize = 16;

/// A behaviour's parameters are its choices, in the order in which it asks; smaller choices are smaller parameters.
/// What follows from them in detail is noise, and always the same for the same seed.
#[derive(Clone)]
pub struct Dice {
    choices: [u32; CHOICES],
    drawn: Vec<(&'static str, u64)>,
    noise: u64,
}

impl Dice {
    pub fn new(choices: [u32; CHOICES], seed: u64) -> Self {
        Self { choices, drawn: Vec::new(), noise: seed }
    }

    /// The parameters drawn so far, by name.
    pub fn drawn(&self) -> &[(&'static str, u64)] {
        &self.drawn
    }

    fn fraction(&mut self) -> f64 {
        f64::from(self.choices[self.drawn.len()]) / (f64::from(u32::MAX) + 1.0)
    }

    fn draw(&mut self, name: &'static str, value: u64) -> u64 {
        self.drawn.push((name, value));
        value
    }

    /// A parameter, each value as likely as any other.
    pub fn among(&mut self, name: &'static str, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        let span = (end - start + 1) as f64;
        let value = start + (self.fraction() * span) as u64;
        self.draw(name, value)
    }

    /// A parameter, each order of magnitude as likely as any other.
    pub fn scaled(&mut self, name: &'static str, range: RangeInclusive<u64>) -> u64 {
        let (start, end) = range.into_inner();
        let fraction = self.fraction();
        let value = (start.max(1) as f64 * (end as f64 / start.max(1) as f64).powf(fraction)).round() as u64;
        self.draw(name, value.clamp(start, end))
    }

    /// A parameter that is true or not.
    pub fn flip(&mut self, name: &'static str) -> bool {
        self.among(name, 0..=1) == 1
    }

    /// Noise below `n`. The generator is splitmix64.
    pub fn below(&mut self, n: u64) -> u64 {
        self.noise = self.noise.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.noise ^ (self.noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n.max(1)
    }

    /// Noise within a range.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// A time up to `limit`.
    pub fn up_to(&mut self, limit: Duration) -> Duration {
        Duration::from_nanos(self.below(limit.as_nanos() as u64 + 1))
    }

    /// `time`, give or take a tenth.
    pub fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(0.9) + self.up_to(time.mul_f64(0.2))
    }

    /// True so often in a thousand times.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1000) < per_mille
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// In any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }

    /// Different ports from a range, in any order.
    pub fn ports(&mut self, range: RangeInclusive<u16>, n: u64) -> Vec<u16> {
        let mut ports = Vec::new();
        while (ports.len() as u64) < n {
            let port = self.within(u64::from(*range.start())..=u64::from(*range.end())) as u16;
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
        ports
    }
}
