//! Compression of responses.

use super::{at, rules, texts};
use crate::directive::{Applied, Arity, Contexts, Directive, Scope};
use crate::token::Word;
use gk_rules::content::compression::{Compression, filters};

const ANY: Contexts = Contexts::ANY.or(Contexts::HTACCESS);

/// Rows of this area.
pub const ROWS: &[Directive] = &[
    Directive::honoured("GilkeeperCompress", "Off | gzip|br|zstd … [media-type …]", ANY, Arity::at_least(1), compress)
        .default("Off").ours()
        .doc("Compresses responses of these media types (`text/*` means all of a kind); without any, text, JSON, JavaScript, XML, \
              SVG, WebAssembly and plain fonts. Of the codings that the client accepts equally, the first listed is used. Partial \
              responses, responses that are already encoded or have `no-transform`, and the server's own error pages are not \
              compressed."),
    Directive::honoured("AddOutputFilterByType", "DEFLATE|BROTLI_COMPRESS[;…] media-type …", ANY, Arity::at_least(2), by_type)
        .doc("Compresses responses of these media types. The variables `no-gzip`, `no-brotli` and `gzip-only-text/html` prevent it."),
    Directive::honoured("SetOutputFilter", "DEFLATE|BROTLI_COMPRESS[;…]|none", ANY, Arity::exactly(1), for_all)
        .doc("Compresses every response in this scope."),
];

fn compression<'a>(scope: &'a mut Scope) -> &'a mut Compression {
    &mut rules(scope).content.compression
}

fn compress(scope: &mut Scope, words: &[Word]) -> Applied {
    compression(scope).add_ours(&texts(words)).map_err(at(words))
}

fn by_type(scope: &mut Scope, words: &[Word]) -> Applied {
    compression(scope).add_by_type(&texts(words)).map_err(at(words))
}

fn for_all(scope: &mut Scope, words: &[Word]) -> Applied {
    let codings = match words[0].text.eq_ignore_ascii_case("none") {
        true => Vec::new(),
        false => filters(&words[0].text).map_err(at(words))?,
    };
    compression(scope).all = Some(codings);
    Ok(())
}
