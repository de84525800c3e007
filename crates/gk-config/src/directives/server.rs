//! The HTTP server: names, limits, timeouts, identity. Its addresses are [`listen`](mod@listen)'s.

mod listen;

pub mod http2;

use super::raw::Need;
use crate::diagnostic::Complaint;
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::measurements::AdminTls;
use crate::site::ReadTimeout;
use crate::token::Word;
use crate::values;
use gk_options::Kind;
use listen::listen;

const GLOBAL: Contexts = Contexts::GLOBAL;
const SERVER: Contexts = Contexts::SERVER;
const ONE: Arity = Arity::exactly(1);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("Listen", "[address:]port [http|https] [ipv6only=on|off] | unix:/path [mode=octal] [owner=user] [group=group] | systemd:name", GLOBAL, Arity::options(1), listen)
        .default("the ports of the virtual hosts, else 8000")
        .doc("An address to accept connections on; may be repeated. Port 0 takes any free port. `https` means TLS; the hosts of that \
              port must then have `SSLEngine On`. A virtual host whose port is not listened on is an error. `mode`, `owner` and \
              `group` are those of the socket's file; without them everybody may connect to it (0666). A port without an address, \
              and `[::]`, also accept IPv4, unless `ipv6only=on` is given or `0.0.0.0` is listened on at that port as well. \
              `systemd:name` is every socket that the service manager passes under that name; a socket that it passes for an address \
              written here is used for that address."),
    Directive::honoured("ServerName", "[scheme://]name[:port]", SERVER, ONE, server_name)
        .doc("The name of the server: selects virtual hosts, and is `SERVER_NAME`."),
    Directive::honoured("ServerAlias", "name …", SERVER, Arity::at_least(1), server_alias)
        .doc("More names of a virtual host; `*` and `?` are wildcards."),
    Directive::honoured("ServerAdmin", "address", SERVER, ONE, server_admin)
        .doc("`SERVER_ADMIN` of the application."),
    Directive::honoured("ServerRoot", "directory", GLOBAL, ONE, server_root)
        .default("a folder of the project in `$XDG_STATE_HOME/gilkeeper` for state; the directory of the configuration file for relative paths")
        .doc("The directory for the control socket, the pid file and other state, unless `--server-root` names another; relative \
              paths start there."),
    Directive::honoured("PidFile", "path", GLOBAL, ONE, pid_file)
        .default("gilkeeper.pid in the server root").doc("The file for the process id of the supervisor."),
    Directive::honoured("User", "name|#id", GLOBAL, ONE, user)
        .default("the user that started the server").doc("The user that front and workers run as when root starts the server."),
    Directive::honoured("Group", "name|#id", GLOBAL, ONE, group)
        .default("the user's group").doc("The group that front and workers run as when root starts the server."),
    Directive::honoured("Timeout", "seconds", SERVER, ONE, timeout)
        .default("60").doc("The time for which reading from or writing to the client may stall. A value in a virtual host is ignored, with a \
            warning."),
    Directive::honoured("KeepAlive", "On|Off", SERVER, ONE, keep_alive)
        .default("On").doc("Allows several requests on one connection. A value in a virtual host is ignored, with a warning."),
    Directive::honoured("KeepAliveTimeout", "seconds", SERVER, ONE, keep_alive_timeout)
        .default("5").doc("The time that a connection may wait for its next request. A value in a virtual host is ignored, with a warning."),
    Directive::honoured("MaxKeepAliveRequests", "number", SERVER, ONE, max_keep_alive_requests)
        .default("100, with HTTP/2 0").doc("Requests on one connection; 0 means no limit. A value in a virtual host is ignored, with a warning."),
    Directive::honoured("LimitRequestLine", "bytes", SERVER, ONE, limit_request_line)
        .default("8190").doc("Longest request line; requests with a longer one get 414. A value in a virtual host is ignored, \
            with a warning."),
    Directive::honoured("LimitRequestFields", "number", SERVER, ONE, limit_request_fields)
        .default("100").doc("Most header fields of a request; with more it gets 431. 0 means no limit. A value in a virtual host \
            is ignored, with a warning."),
    Directive::honoured("LimitRequestFieldSize", "bytes", SERVER, ONE, limit_request_field_size)
        .default("8190").doc("Longest header field; requests with a longer one, or with a head larger than about 1 MiB, get 431. A \
              value in a virtual host is ignored, with a warning."),
    Directive::honoured("RequestReadTimeout", "[handshake=time] [header=time] [body=time], each seconds[[-longest],MinRate=bytes]", SERVER, Arity::at_least(1), request_read_timeout)
        .default("handshake=0 header=20-40,MinRate=500 body=20,MinRate=500")
        .doc("The time for a whole request head and a whole request body. Each `MinRate` bytes received add a second, up to \
              `longest`. 0 means no limit. A client that is too slow gets 408. The time for heads is that of the first virtual host \
              of the address, the time for bodies that of the request's host. `handshake` is for TLS."),
    Directive::honoured("ListenBacklog", "number", GLOBAL, ONE, listen_backlog)
        .default("2048").doc("How many connections may wait in the kernel until they are accepted, at most `net.core.somaxconn`. Apache's \
            default is 511."),
    Directive::honoured("GilkeeperAdmin", "host:port|off [token=auto|always]", GLOBAL, Arity::between(1, 2), admin)
        .default("127.0.0.1:8001 token=auto").ours()
        .doc("The address of the dashboard, the metrics and the health checks. If another program uses the default address, a free \
              port is taken and printed at the start; an address that you name must be free. Everything except the health checks \
              asks for the token in the file `admin.token` of the server root. On a loopback address it does so only with \
              `token=always`; otherwise every user of the machine can read client addresses and stacks of requests."),
    Directive::honoured("GilkeeperAdminTLS", "certificate=file key=file [client-ca=file]", GLOBAL, Arity::options(2), admin_tls)
        .ours().doc("Uses TLS on the admin address. Files are in PEM format. With `client-ca`, a client with a certificate of these \
              authorities needs no token."),
    Directive::honoured("GilkeeperMaxConnections", "number", GLOBAL, ONE, max_connections)
        .default("0").ours().doc("Most connections at once; 0 means as many as the front can have file descriptors for. When the limit is reached, \
            the connection that has been idle longest gives way to a new one."),
    Directive::honoured("GilkeeperMaxConnectionsPerAddress", "number", GLOBAL, ONE, max_connections_per_address)
        .default("0").ours().doc("Most connections at once from one client address; further ones are closed at once. IPv6 addresses count by /64. \
            The address is that of the connection, or with the PROXY protocol that of the client it names. Trusted proxies \
            (`WSGITrustedProxies`, `RemoteIPInternalProxy`, `RemoteIPTrustedProxy`) and Unix sockets have no limit. 0 means no \
            limit for all. In embedded mode and with several fronts each process counts for itself, so N of them allow an \
            address up to N times as many."),
    Directive::honoured("GilkeeperFrontTimeout", "seconds", GLOBAL, ONE, front_timeout)
        .default("15").ours().doc("The time without a sign of life after which the front, each of several fronts, or the admin process is replaced; 0 means never. A front \
            in a debugger is left alone."),
    Directive::honoured("GilkeeperKeepTrying", "On|Off", GLOBAL, ONE, keep_trying)
        .default("Off").ours().doc("Continues when no process of a group could import its applications at the start. Off: the server prints why and \
            ends with exit code 3."),
    Directive::honoured("GilkeeperBodyBufferSize", "bytes", GLOBAL, ONE, body_buffer_size)
        .default("131072").ours().doc("The part of a request body that is kept in memory; a longer body goes into a temporary file in the server root."),
    Directive::honoured("GilkeeperResponseMemory", "bytes", GLOBAL, ONE, response_memory)
        .default("67108864").ours().doc("The memory that all responses waiting for slow clients may use together. Above it, their bytes go to files earlier \
            than `response-buffer-size` says."),
    Directive::honoured("GilkeeperResponseSpool", "bytes", GLOBAL, ONE, response_spool)
        .default("1073741824").ours().doc("The bytes that all responses waiting for slow clients may have in temporary files in the server root, at most half \
            of the free space there. One client address may use a quarter of it, and always one `response-spool-size`. Above \
            it, request threads wait for their clients."),
];

