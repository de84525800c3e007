//! The dashboard's files, compiled into the program.

/// A file of the dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Asset {
    /// Its path on the server.
    pub path: &'static str,
    /// Media type.
    pub kind: &'static str,
    /// Contents.
    pub bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// All files.
pub const ASSETS: &[Asset] = &[
    Asset { path: "/", kind: HTML, bytes: include_bytes!("../../web/index.html") },
    Asset { path: "/app.js", kind: SCRIPT, bytes: include_bytes!("../../web/app.js") },
    Asset { path: "/charts.js", kind: SCRIPT, bytes: include_bytes!("../../web/charts.js") },
    Asset { path: "/dom.js", kind: SCRIPT, bytes: include_bytes!("../../web/dom.js") },
    Asset { path: "/events.js", kind: SCRIPT, bytes: include_bytes!("../../web/events.js") },
    Asset { path: "/figures.js", kind: SCRIPT, bytes: include_bytes!("../../web/figures.js") },
    Asset { path: "/gil.js", kind: SCRIPT, bytes: include_bytes!("../../web/gil.js") },
    Asset { path: "/heat.js", kind: SCRIPT, bytes: include_bytes!("../../web/heat.js") },
    Asset { path: "/holders.js", kind: SCRIPT, bytes: include_bytes!("../../web/holders.js") },
    Asset { path: "/overview.js", kind: SCRIPT, bytes: include_bytes!("../../web/overview.js") },
    Asset { path: "/pages.js", kind: SCRIPT, bytes: include_bytes!("../../web/pages.js") },
    Asset { path: "/processes.js", kind: SCRIPT, bytes: include_bytes!("../../web/processes.js") },
    Asset { path: "/profile.js", kind: SCRIPT, bytes: include_bytes!("../../web/profile.js") },
    Asset { path: "/requests.js", kind: SCRIPT, bytes: include_bytes!("../../web/requests.js") },
    Asset { path: "/routes.js", kind: SCRIPT, bytes: include_bytes!("../../web/routes.js") },
    Asset { path: "/series.js", kind: SCRIPT, bytes: include_bytes!("../../web/series.js") },
    Asset { path: "/units.js", kind: SCRIPT, bytes: include_bytes!("../../web/units.js") },
    Asset { path: "/style.css", kind: STYLE, bytes: include_bytes!("../../web/style.css") },
    Asset { path: "/uplot.js", kind: SCRIPT, bytes: include_bytes!("../../web/vendor/uPlot.esm.js") },
    Asset { path: "/uplot.css", kind: STYLE, bytes: include_bytes!("../../web/vendor/uPlot.min.css") },
    Asset {
        path: "/uplot-license.txt",
        kind: "text/plain; charset=utf-8",
        bytes: include_bytes!("../../web/vendor/LICENSE"),
    },
];

/// The file under a path.
pub fn find(path: &str) -> Option<Asset> {
    ASSETS.iter().find(|asset| asset.path == path).copied()
}
