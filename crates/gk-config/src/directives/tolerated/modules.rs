//! Directives of Apache's modules that change nothing a WSGI site depends on, with the reason of each group.

use super::{inert, rows};
use crate::directive::{Applied, Arity, Contexts, Directive, Scope, Status, nothing};
use crate::token::Word;

const ANY: Contexts = Contexts::ANY;
const SERVER: Contexts = Contexts::SERVER;
const LISTINGS: &str = "listings have neither icons nor descriptions";
const NEGOTIATION: &str = "files are served under their own names; no variant is chosen for the client";
const SESSIONS: &str = "sessions are kept in the front's memory and in the clients' tickets";
const PHRASES: &str = "keys must not have a pass phrase; an encrypted key is refused at the start";
const OPENSSL: &str =
    "it configures OpenSSL; TLS is done by rustls here, which SSLProtocol and SSLCipherSuite configure";
const RENEGOTIATION: &str = "connections are never renegotiated";
const COMPRESSED: &str = "TLS is never compressed here";
const ASKED_NAMES: &str = "clients are told the names of the authorities in SSLCACertificateFile";
const RESPONDERS: &str = "no OCSP responder is asked about client certificates; use SSLCARevocationFile";
const STAPLING: &str = "no OCSP responder is asked; GilkeeperStaplingFile names a response to staple";
const NSS: &str =
    "NSS databases are not read; use SSLEngine, SSLCertificateFile and related directives for TLS";
const NSS_ON: &str = "export the certificate and its key in PEM form, and write SSLEngine On, SSLCertificateFile and SSLCertificateKeyFile";
const TO_BACKENDS: &str = "nothing is proxied, so there is no TLS to a backend";
const NOT_PROXIED: &str = "nothing is proxied here";
const PROXIED_REQUESTS: &str = "it is for proxied requests, and nothing is proxied here";
const CACHE: &str = "nothing is cached here; put a cache into a proxy in front";
const SPELLING: &str = "paths are used as they are written";
const INCLUDES: &str = "no server-side includes are processed";
const TRACKING: &str = "clients are not tracked by cookies";
const DATABASE: &str = "the server uses no database";
const CERTIFICATES: &str = "a program such as certbot must obtain certificates; SSLCertificateFile names them, and they are read \
    again when they change";
const COMPRESSION: &str = "compression has fixed levels and windows";
const FILTERS: &str =
    "compression is chosen by AddOutputFilterByType and SetOutputFilter, and there are no other filters";
