//! The versions of HTTP that a host speaks, and the bounds of its HTTP/2 connections.

use serde::{Deserialize, Serialize};

/// `Protocols`. HTTP/1.1 is spoken in any case, as Apache does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Protocols {
    /// `http/1.1` is named.
    pub http1: bool,
    /// `h2`: HTTP/2 over TLS, offered by ALPN.
    pub h2: bool,
    /// `h2c`: HTTP/2 without TLS, from the first byte on.
    pub h2c: bool,
}

impl Protocols {
    /// Apache's default: HTTP/1.1 alone.
    pub const STANDARD: Self = Self { http1: true, h2: false, h2c: false };
}

impl Default for Protocols {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// What the directives of mod_http2 say about connections.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Http2 {
    /// `H2Direct`: a connection may begin with HTTP/2. Without it, one without TLS may and one over TLS may not: it has ALPN.
    pub direct: Option<bool>,
    /// `H2MaxSessionStreams`: requests at once on one connection.
    pub max_session_streams: u32,
    /// `H2WindowSize`: bytes of one request body that may be on their way.
    pub window_size: u32,
    /// `H2MaxDataFrameLen`: most bytes of a response in one frame; 0 = as many as the client takes.
    pub max_data_frame_len: u32,
    /// `H2MaxStreamErrors`: malformed requests on one connection after which it ends; 0 = any number.
    pub max_stream_errors: u32,
    /// `H2StreamTimeout`: seconds that a body or a response may stall; `None`: `Timeout`. 0 = for ever.
    pub stream_timeout: Option<f64>,
}

impl Http2 {
    /// Apache's defaults.
    pub const STANDARD: Self = Self {
        direct: None,
        max_session_streams: 100,
        window_size: 65_535,
        max_data_frame_len: 0,
        max_stream_errors: 8,
        stream_timeout: None,
    };

    /// Whether a connection may begin with HTTP/2, where that is spoken.
    pub fn is_direct(&self, tls: bool) -> bool {
        self.direct.unwrap_or(!tls)
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// The same as a host says it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Http2Patch {
    pub(crate) direct: Option<bool>,
    pub(crate) max_session_streams: Option<u32>,
    pub(crate) window_size: Option<u32>,
    pub(crate) max_data_frame_len: Option<u32>,
    pub(crate) max_stream_errors: Option<u32>,
    pub(crate) stream_timeout: Option<f64>,
}

impl Http2Patch {
    /// A virtual host takes from the main server what it does not say.
    pub(crate) fn over(&self, main: &Self) -> Http2 {
        let standard = Http2::STANDARD;
        let number = |own: Option<u32>, main: Option<u32>, standard| own.or(main).unwrap_or(standard);
        Http2 {
            direct: self.direct.or(main.direct),
            max_session_streams: number(
                self.max_session_streams,
                main.max_session_streams,
                standard.max_session_streams,
            ),
            window_size: number(self.window_size, main.window_size, standard.window_size),
            max_data_frame_len: number(
                self.max_data_frame_len,
                main.max_data_frame_len,
                standard.max_data_frame_len,
            ),
            max_stream_errors: number(
                self.max_stream_errors,
                main.max_stream_errors,
                standard.max_stream_errors,
            ),
            stream_timeout: self.stream_timeout.or(main.stream_timeout),
        }
    }
}