fn server_name(scope: &mut Scope, words: &[Word]) -> Applied {
    let text = words[0].text.as_str();
    let bare = text.split_once("://").map_or(text, |(_, rest)| rest);
    let (name, port) = match bare.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
            let port = port.parse::<u16>().map_err(|_| {
                Complaint::error(format!("ServerName takes a name with an optional port, not `{text}`"))
                    .at(&words[0])
            })?;
            (name, Some(port))
        }
        _ => (bare, None),
    };
    if name.is_empty() || name.contains(['/', ' ']) {
        return Err(Complaint::error(format!("ServerName takes a name with an optional port, not `{text}`"))
            .at(&words[0]));
    }
    let name = name.to_ascii_lowercase();
    let host = scope.host();
    host.server_name = Some(name);
    host.server_port = port;
    Ok(())
}

fn server_alias(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().aliases.extend(words.iter().map(|w| w.text.to_ascii_lowercase()));
    Ok(())
}

fn server_admin(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.host().server_admin = Some(words[0].text.clone());
    Ok(())
}

fn server_root(scope: &mut Scope, _: &[Word]) -> Applied {
    // Read before all directives are applied, because relative paths start there.
    scope.raw.server_root = Some(scope.base.to_owned());
    Ok(())
}

fn pid_file(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.pid_file = Some(scope.path(&words[0].text));
    Ok(())
}