const PHP: &str = "no PHP runs here";
const CLUSTER: &str = "this server does not report to a cluster of Apache servers";
const BUFFERS: &str = "request and response bodies are always buffered, see GilkeeperBodyBufferSize";
const DEBUGGING: &str = "use LogLevel debug to see what happens to requests";
const LIMITERS: &str = "GilkeeperMaxConnectionsPerAddress and RequestReadTimeout limit clients; put finer limits into a proxy in front";
const PAGESPEED: &str = "responses are sent as the application makes them";

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = rows! {
    // mod_autoindex
    inert(ANY, LISTINGS) => "AddIcon" "AddIconByType" "AddIconByEncoding" "AddAlt" "AddAltByType" "AddAltByEncoding"
        "AddDescription" "DefaultIcon";
    inert(ANY, "use IndexOptions FancyIndexing") => "FancyIndexing";
    // mod_negotiation, mod_mime_magic, mod_speling, mod_cern_meta, mod_imagemap, mod_userdir
    inert(ANY, NEGOTIATION) => "MultiviewsMatch" "LanguagePriority" "ForceLanguagePriority" "CacheNegotiatedDocs"
        "DefaultLanguage" "RemoveLanguage" "ModMimeUsePathInfo";
    inert(ANY, SPELLING) => "CheckSpelling" "CheckCaseOnly" "CheckBasenameMatch";
    inert(SERVER, "media types are chosen by file name") => "MimeMagicFile";
    inert(ANY, "no headers are read from additional files") => "MetaFiles" "MetaDir" "MetaSuffix";
    inert(ANY, "there are no image maps") => "ImapMenu" "ImapDefault" "ImapBase";
    inert(SERVER, "users' home folders are not served") => "UserDir";
    // mod_include, mod_usertrack, mod_dbd, mod_session's stores
    inert(ANY, INCLUDES) => "XBitHack" "SSIErrorMsg" "SSITimeFormat" "SSIStartTag" "SSIEndTag" "SSIUndefinedEcho"
        "SSILegacyExprParser" "SSILastModified" "SSIEtag";
    inert(ANY, TRACKING) => "CookieExpires" "CookieDomain" "CookieStyle" "CookieTracking" "CookieName" "CookieSameSite"
        "CookieSecure" "CookieHttpOnly" "CookiePrefix";
    inert(SERVER, DATABASE) => "DBDriver" "DBDParams" "DBDPersist" "DBDPrepareSQL" "DBDInitSQL" "DBDMin" "DBDKeep"
        "DBDMax" "DBDExptime" "MemcacheConnTTL" "RedisConnPoolTTL" "RedisTimeout";
    // mod_ssl, beside what directives/tls.rs honours
    inert(ANY, SESSIONS) => "SSLSessionCache" "SSLSessionCacheTimeout";
    inert(ANY, PHRASES) => "SSLPassPhraseDialog";
    inert(ANY, OPENSSL) => "SSLCryptoDevice" "SSLRandomSeed" "SSLOpenSSLConfCmd" "SSLPolicy" "SSLECDHCurve" "SSLDHParametersFile"
        "SSLSRPVerifierFile" "SSLSRPUnknownUserSeed" "SSLLog" "SSLLogLevel";
    inert(ANY, RENEGOTIATION) => "SSLInsecureRenegotiation" "SSLRenegBufferSize";
    inert(ANY, COMPRESSED) => "SSLCompression";
    inert(ANY, "a request for a host with another TLS configuration than the connection's gets 421") => "SSLVHostSNIPolicy";
    inert(ANY, ASKED_NAMES) => "SSLCADNRequestPath" "SSLCADNRequestFile";
    inert(ANY, RESPONDERS) => "SSLOCSPDefaultResponder" "SSLOCSPOverrideResponder" "SSLOCSPResponseTimeSkew"
        "SSLOCSPResponseMaxAge" "SSLOCSPResponderTimeout" "SSLOCSPUseRequestNonce" "SSLOCSPProxyURL" "SSLOCSPNoVerify"
        "SSLOCSPResponderCertificateFile";
    inert(SERVER, STAPLING) => "SSLStaplingCache" "SSLStaplingResponseTimeSkew"
        "SSLStaplingResponderTimeout" "SSLStaplingResponseMaxAge" "SSLStaplingStandardCacheTimeout"
        "SSLStaplingReturnResponderErrors" "SSLStaplingFakeTryLater" "SSLStaplingErrorCacheTimeout" "SSLStaplingForceURL";
    inert(ANY, TO_BACKENDS) => "SSLProxyEngine" "SSLProxyProtocol" "SSLProxyCipherSuite" "SSLProxyVerify"
        "SSLProxyVerifyDepth" "SSLProxyCACertificateFile" "SSLProxyCACertificatePath" "SSLProxyCARevocationPath"
        "SSLProxyCARevocationFile" "SSLProxyCARevocationCheck" "SSLProxyMachineCertificateFile"
        "SSLProxyMachineCertificatePath" "SSLProxyMachineCertificateChainFile" "SSLProxyCheckPeerExpire"
        "SSLProxyCheckPeerCN" "SSLProxyCheckPeerName";
    // mod_md
    inert(ANY, CERTIFICATES) => "MDCertificateAuthority" "MDCertificateAgreement" "MDCAChallenges" "MDCertificateProtocol"
        "MDContactEmail" "MDDriveMode" "MDRenewMode" "MDomain" "MDMember" "MDMembers" "MDMustStaple" "MDPortMap"
        "MDPrivateKeys" "MDHttpProxy" "MDStoreDir" "MDRenewWindow" "MDNotifyCmd" "MDBaseServer" "MDChallengeDns01"
        "MDChallengeDns01Version" "MDCertificateFile" "MDCertificateKeyFile" "MDServerStatus" "MDCertificateStatus"
        "MDWarnWindow" "MDMessageCmd" "MDStapling" "MDStapleOthers" "MDStaplingKeepResponse" "MDStaplingRenewWindow"
        "MDCertificateCheck" "MDActivationDelay" "MDCACertificateFile" "MDHttpProxyCACertificateFile"
        "MDExternalAccountBinding" "MDRetryDelay" "MDRetryFailover" "MDStoreLocks" "MDMatchNames" "MDInitialDelay"
        "MDCheckInterval" "MDProfile" "MDProfileMandatory" "MDRenewViaARI" "<MDomain>" "<MDomainSet>";
    // mod_proxy, as far as it only tunes what is proxied
    inert(ANY, NOT_PROXIED) => "ProxyPreserveHost" "ProxyTimeout" "ProxyVia" "ProxyErrorOverride" "ProxyAddHeaders"
        "ProxyMaxForwards" "ProxyIOBufferSize" "ProxyReceiveBufferSize" "ProxyBadHeader" "ProxyDomain" "NoProxy" "ProxyBlock"
        "ProxyPassInterpolateEnv" "ProxyPassInherit" "ProxySourceAddress" "Proxy100Continue" "BalancerGrowth"
        "BalancerPersist" "BalancerInherit" "AllowCONNECT" "ProxyFtpListOnWildcard" "ProxyFtpEscapeWildcards"
        "ProxyFtpDirCharset" "ProxyHCTemplate" "ProxyHCExpr" "ProxyHCTPsize" "ProxySCGISendfile"
        "ProxySCGIInternalRedirect" "ProxyWebsocketFallbackToProxyHttp" "ProxyFCGIBackendType" "ProxyFCGISetEnvIf"
        "ProxyExpressDBMFile" "ProxyExpressDBMType";
    inert(ANY, PROXIED_REQUESTS) => "<Proxy>" "<ProxyMatch>";
    // mod_cache and its stores
    inert(ANY, CACHE) => "CacheEnable" "CacheDisable" "CacheMaxExpire" "CacheMinExpire" "CacheDefaultExpire"
        "CacheQuickHandler" "CacheIgnoreNoLastMod" "CacheIgnoreCacheControl" "CacheStoreExpired" "CacheStorePrivate"
        "CacheStoreNoStore" "CacheIgnoreHeaders" "CacheIgnoreQueryString" "CacheIgnoreURLSessionIdentifiers"
        "CacheLastModifiedFactor" "CacheLock" "CacheLockPath" "CacheLockMaxAge" "CacheHeader" "CacheDetailHeader"
        "CacheKeyBaseURL" "CacheStaleOnError" "CacheRoot" "CacheDirLevels" "CacheDirLength" "CacheMinFileSize"
        "CacheMaxFileSize" "CacheReadSize" "CacheReadTime" "CacheSocache" "CacheSocacheMaxTime" "CacheSocacheMinTime"
        "CacheSocacheMaxSize" "CacheSocacheReadSize" "CacheSocacheReadTime";
    // mod_deflate and mod_brotli, beside what turns them on
    inert(ANY, COMPRESSION) => "BrotliFilterNote" "BrotliCompressionQuality" "BrotliCompressionWindow"
        "BrotliCompressionMaxInputBlock" "BrotliAlterETag" "DeflateFilterNote" "DeflateWindowSize" "DeflateBufferSize"
        "DeflateMemLevel" "DeflateCompressionLevel" "DeflateInflateLimitRequestBody" "DeflateInflateRatioLimit"
        "DeflateInflateRatioBurst" "DeflateAlterEtag";
    inert(ANY, FILTERS) => "FilterDeclare" "FilterProvider" "FilterChain" "FilterProtocol" "RemoveOutputFilter" "RemoveInputFilter";
    Directive::honoured("", "…", ANY, Arity::at_least(0), nothing).unbuilt("what the configuration added around stays")
        .doc("Takes back what a scope around has added.") => "RemoveCharset" "RemoveEncoding";
    Directive::honoured("", "…", ANY, Arity::at_least(0), nothing).unbuilt("CustomLog stands for each host, and in the main server for those without one")
        .doc("A log of every host's requests.") => "GlobalLog";
    inert(ANY, "a redirection goes to where its directive says") => "RedirectRelative" "AliasPreservePath";
    // mod_buffer, mod_dialup, mod_log_debug, mod_dumpio, mod_log_forensic, mod_log_config, mod_heartbeat, mod_charset_lite
    inert(ANY, BUFFERS) => "BufferSize" "BufferedLogs";
    inert(ANY, DEBUGGING) => "LogMessage" "DumpIOInput" "DumpIOOutput" "DumpIOLogLevel" "ForensicLog" "FilterTrace";
    inert(SERVER, CLUSTER) => "HeartbeatAddress" "HeartbeatListen" "HeartbeatStorage" "HeartbeatMaxServers";
    inert(ANY, PAGESPEED) => "ModPagespeed*" "CaseFilter" "CaseFilterIn" "ModemStandard";
    // mod_php
    inert(ANY, PHP) => "php_value" "php_flag" "php_admin_value" "php_admin_flag" "PHPINIDir" "PHPIniDirectory" "suPHP_*";
    // mod_evasive, mod_qos, mod_limitipconn, mod_bw
    inert(ANY, LIMITERS) => "DOS*" "QS_*" "MaxConnPerIP" "NoIPLimit" "OnlyIPLimit" "BandWidth" "BandWidthModule" "MinBandWidth"
        "LargeFileLimit" "BandWidthError" "MaxConnection";
    // NSS in place of OpenSSL; what of it protects has rows of its own.
    Directive::otherwise("", NSS_ON).judged(unless_off) => "NSSEngine";
    inert(ANY, NSS) => "NSSCertificateDatabase" "NSSNickname" "NSSProtocol" "NSSCipherSuite" "NSSPassPhraseDialog"
        "NSSPassPhraseHelper" "NSSSessionCacheSize" "NSSSessionCacheTimeout" "NSSSession3CacheTimeout" "NSSRandomSeed"
        "NSSRenegotiation" "NSSRequireSafeNegotiation" "NSSOptions" "NSSEnforceValidCerts" "NSSUserName" "NSSOCSP"
        "NSSSkipPermissionCheck" "NSSSessionTickets" "NSSProxyEngine" "NSSProxyProtocol" "NSSProxyCipherSuite"
        "NSSProxyNickname" "NSSProxyCheckPeerCN";
    // Words that turn a thing off.
    Directive::to_proxy("", "let the web server in front proxy; nothing else is proxied here").judged(unless_off)
        => "ProxyRequests" "ProxyExpressEnable";
};

/// `Off`: nothing is asked for.
pub(in crate::directives) fn unless_off(scope: &mut Scope, words: &[Word]) -> Applied {
    if words.iter().all(|word| word.text.eq_ignore_ascii_case("off")) {
        scope.status = Status::WithoutEffect("it is off here always");
    }
    Ok(())
}
