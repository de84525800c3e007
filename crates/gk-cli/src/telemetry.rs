//! `gilkeeper telemetry serve`: the dashboard for what other servers tell.

use crate::{Failure, print};
use clap::ArgMatches;
use gk_admin::collector::{Options, serve};
use gk_config::measurements::AdminTls;
use gk_wire::log::{Area, Level};
use gk_wire::setup::LogSetup;
use std::path::PathBuf;

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let Some(("serve", given)) = given.subcommand() else {
        return Err(Failure::Input("`gilkeeper telemetry serve` is the only command of it".into()));
    };
    let text = |name: &str| given.get_one::<String>(name).cloned();
    let directory =
        given.get_one::<PathBuf>("directory").cloned().unwrap_or_else(|| "gilkeeper-telemetry".into());
    let mut datagrams = match text("listen-datagrams") {
        Some(text) => match text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            Some(path) => Some(PathBuf::from(path)),
            None => {
                let text = format!("--listen-datagrams takes unix:/path, not `{text}`");
                return Err(Failure::Input(text));
            }
        },
        None => None,
    };
    let otlp = text("otlp");
    if datagrams.is_none() && otlp.is_none() {
        datagrams = Some(directory.join("telemetry.sock"));
    }
    let mode = text("socket-mode").unwrap_or_else(|| "0660".into());
    let mode = u32::from_str_radix(&mode, 8).ok().filter(|mode| *mode <= 0o777).ok_or_else(|| {
        Failure::Input(format!("--socket-mode takes an octal number like 0660, not `{mode}`"))
    })?;
    let pages = text("listen").unwrap_or_else(|| "127.0.0.1:8002".into());
    for (option, address) in [("--listen", Some(&pages)), ("--otlp", otlp.as_ref())] {
        if let Some(address) = address
            && address.parse::<std::net::SocketAddr>().is_err()
        {
            let text = format!("{option} takes IP:PORT (127.0.0.1:8002, [::]:8002), not `{address}`");
            return Err(Failure::Input(text));
        }
    }
    let tls = match (text("certificate"), text("key")) {
        (Some(certificate), Some(key)) => Some(AdminTls {
            certificate: certificate.into(),
            key: key.into(),
            client_authorities: text("client-ca").map(PathBuf::from),
        }),
        (None, None) if text("client-ca").is_none() => None,
        _ => {
            return Err(Failure::Input("--certificate and --key go together; --client-ca needs both".into()));
        }
    };
    let scheme = if tls.is_some() { "https" } else { "http" };
    gk_sys::log::configure(&LogSetup { level: Level::Notice, ..LogSetup::default() }, Area::Admin);
    let options = Options { datagrams, mode, pages, otlp, tls, directory };
    let shown = options.datagrams.as_ref().map(|path| format!("; datagrams at unix:{}", path.display()));
    let ready = |pages: &str, otlp: Option<&str>| {
        let otlp = otlp.map(|address| format!("; OTLP at http://{address}/v1/metrics"));
        let line = format!(
            "Showing {scheme}://{pages}/{}{}",
            shown.as_deref().unwrap_or_default(),
            otlp.unwrap_or_default()
        );
        print(&line);
    };
    serve(&options, ready).map(|()| 0).map_err(Failure::Input)
}
