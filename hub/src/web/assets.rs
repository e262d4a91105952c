//! Style, script and icon, part of the program. Their addresses carry a hash of their content, so that browsers keep
//! them for ever and still never show an old one with a new page.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use super::page;

/// Addresses of the assets, for templates.
pub(super) static ASSETS: LazyLock<Assets> =
    LazyLock::new(|| Assets { css: address(&CSS), js: address(&JS), icon: address(&ICON) });

/// See [`ASSETS`].
pub(super) struct Assets {
    pub(super) css: String,
    pub(super) js: String,
    pub(super) icon: String,
}

struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

static CSS: Asset = Asset {
    name: "page.css",
    kind: "text/css; charset=utf-8",
    content: include_str!("../../static/page.css"),
};
static JS: Asset = Asset {
    name: "page.js",
    kind: "text/javascript; charset=utf-8",
    content: include_str!("../../static/page.js"),
};
static ICON: Asset = Asset {
    name: "icon.svg",
    kind: "image/svg+xml",
    content: include_str!("../../static/icon.svg"),
};

/// `GET /static/{hash}/{name}`. Needs no login: the login page is made of the same parts.
pub(super) async fn get(Path((hash, name)): Path<(String, String)>) -> Response {
    let wanted = format!("/static/{hash}/{name}");
    match [&CSS, &JS, &ICON].into_iter().find(|asset| address(asset) == wanted) {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.kind),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.content,
        )
            .into_response(),
        None => page::error(StatusCode::NOT_FOUND, "There is no such file."),
    }
}

fn address(asset: &Asset) -> String {
    let hash = Sha256::digest(asset.content);
    let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("/static/{hash}/{}", asset.name)
}
