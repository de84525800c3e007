//! For measurements: a front with workers that answer `Hello, world!` without Python, or hyper alone.
//! `fake [front|hyper] [PORT]`.

fn main() {
    let mode = std::env::args().nth(1).unwrap_or_else(|| "front".into());
    let port: u16 = std::env::args().nth(2).and_then(|p| p.parse().ok()).unwrap_or(0);
    match &*mode {
        "hyper" => hyper_alone(port),
        _ => front(port),
    }
}

mod worker {
    use bytes::BytesMut;
    use gk_sys::memory::channel;
    use gk_wire::frame::{self, ToFrontFrame, ToWorkerFrame};
    use gk_wire::response::HeadWriter;
    use std::os::fd::OwnedFd;

    /// Answers everything with `Hello, world!`, one write per read.
    pub fn run(socket: OwnedFd, page: OwnedFd) {
        let page = gk_sys::memory::SharedPage::map(page).expect("fresh memory maps");
        let (mut sender, mut receiver) = channel::open(socket, page, channel::End::Worker);
        let page = receiver.watch();
        let mut input = vec![0; 256 * 1024];
        let mut filled = 0;
        let mut out = BytesMut::with_capacity(64 * 1024);
        let mut started = 0;
        page.word(gk_wire::page::SERVICE).store(1_000, std::sync::atomic::Ordering::Relaxed);
        loop {
            let Ok(got @ 1..) = receiver.receive(&mut input[filled..], true) else { return };
            filled += got;
            let mut at = 0;
            while let Ok(Some((header, payload, used))) = frame::split(&input[at..filled]) {
                match ToWorkerFrame::decode(header, payload) {
                    Ok(ToWorkerFrame::Hello(_)) => {
                        let welcome = frame::Welcome {
                            protocol: gk_wire::PROTOCOL_VERSION,
                            package: gk_wire::PACKAGE_VERSION.into(),
                            python: "3.13.0".into(),
                            gil_mode: "shared".into(),
                            pid: 1,
                            threads: 1,
                            process_group: "g".into(),
                        };
                        let json = serde_json::to_vec(&welcome).expect("plain values");
                        ToFrontFrame::Welcome(&json).encode(&mut out);
                    }
                    Ok(ToWorkerFrame::Request { id, payload, .. }) => {
                        started += 1;
                        page.word(0).store(started, std::sync::atomic::Ordering::Release);
                        std::hint::black_box(gk_wire::request::RequestView::decode(payload).is_ok());
                        let mut head = HeadWriter::begin(&mut out, id, frame::HAS_LENGTH, 200, b"OK", 0.0);
                        head.header(b"Content-Type", b"text/plain");
                        head.header(b"Content-Length", b"13");
                        head.finish();
                        ToFrontFrame::Data { id, end: true, data: b"Hello, world!" }.encode(&mut out);
                    }
                    Ok(ToWorkerFrame::Drain) => return,
                    _ => {}
                }
                at += used;
            }
            input.copy_within(at..filled, 0);
            filled -= at;
            if sender.send(&out).is_err() {
                return;
            }
            out.clear();
        }
    }
}

fn front(port: u16) {
    use gk_config::site::*;
    use gk_messages::encode;
    use gk_sys::descriptors;
    use gk_wire::control::ToFront;
    use std::os::fd::AsFd;
    let mut group = ProcessGroup::named("g");
    group.threads = 1;
    let settings = Settings { application_group: Some("%{GLOBAL}".into()), ..Settings::default() };
    let access_logs = match std::env::var("ACCESS_LOG") {
        Ok(path) => vec![AccessLog {
            path: Some(path.into()),
            format: "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\"".into(),
            form: LogForm::Text,
            when: None,
        }],
        Err(_) => Vec::new(),
    };
    let site = Site {
        server_root: std::env::temp_dir(),
        listen_implied: false,
        admin_implied: false,
        listen: Vec::new(),
        pid_file: None,
        user: None,
        group: None,
        error_log: ErrorLog::default(),
        http: HttpLimits { max_keep_alive_requests: 0, ..HttpLimits::default() },
        python: PythonOptions::default(),
        groups: vec![group],
        hosts: vec![Host {
            server_name: None,
            server_port: None,
            aliases: Vec::new(),
            addresses: Vec::new(),
            server_admin: None,
            document_root: None,
            mounts: vec![Mount::new("", MountTarget::File("/srv/app.wsgi".into()))],
            statics: Vec::new(),
            base: settings,
            sections: Vec::new(),
            read_timeouts: ReadTimeouts::default(),
            protocols: Protocols::default(),
            http2: Http2::default(),
            access_logs,
            remote: gk_rules::remote::RemoteIp::default(),
            error_log: None,
            encoded_slashes: Default::default(),
            tls: None,
        }],
        imports: Vec::new(),
        interpreters: Vec::new(),
        admin: None,
        measurements: gk_config::measurements::Measurements::default(),
        files: Vec::new(),
        supervision: gk_config::site::Supervision::default(),
        embedded: false,
        proxy_protocol: None,
    };
    let open = |path: &std::path::Path| std::fs::OpenOptions::new().create(true).append(true).open(path);
    let files = site.access_log_files().into_iter().flatten();
    let access = files.map(|path| open(path).expect("the access log can be written").into()).collect();
    let logs = gk_front::Logs { access, lost: None };
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).expect("the port is free");
    let address = listener.local_addr().expect("bound");
    println!("http://{address}/");
    let (control, theirs) = descriptors::packet_pair().expect("a socket pair");
    let (mine, link) = descriptors::stream_pair().expect("a socket pair");
    let page = gk_sys::memory::SharedPage::create().expect("a page");
    let message =
        ToFront::Worker { worker: 1, process_group: "g".into(), pid: 1, threads: 1, imported: true };
    descriptors::send(&control, &encode(&message), &[link.as_fd(), page.as_fd()]).expect("sent");
    drop(link);
    std::thread::Builder::new()
        .name("worker".into())
        .spawn(move || worker::run(mine, page))
        .expect("a thread");
    let listeners =
        vec![(gk_wire::setup::ListenerSetup { address: address.to_string(), tls: false }, listener.into())];
    let parts = gk_front::Parts {
        site,
        generation: 1,
        listeners,
        admin: None,
        admin_command: Vec::new(),
        log: gk_wire::setup::LogSetup::default(),
        control: theirs,
        certificates: Default::default(),
        folder: std::env::temp_dir(),
        logs,
        secret: Vec::new(),
        passing: None,
        embedded: false,
    };
    gk_front::serve(parts).expect("serves");
    drop(control);
}

fn hyper_alone(port: u16) {
    use hyper::service::service_fn;
    use hyper_util::rt::TokioIo;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await.expect("the port is free");
        println!("http://{}/", listener.local_addr().expect("bound"));
        loop {
            let (stream, _) = listener.accept().await.expect("accepted");
            let _ = stream.set_nodelay(true);
            tokio::task::spawn_local(async move {
                let service = service_fn(|_| async {
                    let body = http_body_util::Full::new(bytes::Bytes::from_static(b"Hello, world!"));
                    Ok::<_, std::convert::Infallible>(hyper::Response::new(body))
                });
                let mut builder = hyper::server::conn::http1::Builder::new();
                builder.header_read_timeout(None).half_close(true);
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }));
}