fn user(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = values::identity("User", &words[0], &words[0].text)?;
    scope.need_identity(Need::User, &name, &words[0]);
    scope.raw.user = Some(name);
    Ok(())
}

fn group(scope: &mut Scope, words: &[Word]) -> Applied {
    let name = values::identity("Group", &words[0], &words[0].text)?;
    scope.need_identity(Need::Group, &name, &words[0]);
    scope.raw.group = Some(name);
    Ok(())
}

/// Says that the front has one value for all hosts, where a virtual host sets its own.
fn only_main(scope: &mut Scope) -> bool {
    if scope.is_main() {
        return true;
    }
    let message =
        format!("{} holds for the whole server; the value of a virtual host is ignored", scope.name);
    scope.say(Complaint::warning(message).ignored().hint("move it out of the virtual host"));
    false
}

fn timeout(scope: &mut Scope, words: &[Word]) -> Applied {
    let seconds = values::positive_seconds(scope.name, &words[0], &words[0].text)?;
    if only_main(scope) {
        scope.raw.http.timeout = seconds;
    }
    Ok(())
}

fn keep_alive(scope: &mut Scope, words: &[Word]) -> Applied {
    let on = values::switch(scope.name, &words[0], &words[0].text)?;
    if only_main(scope) {
        scope.raw.http.keep_alive = on;
    }
    Ok(())
}

fn keep_alive_timeout(scope: &mut Scope, words: &[Word]) -> Applied {
    let seconds = match words[0].text.strip_suffix("ms") {
        Some(ms) => values::seconds(scope.name, &words[0], ms)? / 1000.0,
        None => values::seconds(scope.name, &words[0], &words[0].text)?,
    };
    if only_main(scope) {
        scope.raw.http.keep_alive_timeout = seconds;
    }
    Ok(())
}

fn max_keep_alive_requests(scope: &mut Scope, words: &[Word]) -> Applied {
    let number = values::whole(scope.name, &words[0], &words[0].text, 0..=Kind::MOST, "requests")?;
    if only_main(scope) {
        scope.raw.http.max_keep_alive_requests = number;
        scope.raw.http.http2_requests = number;
    }
    Ok(())
}

fn limit(scope: &mut Scope, words: &[Word], least: u64, unit: &str) -> Result<Option<usize>, Complaint> {
    let number = values::whole(scope.name, &words[0], &words[0].text, least..=u64::from(u32::MAX), unit)?;
    Ok(only_main(scope).then_some(usize::try_from(number).unwrap_or(usize::MAX)))
}

fn limit_request_line(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 1, "bytes")? {
        scope.raw.http.limit_request_line = number;
    }
    Ok(())
}

fn limit_request_fields(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "header fields")? {
        scope.raw.http.limit_request_fields = number;
    }
    Ok(())
}

fn limit_request_field_size(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 1, "bytes")? {
        scope.raw.http.limit_request_field_size = number;
    }
    Ok(())
}

