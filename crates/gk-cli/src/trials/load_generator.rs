//! `gilkeeper load URL`: the load generator by itself.

use crate::arguments::{many, option};
use crate::{Failure, print};
use clap::{Arg, ArgAction, ArgMatches, Command};
use gk_load::run::LONGEST;
use gk_load::{Load, Moment, Pace, Request, Target, cpus, mix, replay, request, text};
use gk_sys::signal::{SIGINT, SIGTERM, Signals};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The command and what it takes.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    Command::new("load")
        .about("Put a server under load and measure its latency")
        .arg(Arg::new("url").value_name("URL").required(true).help("http://HOST[:PORT][/PATH]."))
        .arg(option("connections", "N", "Number of connections [default: 10].").short('c'))
        .arg(option("duration", "SECONDS", "Measured time [default: 10 s].").short('d'))
        .arg(option("warm-up", "SECONDS", "Time of load before the measured time [default: 0 s]."))
        .arg(
            option("rate", "N", "Requests a second in an open loop; latency counts from the moment each is due [default: closed loop].")
                .short('R'),
        )
        .arg(option("threads", "N", "Threads of the generator [default: 1].").short('t'))
        .arg(option("timeout", "SECONDS", "Time limit of one request [default: 10 s]."))
        .arg(flag("no-keep-alive", "Open a connection for each request."))
        .arg(flag("no-pin", "Do not keep the generator on cores of its own."))
        .arg(option("method", "NAME", "Method of the requests [default: GET, with a body POST].").short('X'))
        .arg(many(option("path", "PATH[=WEIGHT]", "Path instead of the URL's; several make a mix by weight. Behind a query the weight follows a second `=`, as in /s?q=x=3.")))
        .arg(many(option("header", "NAME: VALUE", "Header of each request; repeat the option for more.").short('H')))
        .arg(option("headers-file", "FILE", "File of headers, one a line."))
        .arg(option("body", "TEXT", "Body of each request.").conflicts_with("body-file"))
        .arg(option("body-file", "FILE", "File with the body of each request."))
        .arg(many(option("cookie", "NAME=VALUE", "Cookie of each request; repeat the option for more.")))
        .arg(flag("keep-cookies", "Send the cookies that responses set, on each connection its own."))
        .arg(option("replay", "FILE", "Replay the requests of an access log at their times.").conflicts_with_all([
            "rate",
            "path",
            "method",
            "body",
            "body-file",
        ]))
        .arg(option("replay-speed", "FACTOR", "Replay this many times faster [default: 1].").requires("replay"))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("How to print the result."),
        )
}

/// A number within these bounds.
pub fn number(
    given: &ArgMatches,
    name: &str,
    otherwise: f64,
    bounds: RangeInclusive<f64>,
) -> Result<f64, Failure> {
    let Some(text) = given.get_one::<String>(name) else { return Ok(otherwise) };
    match text.parse::<f64>() {
        Ok(number) if bounds.contains(&number) => Ok(number),
        _ => {
            let (least, most) = bounds.into_inner();
            Err(Failure::Input(format!("--{name} takes a number from {least} to {most}, not `{text}`")))
        }
    }
}

fn whole(given: &ArgMatches, name: &str, otherwise: usize) -> Result<usize, Failure> {
    let Some(text) = given.get_one::<String>(name) else { return Ok(otherwise) };
    let wrong = || Failure::Input(format!("--{name} takes a whole number from 1 on, not `{text}`"));
    text.parse().ok().filter(|number| *number > 0).ok_or_else(wrong)
}

fn file(path: &str) -> Result<Vec<u8>, Failure> {
    gk_sys::whole_file::read(Path::new(path))
        .map_err(|why| Failure::Input(format!("{path} cannot be read: {why}")))
}

fn requests(given: &ArgMatches, target: &Target) -> Result<Vec<Request>, Failure> {
    let many = |name: &str| given.get_many::<String>(name).into_iter().flatten();
    let mut one = Request::get(&target.path);
    if let Some(body) = given.get_one::<String>("body") {
        one.body = body.clone().into_bytes();
    }
    if let Some(path) = given.get_one::<String>("body-file") {
        one.body = file(path)?;
    }
    let usual = if one.body.is_empty() { "GET" } else { "POST" };
    one.method = given.get_one::<String>("method").cloned().unwrap_or_else(|| usual.into());
    let listed = match given.get_one::<String>("headers-file") {
        Some(path) => String::from_utf8_lossy(&file(path)?).into_owned(),
        None => String::new(),
    };
    let lines = listed.lines().filter(|line| !line.trim().is_empty());
    for line in lines.chain(many("header").map(String::as_str)) {
        one.headers.push(request::header(line).map_err(Failure::Input)?);
    }
    for cookie in many("cookie") {
        let wrong = || Failure::Input(format!("--cookie: NAME=VALUE, not `{cookie}`"));
        let (name, value) = cookie.split_once('=').ok_or_else(wrong)?;
        one.cookies.insert(name.into(), value.into());
    }
    let paths: Vec<Request> = many("path")
        .map(|text| {
            let (path, weight) = mix::weighed(text);
            Request { path: path.into(), weight, ..one.clone() }
        })
        .collect();
    Ok(if paths.is_empty() { vec![one] } else { paths })
}

