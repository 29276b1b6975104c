//! What it costs: cargo test --release -p tcpcap --test history -- --ignored --nocapture figures

use std::time::Instant;

use super::support::{SOON, begun, block, open, verdict};

#[test]
#[ignore = "a measurement, not a test"]
fn figures() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (history, _) = open(&path);

    // As many as the queue holds, so that none is turned away.
    const AT_ONCE: u32 = 8000;
    let (mut recording, mut writing) = (0, 0.0);
    for round in 0..20 {
        let entries: Vec<_> = (0..AT_ONCE).map(|n| verdict(round * AT_ONCE + n)).collect();
        let start = Instant::now();
        entries.into_iter().for_each(|entry| history.record(entry));
        recording += start.elapsed().as_nanos();
        assert!(history.flush(SOON));
        writing += start.elapsed().as_secs_f64();
    }
    let all = 20 * AT_ONCE;
    println!("record of a finding: {} ns each", recording / u128::from(all));
    println!("written: {:.0} findings/s, {:?}", f64::from(all) / writing, history.stats());

    drop(history);

    let path = dir.path().join("blocks.db");
    let (history, _) = open(&path);
    let start = Instant::now();
    for n in 0..100_000 {
        history.record(begun(&block(n)));
        if n % 5000 == 0 {
            assert!(history.flush(SOON));
        }
    }
    assert!(history.flush(SOON));
    println!("written: 100,000 blocks in {:.2} s", start.elapsed().as_secs_f64());
    drop(history);
    let start = Instant::now();
    let (history, restored) = open(&path);
    println!("restored: {} blocks in {:.3} s", restored.blocks.len(), start.elapsed().as_secs_f64());
    drop(history);
}