fn request_read_timeout(scope: &mut Scope, words: &[Word]) -> Applied {
    for word in words {
        let lower = word.text.to_ascii_lowercase();
        let wrong = |why: &str| {
            let message = format!("RequestReadTimeout cannot take `{}`: {why}", word.text);
            Complaint::error(message).at(word).hint("it takes header=20-40,MinRate=500 body=20,MinRate=500")
        };
        let (stage, value) = lower.split_once('=').ok_or_else(|| wrong("it has no `=`"))?;
        if !matches!(stage, "handshake" | "header" | "body") {
            return Err(wrong("the stages are handshake, header and body"));
        }
        let (range, rate) = match value.split_once(",minrate=") {
            Some((range, rate)) => (range, Some(rate)),
            None => (value, None),
        };
        let (first, longest) = match range.split_once('-') {
            Some((first, longest)) => (first, Some(longest)),
            None => (range, None),
        };
        if longest.is_some() && rate.is_none() {
            return Err(wrong("a range needs a MinRate"));
        }
        let seconds = |text: &str| values::seconds("RequestReadTimeout", word, text);
        let time = ReadTimeout {
            seconds: seconds(first)?,
            longest: longest.map_or(Ok(0.0), seconds)?,
            min_rate: match rate {
                Some(rate) => {
                    values::whole("MinRate", word, rate, 1..=u64::from(u32::MAX), "bytes per second")?
                }
                None => 0,
            },
        };
        if time.longest > 0.0 && time.seconds >= time.longest {
            return Err(wrong("the longest time has to be greater than the first"));
        }
        match stage {
            "header" => scope.host().header_timeout = Some(time),
            "body" => scope.host().body_timeout = Some(time),
            _ => scope.host().handshake_timeout = Some(time),
        }
    }
    Ok(())
}

fn listen_backlog(scope: &mut Scope, words: &[Word]) -> Applied {
    let number = values::whole(scope.name, &words[0], &words[0].text, 1..=65535, "connections")?;
    scope.raw.http.listen_backlog = u32::try_from(number).unwrap_or(u32::MAX);
    Ok(())
}

fn admin(scope: &mut Scope, words: &[Word]) -> Applied {
    let text = &words[0].text;
    let place = if text.eq_ignore_ascii_case("off") {
        None
    } else {
        let ok =
            text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
        if !ok {
            let message = format!("GilkeeperAdmin takes host:port or off, not `{text}`");
            return Err(Complaint::error(message).at(&words[0]));
        }
        Some(text.clone())
    };
    scope.raw.admin = Some(place);
    // The address alone, as `--admin` gives it after the file, leaves the token as it is.
    if let Some(word) = words.get(1) {
        let Some((_, value)) = word.text.split_once('=').filter(|(name, _)| *name == "token") else {
            let message = format!("GilkeeperAdmin takes token=auto or token=always, not `{}`", word.text);
            return Err(Complaint::error(message).at(word));
        };
        let value = values::one_of("token= of GilkeeperAdmin", word, value, &["auto", "always"])?;
        scope.raw.measurements.admin_token = value == "always";
    }
    Ok(())
}

fn admin_tls(scope: &mut Scope, words: &[Word]) -> Applied {
    let (mut certificate, mut key, mut client_authorities) = (None, None, None);
    for word in words {
        let place = match word.text.split_once('=') {
            Some(("certificate", path)) if !path.is_empty() => (&mut certificate, path),
            Some(("key", path)) if !path.is_empty() => (&mut key, path),
            Some(("client-ca", path)) if !path.is_empty() => (&mut client_authorities, path),
            _ => {
                let message = "GilkeeperAdminTLS takes certificate=file, key=file and client-ca=file";
                return Err(Complaint::error(format!("{message}, not `{}`", word.text)).at(word));
            }
        };
        *place.0 = Some(scope.path(place.1));
    }
    let (Some(certificate), Some(key)) = (certificate, key) else {
        return Err(Complaint::error("GilkeeperAdminTLS needs certificate= and key=").at(&words[0]));
    };
    scope.raw.measurements.admin_tls = Some(AdminTls { certificate, key, client_authorities });
    Ok(())
}

fn max_connections(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "connections")? {
        scope.raw.http.max_connections = number;
    }
    Ok(())
}

fn front_timeout(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.supervision.front_timeout = values::seconds(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

fn keep_trying(scope: &mut Scope, words: &[Word]) -> Applied {
    scope.raw.supervision.keep_trying = values::switch(scope.name, &words[0], &words[0].text)?;
    Ok(())
}

fn max_connections_per_address(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "connections")? {
        scope.raw.http.max_connections_per_address = number;
    }
    Ok(())
}

fn body_buffer_size(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "bytes")? {
        scope.raw.http.body_buffer_size = number;
    }
    Ok(())
}

fn response_memory(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "bytes")? {
        scope.raw.http.response_memory = number as u64;
    }
    Ok(())
}

fn response_spool(scope: &mut Scope, words: &[Word]) -> Applied {
    if let Some(number) = limit(scope, words, 0, "bytes")? {
        scope.raw.http.response_spool = number as u64;
    }
    Ok(())
}
