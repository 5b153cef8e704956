//! What the pages load: our own style and script, htmx, and uPlot. Nothing comes from elsewhere.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use trail::record::{digest, hex};

struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

static ALL: [Asset; 7] = [
    Asset { name: "page.css", kind: STYLE, bytes: include_bytes!("../assets/page.css") },
    Asset { name: "state.css", kind: STYLE, bytes: include_bytes!("../assets/state.css") },
    Asset { name: "page.js", kind: SCRIPT, bytes: include_bytes!("../assets/page.js") },
    Asset { name: "mark.svg", kind: "image/svg+xml", bytes: include_bytes!("../assets/mark.svg") },
    Asset { name: "htmx.js", kind: SCRIPT, bytes: include_bytes!("../assets/vendor/htmx/htmx.min.js") },
    Asset { name: "uplot.js", kind: SCRIPT, bytes: include_bytes!("../assets/vendor/uplot/uPlot.iife.min.js") },
    Asset { name: "uplot.css", kind: STYLE, bytes: include_bytes!("../assets/vendor/uplot/uPlot.min.css") },
];

/// Stands in their addresses, so that browsers may keep them and still see a change.
pub(crate) fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let all: Vec<u8> = ALL.iter().flat_map(|asset| digest(asset.bytes)).collect();
        hex(&digest(&all)[..6])
    });
    &VERSION
}

/// One of them.
pub(crate) async fn asset(Path((_, name)): Path<(String, String)>) -> Response {
    let Some(asset) = ALL.iter().find(|asset| asset.name == name) else { return StatusCode::NOT_FOUND.into_response() };
    let kept = "private, max-age=31536000, immutable";
    ([(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)], asset.bytes).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What others wrote is as the registry had it.
    #[test]
    fn what_others_wrote_is_unchanged() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/vendor/");
        let sums = std::fs::read_to_string(format!("{folder}SHA256SUMS")).expect("the checksums");
        let listed: Vec<(&str, &str)> = sums.lines().filter_map(|line| line.split_once("  ")).collect();
        for (sum, file) in &listed {
            let bytes = std::fs::read(format!("{folder}{file}")).expect(file);
            assert_eq!(hex(&digest(&bytes)), *sum, "{file}");
        }
        for library in ["htmx", "uplot"] {
            let files = std::fs::read_dir(format!("{folder}{library}")).expect(library).flatten();
            let names: Vec<String> = files.map(|file| file.file_name().to_string_lossy().into_owned()).collect();
            assert!(names.contains(&"LICENSE".to_owned()), "{library}");
            let is_listed = |name: &String| listed.iter().any(|(_, file)| *file == format!("{library}/{name}"));
            assert!(names.iter().all(is_listed), "{names:?}");
        }
    }
}
