//! Objects whose contents another thread has, on a real CPython. Each test starts Python anew, so each needs a process of its own.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use gk_python::{Attached, Loans, balance, entry};
use std::sync::Arc;

const MEGABYTE: usize = 1 << 20;

fn references(py: Attached<'_>, object: &gk_python::Object<'_>) -> i64 {
    let namespace = py.run(c"import sys\ncount = sys.getrefcount", c"<test>", &[]).unwrap();
    let count = namespace.item(&py.str("count").unwrap()).unwrap();
    count.call(&[object]).unwrap().index().unwrap()
}

#[test]
fn what_another_thread_has_is_whole_and_comes_back() {
    entry::embed(|py| {
        let loans = Arc::new(Loans::default());
        let object = py.bytes(&vec![7; MEGABYTE]).unwrap();
        let (before, held) = (references(py, &object), balance::held());
        let lent = loans.lend(&object).unwrap();
        assert_eq!(lent.as_ref().as_ptr(), object.as_bytes().unwrap().as_ptr(), "nothing is copied");
        assert_eq!(references(py, &object), before + 1);
        std::thread::spawn(move || assert!(*lent.as_ref() == *vec![7; MEGABYTE])).join().unwrap();
        assert_eq!(references(py, &object), before + 1, "a thread without Python releases nothing");
        loans.release(py);
        assert_eq!((references(py, &object), balance::held()), (before, held));
    });
}

#[test]
fn what_others_hold_is_bounded() {
    entry::embed(|py| {
        let loans = Arc::new(Loans::default());
        assert!(loans.lend(&py.str("text").unwrap()).is_none());
        assert!(
            loans.lend(&py.bytes(&vec![7; 2 * MEGABYTE + 1]).unwrap()).is_none(),
            "the last bytes would hold all"
        );
        let object = py.bytes(&vec![7; 2 * MEGABYTE]).unwrap();
        let mut lent: Vec<_> = (0..8).map(|_| loans.lend(&object).unwrap()).collect();
        assert!(loans.lend(&object).is_none());
        lent.pop();
        lent.push(loans.lend(&object).expect("one has come back"));
        assert!(loans.lend(&object).is_none());
        drop(lent);
        loans.release(py);
        // Their interpreter ends before they come back.
        let late = loans.lend(&object).unwrap();
        drop(loans);
        assert!(*late.as_ref() == *vec![7; 2 * MEGABYTE]);
    });
}
