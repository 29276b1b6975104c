//! Captures that come through a pipe.

use super::{
    OWN,
    captures::{Temporary, gzip, honest, pcapng, piped, redirected, replay, scan},
    classic,
};

#[test]
fn a_pipe_says_what_the_file_says() {
    let packets = [scan(40), honest(20)].concat();
    let file = replay(&[classic(&packets)], &OWN);
    for bytes in [classic(&packets), pcapng(&packets), gzip(&classic(&packets))] {
        let pipe = piped(&[&["-"], &OWN[..]].concat(), bytes);
        assert_eq!((&pipe.out, &*pipe.err, pipe.code), (&file.out, "", 0));
    }
    assert!(file.out.contains("Port scan detected"), "{file:?}");
}

#[test]
fn own_addresses_are_inferred_from_a_pipe_too() {
    let packets = [scan(40), honest(4)].concat();
    let file = replay(&[classic(&packets)], &[]);
    let pipe = piped(&["-"], classic(&packets));
    assert_eq!((&pipe.out, &pipe.err, pipe.code), (&file.out, &file.err, 0));
    assert!(pipe.err.contains("own addresses: 10.0.0.1 (inferred"), "{pipe:?}");
}

#[test]
fn a_pipe_is_one_of_several_captures() {
    let packets = scan(40);
    let (first, second) = packets.split_at(40);
    let file = Temporary::with(&classic(first));
    let whole = replay(&[classic(&packets)], &OWN);
    for own in [&OWN[..], &[]] {
        let said = piped(&[&[file.path().to_str().unwrap(), "-"], own].concat(), classic(second));
        assert_eq!((&said.out, said.code), (&whole.out, 0), "{said:?}");
    }
}

#[test]
fn a_file_as_standard_input_is_as_good_as_its_name() {
    let file = Temporary::with(&classic(&scan(40)));
    for own in [&OWN[..], &[]] {
        let named = replay(&[classic(&scan(40))], own);
        let said = redirected(&[&["-"], own].concat(), file.path());
        assert_eq!((said.out, said.err, said.code), (named.out, named.err, 0));
    }
}

#[test]
fn what_is_wrong_with_a_pipe_is_told_as_of_a_file() {
    let mut cut = classic(&scan(40));
    cut.truncate(cut.len() - 10);
    let said = piped(&[&["-"], &OWN[..]].concat(), cut);
    assert!(said.err.contains("warning: standard input: byte 5554: ends in the middle") && said.code == 1, "{said:?}");
    assert!(said.out.contains("79 packets"), "{said:?}");
    for own in [&OWN[..], &[]] {
        let said = piped(&[&["-"], own].concat(), Vec::new());
        assert!(said.err.contains("error: standard input is empty") && said.code == 1, "{said:?}");
    }
    let said = piped(&[&["-", "-"], &OWN[..]].concat(), classic(&scan(1)));
    assert!(said.err.contains("named twice") && said.code == 2, "{said:?}");
}

#[test]
fn there_is_no_progress_bar_where_nobody_looks() {
    // Long enough for a bar to be drawn.
    let packets: Vec<_> = honest(30).into_iter().cycle().take(50_000).collect();
    let said = replay(&[classic(&packets)], &OWN);
    assert_eq!((&*said.err, said.code), ("", 0));
    assert!(!said.out.contains('\u{1b}') && !said.out.contains('\r'), "{said:?}");
    let said = piped(&["-"], classic(&packets));
    assert_eq!(said.err.lines().count(), 1, "{said:?}");
}
