//! Directives that keep somebody out and are not honoured: they close the scope that they stand in (403) and are never passed
//! over. `*` stands for the names of a module that have no row of their own, so that a new one closes, too.

use super::rows;
use crate::directive::{Applied, Contexts, Directive, Scope, Status};
use crate::token::Word;

const ANY: Contexts = Contexts::ANY;
const CERTIFICATES: &str =
    "write it as Require expr, where the variables SSL_* are available, and delete the line";
const FIREWALL: &str = "run ModSecurity in the proxy in front, and delete the line";
const SIGN_ON: &str = "let the application, a WSGIAuthUserScript or the proxy in front authenticate the user, and delete the line";
const METHODS: &str = "use <LimitExcept METHOD …> with Require all denied";
const SUBVERSION: &str = "serve the repository with Apache or svnserve, and delete the line";

/// Rows of this area.
#[rustfmt::skip]
pub const ROWS: &[Directive] = rows! {
    Directive::closing("", ANY, CERTIFICATES) => "SSLRequire" "NSSRequire";
    // mod_security: the rules count where the engine is on.
    Directive::closing("", ANY, FIREWALL).judged(unless_engine_off) => "SecRuleEngine" "SecFilterEngine";
    Directive::closing("", ANY, FIREWALL).judged(unless_only_detected) => "SecRule" "SecAction" "SecFilter"
        "SecFilterSelective" "SecRuleScript" "SecRemoteRules" "SecRuleInheritance" "SecHashEngine" "SecConnEngine" "Sec*";
    Directive::inert("", "…", ANY, "it removes rules of ModSecurity, and there are none here") => "SecRuleRemoveById"
        "SecRuleRemoveByTag" "SecRuleRemoveByMsg" "SecFilterRemove";
    Directive::inert("", "…", ANY, "rules of ModSecurity are not applied here, so there is nothing to \
        tune") => "SecRequestBodyAccess" "SecResponseBodyAccess"
        "SecRequestBodyLimit" "SecRequestBodyNoFilesLimit" "SecRequestBodyInMemoryLimit" "SecRequestBodyLimitAction"
        "SecResponseBodyLimit" "SecResponseBodyLimitAction" "SecResponseBodyMimeType" "SecPcreMatchLimit"
        "SecPcreMatchLimitRecursion" "SecTmpDir" "SecDataDir" "SecUploadDir" "SecUploadKeepFiles" "SecUploadFileMode"
        "SecUploadFileLimit" "SecDebugLog" "SecDebugLogLevel" "SecAuditEngine" "SecAuditLog" "SecAuditLog2" "SecAuditLogType"
        "SecAuditLogParts" "SecAuditLogRelevantStatus" "SecAuditLogStorageDir" "SecAuditLogFormat" "SecArgumentSeparator"
        "SecCookieFormat" "SecUnicodeMapFile" "SecStatusEngine" "SecServerSignature" "SecComponentSignature"
        "SecCollectionTimeout" "SecGeoLookupDb" "SecDisableBackendCompression" "SecWebAppId" "SecSensorId"
        "SecArgumentsLimit" "SecRequestBodyJsonDepthLimit" "SecInterceptOnError" "SecXmlExternalEntity" "SecMarker";
    // Who the user is: mod_authnz_ldap, mod_auth_form and the like, GSSAPI, Kerberos, Shibboleth, SAML, OpenID Connect, CAS.
    Directive::closing("", ANY, SIGN_ON).judged(unless_outside) => "AuthLDAP*" "Authz*" "Auth*" "Anonymous*" "Gssapi*" "Krb*" "Krb5*" "Shib*"
        "Mellon*" "OIDC*" "OAuth2*" "CAS*" "TKTAuth*" "NTLM*" "WebAuth*" "Cosign*" "Pubcookie*" "PAM*" "LookupIdentity*"
        "LookupUser*" "LookupOutput*" "InterceptForm*" "AddExternalAuth*" "DefineExternalAuth*" "AddAuth*" "JWT*" "LuaAuthzProvider";
    Directive::closing("", ANY, SIGN_ON) => "LuaHookCheckUserID" "LuaHookAccessChecker" "LuaHookAuthChecker"
        "<LuaHookCheckUserID>" "<LuaHookAccessChecker>" "<LuaHookAuthChecker>" "PerlAccessHandler" "PerlAuthenHandler"
        "PerlAuthzHandler" "PythonAccessHandler" "PythonAuthenHandler" "PythonAuthzHandler";
    Directive::inert("", "…", ANY, "a scope that uses this provider denies access (403)")
        => "<AuthnProviderAlias>" "<AuthzProviderAlias>";
    Directive::closing("", ANY, SUBVERSION) => "AuthzSVN*";
    Directive::closing("", ANY, METHODS).judged(unless_reset) => "AllowMethods";
    // Of the servers and caches behind the above.
    Directive::inert("", "…", ANY, "no directory server is asked; AuthLDAPURL and similar directives deny access to their \
        scope") => "LDAPSharedCacheSize"
        "LDAPSharedCacheFile" "LDAPCacheEntries" "LDAPCacheTTL" "LDAPOpCacheEntries" "LDAPOpCacheTTL" "LDAPTrustedGlobalCert"
        "LDAPTrustedClientCert" "LDAPTrustedMode" "LDAPVerifyServerCert" "LDAPConnectionTimeout" "LDAPReferrals"
        "LDAPReferralHopLimit" "LDAPLibraryDebug" "LDAPTimeout" "LDAPConnectionPoolTTL" "LDAPRetries" "LDAPRetryDelay"
        "LDAPTrustedCA" "LDAPTrustedCAType";
};

fn unless_engine_off(scope: &mut Scope, words: &[Word]) -> Applied {
    if words.iter().all(|word| ["off", "detectiononly"].contains(&word.text.to_ascii_lowercase().as_str())) {
        scope.status = Status::WithoutEffect("no rule of ModSecurity is applied here");
        scope.raw.firewall_off |= scope.is_main();
    }
    Ok(())
}

/// Rules below an engine that is off for the whole server, or only detects, refuse nobody.
fn unless_only_detected(scope: &mut Scope, _: &[Word]) -> Applied {
    if scope.raw.firewall_off {
        scope.status = Status::WithoutEffect("SecRuleEngine says that no request is refused");
    }
    Ok(())
}

/// Outside of a section there are settings of a module only: the scope that asks for a user names it, and is closed.
fn unless_outside(scope: &mut Scope, _: &[Word]) -> Applied {
    if scope.section.is_none() {
        scope.status = Status::WithoutEffect("a scope that authenticates users in this way admits nobody");
    }
    Ok(())
}

fn unless_reset(scope: &mut Scope, words: &[Word]) -> Applied {
    if words.iter().all(|word| word.text.eq_ignore_ascii_case("reset")) {
        scope.status = Status::WithoutEffect("every method is allowed unless a section says otherwise");
    }
    Ok(())
}
