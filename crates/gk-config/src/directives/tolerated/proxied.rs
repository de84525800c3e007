//! Directives of parts that belong into a web server in front: an error that says what to put there.

use super::modules::unless_off;
use super::rows;
use crate::directive::{Applied, Directive, Scope, Status};
use crate::token::Word;

const PROXY: &str = "put nginx, HAProxy or Apache in front, move the line there, and let it pass the other URLs on to this server";
const DAV: &str = "serve WebDAV with a WSGI application such as WsgiDAV, or with a web server in front";
const SESSION: &str = "keep sessions in the application, or in a web server in front";
const CGI: &str = "run CGI programs in a web server in front, or replace them with a WSGI application";
const LANGUAGES: &str = "run code in other languages in a separate server behind a web server in front";
const FILTER: &str = "change bodies in the application, in WSGI middleware, or in a web server in front";
const HOSTS: &str = "name each host: <VirtualHost> with ServerName, DocumentRoot and its aliases";
const REMOTE: &str = "name the proxies in RemoteIPInternalProxy and the header in RemoteIPHeader, and let WSGITrustedProxyHeaders \
                      take X-Forwarded-Proto and X-Forwarded-Host";
const IDENTITY: &str = "give the process group a user: user= and group= of WSGIDaemonProcess";
const CHROOT: &str = "give the process group a root folder: chroot= of WSGIDaemonProcess";
const SENDFILE: &str =
    "return a file from the application with wsgi.file_wrapper, which is sent without Python";
const COUNTRY: &str = "let the web server in front send the country in a header, and test that with SetEnvIf";
const HTTPS_ONLY: &str = "let the web server in front redirect to https";

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = rows! {
    Directive::to_proxy("", PROXY).judged(unless_excluded) => "ProxyPass" "ProxyPassMatch";
    Directive::to_proxy("", PROXY) => "ProxyPassReverse" "ProxyPassReverseCookiePath" "ProxyPassReverseCookieDomain"
        "ProxyRemote" "ProxyRemoteMatch" "ProxySet" "BalancerMember" "ProxyHTMLEnable" "ProxyHTMLURLMap" "ProxyHTML*"
        "Jk*" "JKMount" "WeblogicHost" "WLCookieName" "SCGIMount" "uWSGI*" "H2ProxyRequests";
    Directive::to_proxy("", DAV).judged(unless_off) => "DAV";
    Directive::to_proxy("", DAV) => "DAVLockDB" "DAVGenericLockDB" "DAVBasePath" "DAVMinTimeout" "DAVDepthInfinity"
        "DAVLockDiscovery" "SVN*";
    Directive::to_proxy("", SESSION).judged(unless_off) => "Session";
    Directive::to_proxy("", SESSION) => "SessionMaxAge" "SessionHeader" "SessionEnv" "SessionInclude" "SessionExclude"
        "SessionExpiryUpdateInterval" "SessionCookieName" "SessionCookieName2" "SessionCookieRemove"
        "SessionCryptoPassphrase" "SessionCryptoPassphraseFile" "SessionCryptoCipher" "SessionCryptoDriver"
        "SessionDBDSelectLabel" "SessionDBDInsertLabel" "SessionDBDUpdateLabel" "SessionDBDDeleteLabel"
        "SessionDBDPerUser" "SessionDBDCookieRemove" "SessionDBDCookieName" "SessionDBDCookieName2";
    Directive::to_proxy("", CGI) => "ScriptAliasMatch" "Action" "Script" "Fcgid*" "FastCgi*";
    Directive::to_proxy("", LANGUAGES) => "Lua*" "<Lua*" "Perl*" "<Perl>" "Python*" "Passenger*" "Rails*" "Rack*" "CFML*" "Mono*";
    Directive::to_proxy("", FILTER).judged(unless_compressing) => "AddOutputFilter" "AddInputFilter" "SetInputFilter";
    Directive::to_proxy("", FILTER) => "Substitute" "SubstituteMaxLineLength" "SubstituteInheritBefore" "OutputSed"
        "InputSed" "ExtFilterDefine" "ExtFilterOptions" "CharsetSourceEnc" "CharsetDefault" "CharsetOptions" "ReflectorHeader"
        "xml2EncDefault" "xml2EncAlias" "xml2StartParse" "Layout*";
    Directive::to_proxy("", COUNTRY) => "GeoIP*" "MaxMindDB*";
    Directive::to_proxy("", HTTPS_ONLY).judged(unless_off) => "MDRequireHttps";
    Directive::otherwise("", HOSTS) => "VirtualDocumentRoot" "VirtualDocumentRootIP" "VirtualScriptAlias" "VirtualScriptAliasIP";
    Directive::otherwise("", REMOTE) => "RPAF*";
    Directive::otherwise("", REMOTE).judged(unless_off) => "RPAFenable" "RPAF_Enable";
    Directive::otherwise("", IDENTITY) => "AssignUserID" "ChildPerUserID" "RUidGid" "RMode" "RDefaultUidGid";
    Directive::otherwise("", CHROOT) => "ChrootDir" "SecChrootDir";
    Directive::otherwise("", SENDFILE).judged(unless_off) => "XSendFile";
    Directive::otherwise("", SENDFILE) => "XSendFilePath" "XSendFileIgnoreEtag" "XSendFileIgnoreLastModified"
        "XSendFileUnescape" "XSendFileAllowAbove";
};

/// `ProxyPass /path !` takes a path out of what is proxied.
fn unless_excluded(scope: &mut Scope, words: &[Word]) -> Applied {
    if words.iter().any(|word| word.text == "!") {
        scope.status = Status::WithoutEffect("what it excludes from proxying is served here anyway");
    }
    Ok(())
}

/// Compression of responses by a file's extension: it changes nothing but their size.
fn unless_compressing(scope: &mut Scope, words: &[Word]) -> Applied {
    let compresses =
        |filter: &str| ["deflate", "brotli_compress"].contains(&filter.to_ascii_lowercase().as_str());
    let filters = words.first().map_or("", |word| word.text.as_str());
    if scope.name == "AddOutputFilter" && filters.split(';').all(compresses) {
        scope.status = Status::WithoutEffect("AddOutputFilterByType chooses the compression, by media type");
    }
    Ok(())
}
