//! Large pieces of bodies in a real worker's link. Each test is a process of its own (nextest), because CPython starts once per
//! process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use bytes::BytesMut;
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_sys::memory::channel::{self, End};
use gk_wire::frame::{self, BLOCK_LEAST, INITIAL_WINDOW};
use support::with_worker;

/// Answers with blocks of the sizes that the query names; with a body, with the body.
const APP: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [])
    body = environ["wsgi.input"].read()
    if body:
        return [body]
    sizes = [int(size) for size in environ["QUERY_STRING"].split(",")]
    return [bytes([n + 1]) * size for n, size in enumerate(sizes)]
"#;

#[test]
fn a_large_piece_of_a_response_is_one_block() {
    let code = with_worker(1, APP, "", |front| {
        front.message();
        let window = INITIAL_WINDOW as usize;
        // Sizes of the pieces, blocks.
        let cases: [(&[usize], usize); 6] = [
            (&[BLOCK_LEAST - 1], 0),
            (&[BLOCK_LEAST], 1),
            (&[100_000, 5, 100_000], 2),
            (&[window], 1),
            // The rest waits for credit.
            (&[window + BLOCK_LEAST], 2),
            (&[3_000_000], 12),
        ];
        for (sizes, blocks) in cases {
            let query: Vec<_> = sizes.iter().map(usize::to_string).collect();
            let answer = front.get(&format!("/?{}", query.join(",")));
            let pieces = sizes.iter().zip(1..).map(|(size, n)| vec![n; *size]);
            assert!(answer.body == pieces.collect::<Vec<_>>().concat(), "{sizes:?}");
            assert_eq!(answer.blocks, blocks, "{sizes:?}");
        }
        // A front that keeps more says so.
        let mut out = BytesMut::new();
        let id = front.request("/?1000000", "GET", b"", &mut out);
        frame::flag(&mut out, frame::WIDE);
        front.send(&out);
        let answer = front.answer(id);
        assert!(answer.body == vec![1; 1_000_000] && answer.blocks == 1);
        let body: Vec<u8> = (0..200_000u32).map(|n| (n % 251) as u8).collect();
        assert!(front.post_blocks("/", &body, body.len()).body == body);
        // What was used is free: there is room for everything.
        assert!(front.blocks.draft(64 * window).is_some());
    });
    assert_eq!(code, 0);
}

/// A front that keeps blocks for slow clients leaves no room: the bytes go through the ring.
#[test]
fn without_room_for_blocks_nothing_changes() {
    let code = with_worker(1, APP, "", |front| {
        front.message();
        let (socket, _peer) = descriptors::stream_pair().unwrap();
        let page = SharedPage::map(&front.page_file).unwrap();
        let workers = channel::open(socket, page, End::Worker).0.blocks();
        let full = workers.draft(16 << 20).unwrap();
        let answer = front.get("/?1000000,50000");
        assert!(answer.body == [vec![1; 1_000_000], vec![2; 50_000]].concat());
        assert_eq!(answer.blocks, 0);
        drop(full);
        assert_eq!(front.get("/?50000").blocks, 1);
    });
    assert_eq!(code, 0);
}
