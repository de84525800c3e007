//! Feeds a worker hello-world requests in batches and prints the CPU time of its request thread per request. For profiling
//! without sockets to clients: `scripts/with-python 3.14 cargo run --release -p gk-worker --example requests -- 200000`.
//! `… -- 200000 1 measured` does the same with the measurements on.

use bytes::BytesMut;
use gk_sys::descriptors;
use gk_sys::memory::SharedPage;
use gk_sys::memory::SharedWords;
use gk_sys::memory::channel::{self, End};
use gk_telemetry::Board;
use gk_wire::control::ToWorker;
use gk_wire::frame::{self, ToWorkerFrame};
use gk_wire::log::Level;
use gk_wire::request::{Numbers, Profile, RequestWriter, Texts};
use gk_wire::setup::{LogSetup, ProcessGroup, WorkerSetup};
use std::os::fd::AsFd;

const BATCH: u32 = 32;
const APP: &str = r#"
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]
"#;

fn main() {
    let total: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(100_000);
    let threads: u32 = std::env::args().nth(2).and_then(|n| n.parse().ok()).unwrap_or(1);
    let words = gk_telemetry::Layout::new(threads).words();
    let measured = std::env::args().nth(3).is_some_and(|word| word == "measured");
    let scoreboard = measured.then(|| SharedWords::create("scoreboard", words).expect("a memory file"));
    let directory = std::env::temp_dir().join(format!("gilkeeper-requests-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a temporary directory");
    let script = directory.join("hello.py");
    std::fs::write(&script, APP).expect("a script");
    let (supervisor, control) = descriptors::packet_pair().expect("a socket pair");
    let (socket, theirs) = descriptors::stream_pair().expect("a socket pair");
    let page = SharedPage::create().expect("a page");
    let profile = Profile {
        script: script.display().to_string(),
        module: false,
        callable: "application".to_owned(),
        application_group: String::new(),
        script_reloading: true,
        ignore_activity: false,
        environ: vec![("SERVER_SOFTWARE".to_owned(), "Gilkeeper".to_owned())],
        error_log: None,
        hook: false,
    };
    let mut page_of_figures = scoreboard.as_ref().map(|file| file.try_clone().expect("a descriptor"));
    let mapped = SharedPage::map(&page).expect("fresh memory maps");
    let front = std::thread::spawn(move || {
        let (mut sender, mut receiver) = channel::open(socket, mapped, End::Front);
        descriptors::send(
            &supervisor,
            &gk_messages::encode(&ToWorker::Link { front: 0 }),
            &[theirs.as_fd(), page.as_fd()],
        )
        .expect("a worker");
        drop(theirs);
        let mut out = BytesMut::new();
        ToWorkerFrame::Profile { number: 1, json: &serde_json::to_vec(&profile).expect("plain values") }
            .encode(&mut out);
        let mut buffer = vec![0; 1 << 20];
        let (mut sent, mut ended, mut filled) = (0, 0, 0);
        while ended < total {
            while sent < total && sent - ended < BATCH {
                sent += 1;
                request(&mut out, sent);
            }
            sender.send(&out).expect("a living worker");
            out.clear();
            filled += receiver.receive(&mut buffer[filled..], true).expect("a living worker");
            if let Some(file) = page_of_figures.take() {
                // As the front does: only the slowest are kept.
                let board = Board::open(SharedWords::map(file).expect("a mapping")).expect("a scoreboard");
                board.set_floor(u64::MAX);
            }
            let mut at = 0;
            while let Ok(Some((header, _, used))) = frame::split(&buffer[at..filled]) {
                ended += u32::from(header.kind == frame::to_front::DATA && header.flags & frame::END != 0);
                // A worker that stood still (under a profiler, say) gives back what it has not begun.
                if header.kind == frame::to_front::RETURN {
                    request(&mut out, header.id);
                }
                at += used;
            }
            buffer.copy_within(at..filled, 0);
            filled -= at;
        }
        let cpu = request_thread_cpu();
        println!("{:.0} ns of CPU per request on the request threads", cpu * 1e9 / f64::from(total));
        let _ = descriptors::send(
            &supervisor,
            &gk_messages::encode(&ToWorker::Stop { reason: "done".to_owned() }),
            &[],
        );
        supervisor
    });
    let setup = WorkerSetup {
        worker: 1,
        group: ProcessGroup {
            threads,
            shutdown_timeout: 60.0,
            graceful_timeout: Some(0.0),
            deadlock_timeout: 0.0,
            ..ProcessGroup::named("app")
        },
        log: LogSetup { level: Level::Warn, ..LogSetup::default() },
        python_path: vec![],
        switch_interval: None,
        without_gil: false,
        gil_refused: false,
        imports: vec![],
        interpreters: vec![],
        destroy_interpreter: true,
        slow_requests: 0.0,
        holders: None,
        log_config: None,
        scoreboard: false,
        unread: false,
        embedded: None,
        several_fronts: false,
    };
    gk_python::entry::embed(|py| gk_worker::run_measured(py, control, setup, scoreboard));
    let _ = front.join();
    let _ = std::fs::remove_dir_all(&directory);
}

fn request(out: &mut BytesMut, id: u32) {
    let numbers = Numbers {
        profile: 1,
        version: 11,
        https: false,
        traced: false,
        server_port: 8000,
        remote_port: 50_000,
        request_id: u64::from(id),
        connection_id: 1,
        // As the front does: both are the same.
        request_start: 1.5,
        queue_start: 1.5,
    };
    let texts = Texts {
        id: b"",
        trace: b"",
        method: b"GET",
        uri: b"/",
        script_name: b"",
        path_info: b"/",
        query: b"",
        server_name: b"localhost",
        server_addr: b"127.0.0.1",
        remote_addr: b"127.0.0.1",
    };
    let mut writer = RequestWriter::begin(out, id, true, &numbers, &texts);
    writer.pair(b"HTTP_HOST", b"localhost:8000");
    writer.finish();
}

/// Seconds of CPU of the threads named `request-…`, from schedstat (nanoseconds).
fn request_thread_cpu() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    tasks
        .filter(|task| {
            std::fs::read_to_string(task.path().join("comm")).is_ok_and(|c| c.starts_with("request-"))
        })
        .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum::<f64>()
        / 1e9
}