/// The load that the arguments describe, and in words.
fn load(given: &ArgMatches) -> Result<(Load, String), Failure> {
    let url = given.get_one::<String>("url").cloned().unwrap_or_default();
    let target = Target::parse(&url).map_err(Failure::Input)?;
    let seconds = |name, otherwise, least| {
        number(given, name, otherwise, least..=LONGEST.as_secs_f64()).map(Duration::from_secs_f64)
    };
    let mut load = Load::new(target.clone(), seconds("duration", 10.0, 0.05)?);
    load.requests = requests(given, &target)?;
    (load.connections, load.threads) = (whole(given, "connections", 10)?, whole(given, "threads", 1)?);
    (load.warm_up, load.timeout) = (seconds("warm-up", 0.0, 0.0)?, seconds("timeout", 10.0, 0.001)?);
    (load.keep_alive, load.keep_cookies) = (!given.get_flag("no-keep-alive"), given.get_flag("keep-cookies"));
    if given.contains_id("rate") {
        load.pace = Pace::Rate(number(given, "rate", 1.0, 0.01..=1e7)?);
    }
    let mut what = format!("{} {url}, {} connection(s)", load.requests[0].method, load.connections);
    if let Some(path) = given.get_one::<String>("replay") {
        let text = String::from_utf8_lossy(&file(path)?).into_owned();
        let speed = number(given, "replay-speed", 1.0, 0.001..=1e6)?;
        let read = replay::read(&text, speed).map_err(|why| Failure::Input(format!("{path}: {why}")))?;
        what = format!("{path} to {url}, {} requests, {} lines skipped", read.schedule.len(), read.skipped);
        let last = read.schedule.last().map_or(0, |(at, _)| *at);
        if !given.contains_id("duration") {
            load.duration = (Duration::from_nanos(last) + Duration::from_secs(1)).min(LONGEST);
        }
        // Method and path are the log's; what else was said is for all of them.
        let said = load.requests.swap_remove(0);
        let with = |one: Request| Request { method: one.method, path: one.path, ..said.clone() };
        load.requests = read.requests.into_iter().map(with).collect();
        load.pace = Pace::Schedule(Arc::new(read.schedule));
    }
    if let Pace::Rate(rate) = load.pace {
        what = format!("{what}, {rate} requests a second");
    }
    if !given.get_flag("no-pin")
        && let Some((mine, _)) = cpus::divide(&cpus::allowed(), load.threads)
    {
        load.cpus = mine;
    }
    Ok((load, what))
}

pub fn run(given: &ArgMatches) -> Result<i32, Failure> {
    let (load, what) = load(given)?;
    // Ctrl-C keeps what was measured.
    let mut signals = Signals::new(&[SIGINT, SIGTERM])
        .map_err(|e| Failure::Failed(format!("signals cannot be caught: {e}")))?;
    let quiet = |moment: Moment| moment == Moment::End || signals.take().is_ok_and(|some| some.is_empty());
    let report = gk_load::run(&load, quiet).map_err(Failure::Failed)?;
    let open = load.pace != Pace::Closed;
    print(&match given.get_one::<String>("format").map(String::as_str) {
        Some("json") => format!("{:#}", text::json(&report, &what, open)),
        _ => text::page(&report, &what, open),
    });
    Ok(i32::from(report.responses == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(arguments: &[&str]) -> Result<Load, String> {
        let words = ["load", "http://127.0.0.1:80/"].iter().chain(arguments);
        match load(&command().try_get_matches_from(words).unwrap()) {
            Ok((load, _)) => Ok(load),
            Err(Failure::Input(why) | Failure::Failed(why)) => Err(why),
        }
    }

    #[test]
    fn numbers_have_bounds() {
        for (name, text) in [("duration", "1e30"), ("warm-up", "1e30"), ("timeout", "nan"), ("rate", "inf")] {
            let why = described(&[&format!("--{name}"), text]).unwrap_err();
            assert!(why.starts_with(&format!("--{name} takes a number from ")), "{why}");
        }
        assert_eq!(described(&["--duration", "0.5"]).unwrap().duration, Duration::from_millis(500));
    }

    #[test]
    fn what_is_said_beside_a_log_is_sent_with_each_of_its_requests() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let line = |second, path| {
            format!("h - - [21/Nov/2026:10:00:0{second} +0000] \"GET {path} HTTP/1.1\" 200 1\n")
        };
        std::fs::write(file.path(), line(0, "/a") + &line(2, "/b")).unwrap();
        let path = file.path().to_str().unwrap();
        let load = described(&["--replay", path, "--cookie", "s=1", "-H", "X-A: 2"]).unwrap();
        let said: Vec<&str> = load.requests.iter().map(|one| one.path.as_str()).collect();
        assert_eq!((said, load.duration), (vec!["/a", "/b"], Duration::from_secs(3)));
        for one in &load.requests {
            assert_eq!((one.cookies["s"].as_str(), one.headers.len()), ("1", 1));
        }
    }
}
