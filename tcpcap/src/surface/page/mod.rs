//! The web page: one answer that needs nothing else, and runs and styles by nothing but what is in it.
//!
//! Sources are the files beside this one; they are put together when the page is first asked for.

use std::sync::LazyLock;

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use sha2::{Digest as _, Sha256};

const HTML: &str = include_str!("index.html");
const STYLE: &str = concat!(include_str!("style.css"), include_str!("views.css"), include_str!("narrow.css"));
/// In this order: they are one module.
const SCRIPT: &str = concat!(
    include_str!("dom.js"),
    include_str!("words.js"),
    include_str!("chart.js"),
    include_str!("overview.js"),
    include_str!("story.js"),
    include_str!("page.js"),
);

/// What a browser gets.
struct Page {
    text: String,
    /// The only script and style that it may apply, and the only host that it may ask.
    policy: String,
}

static PAGE: LazyLock<Page> = LazyLock::new(|| Page {
    text: HTML.replace("/*style*/", STYLE).replace("/*script*/", SCRIPT),
    policy: format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; connect-src 'self'; img-src data:; base-uri 'none'; \
         form-action 'none'; frame-ancestors 'none'",
        hash(SCRIPT),
        hash(STYLE)
    ),
});

/// As a policy names what stands between two tags.
fn hash(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

/// `/`
pub(super) async fn page() -> Response {
    let headers =
        [(header::CONTENT_TYPE, "text/html; charset=utf-8"), (header::CONTENT_SECURITY_POLICY, PAGE.policy.as_str())];
    (headers, PAGE.text.as_str()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_lets_exactly_the_pages_own_script_and_style_work() {
        assert_eq!(hash("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
        for (tag, text, directive) in [("script", SCRIPT, "script-src"), ("style", STYLE, "style-src")] {
            let open = if tag == "script" { "<script type=\"module\">" } else { "<style>" };
            let inside = PAGE.text.split(open).nth(1).and_then(|rest| rest.split(&format!("</{tag}>")).next());
            assert_eq!(inside, Some(text), "{tag}");
            assert!(PAGE.policy.contains(&format!("{directive} '{}'", hash(text))), "{tag}");
        }
    }

    #[test]
    fn the_page_needs_nothing_from_elsewhere_and_never_takes_text_for_markup() {
        for outside in ["src=", "@import", "url(", "import("] {
            assert!(!PAGE.text.contains(outside), "{outside}");
        }
        for (n, _) in PAGE.text.match_indices("://") {
            let around = &PAGE.text[n - 5..(n + 24).min(PAGE.text.len())];
            assert!(around.contains("www.w3.org"), "{around}");
        }
        for markup in ["innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function("] {
            assert!(!SCRIPT.contains(markup), "{markup}");
        }
        for inline in [" style=\"", " onclick", " onload", "javascript:"] {
            assert!(!HTML.contains(inline), "{inline}");
        }
    }
}
