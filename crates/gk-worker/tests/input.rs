//! `wsgi.input` of a real worker, with a front that sends a body again. Each test is a process of its own (nextest), because CPython
//! starts once per process.

#![allow(clippy::unwrap_used, reason = "a test may panic with the place")]

mod support;

use support::with_worker;

#[test]
fn a_body_is_a_file_that_can_be_read_from_anywhere_again() {
    const READER: &str = r#"
import io, json

def steps(stream, size):
    yield stream.tell(), stream.seekable(), stream.readable(), stream.closed
    # Zope: the size first, then everything.
    yield stream.seek(0, 2), stream.tell(), stream.seek(0), len(stream.read()) == size, stream.tell() == size
    yield stream.read(), stream.seek(3), stream.read(4), stream.seek(-2, 1), stream.read(2), stream.tell()
    yield stream.seek(size + 5), stream.read(), stream.tell() - size, stream.seek(0), stream.readline(), stream.tell()
    yield stream.seek(-3, 2) - size, stream.read(), stream.seek(1), stream.read1(2), len(stream.readlines()) > 0
    stream.seek(0)
    buffered = io.BufferedReader(stream)
    yield buffered.read(5), buffered.seek(2), buffered.read(3), len(buffered.read()) == size - 5
    stream.seek(0)
    text = io.TextIOWrapper(stream, encoding="latin-1", newline="")
    yield text.readline(), text.seek(0), len(text.read()) == size, stream.closed
    for wrong in [(-1,), (0, 3), (-size - 1, 2), ("x",), ()]:
        try:
            stream.seek(*wrong)
        except (ValueError, TypeError) as error:
            yield type(error).__name__,

def application(environ, start_response):
    start_response("200 OK", [])
    out = list(steps(environ["wsgi.input"], int(environ["CONTENT_LENGTH"])))
    return [json.dumps(out, default=lambda b: b.decode("latin-1")).encode()]
"#;
    let code = with_worker(1, READER, "", |front| {
        front.message();
        for size in [12usize, 200_000] {
            let body: Vec<u8> =
                b"0123\n56789a".iter().copied().cycle().take(size - 1).chain([b'z']).collect();
            let end = String::from_utf8_lossy(&body[size - 3..]).into_owned();
            let want = serde_json::json!([
                [0, true, true, false],
                [size, size, 0, true, true],
                ["", 3, "3\n56", 5, "56", 7],
                [size + 5, "", 5, 0, "0123\n", 5],
                [-3, end, 1, "12", true],
                ["0123\n", 2, "23\n", true],
                ["0123\n", 0, true, false],
                ["ValueError"],
                ["ValueError"],
                ["ValueError"],
                ["TypeError"],
                ["TypeError"],
            ]);
            // One piece, several, and pieces that are blocks.
            let mut answers = vec![front.post("/", &body)];
            answers.extend(
                [7, 70_000, 300_000].map(|piece: usize| front.post_blocks("/", &body, piece.max(size / 4))),
            );
            for answer in answers {
                let seen: serde_json::Value = serde_json::from_str(&answer.text()).unwrap_or_default();
                assert_eq!(seen, want, "{size}: {}", answer.text());
            }
        }
    });
    assert_eq!(code, 0);
}
