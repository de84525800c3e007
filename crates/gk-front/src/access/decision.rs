//! The decision about a request whose place has access rules, step by step as Apache takes them: clients, access script, rules without
//! a user, password, groups, rules with the user.

use gk_config::site::Settings;
use gk_rules::Facts;
use gk_rules::access::{Admission, AuthType, Person, Provider, Script, Users};
use gk_wire::log::Level;
use gk_wire::response::Headers;
use http::HeaderValue;
use serde_json::Value;
use std::io;
use std::path::Path;

use crate::access::basic::{self, Credentials, Missing};
use crate::access::digest::{self, Nonces, Response, Worth};
use crate::access::hook::{HookCall, Unanswered};
use crate::access::verified::{Unchecked, Verified};
use crate::request::refusal::Refusal;

/// A user who was authenticated and is admitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `REMOTE_USER`.
    pub name: String,
    /// `AUTH_TYPE`.
    pub auth_type: &'static str,
    /// `Authentication-Info` of the response.
    pub info: Option<HeaderValue>,
}

/// A request whose place has access rules.
pub struct Protected<'a> {
    /// The request, for scripts.
    pub call: HookCall<'a>,
    /// What rules ask of it.
    pub facts: &'a dyn Facts,
}

/// What a provider says of a user and a password.
enum Known {
    /// The password is right; the name that counts.
    Granted(String),
    /// It is wrong.
    Denied,
    /// The user is not known.
    Unknown,
}

/// What a provider says of a user in a realm.
enum Hash {
    /// MD5 of user, realm and password.
    Known(String),
    /// The user is not known.
    Unknown,
}

impl Protected<'_> {
    /// Decides. `tried` gets the name that the client gave, also where it is refused.
    pub async fn admit(&self, tried: &mut Option<String>) -> Result<Option<Caller>, Refusal> {
        let settings = self.settings();
        let access = &settings.access;
        if settings.closed {
            return Err(self.forbidden("AH01630", &denied(self.path())));
        }
        let mut admitted = access.admits(self.facts);
        if !admitted {
            self.note("AH01797", &denied(self.path()));
        }
        if admitted && let Some(script) = &access.script {
            admitted = self.script_allows(script).await?;
        }
        match access.before(self.facts, admitted) {
            Admission::Granted => return Ok(None),
            Admission::Forbidden if admitted => {
                return Err(self.forbidden("AH01630", &denied(self.path())));
            }
            Admission::Forbidden => return Err(Refusal::Forbidden),
            Admission::Authenticate => {}
        }
        let caller = self.authenticate(&access.users, tried).await?;
        *tried = Some(caller.name.clone());
        let person = self.person(caller.name.clone(), settings).await;
        if access.after(self.facts, &person) {
            return Ok(Some(caller));
        }
        let text = format!("user {}: authorization failure for \"{}\"", person.name, self.path());
        if access.send_forbidden == Some(true) {
            return Err(self.forbidden("AH01631", &text));
        }
        self.note("AH01631", &text);
        Err(self.challenge(&access.users, false))
    }

    fn settings(&self) -> &Settings {
        &self.call.routed.target.settings
    }

    fn path(&self) -> &str {
        self.call.parts.uri.path()
    }

    fn note(&self, code: &'static str, text: &str) {
        crate::note_code(Level::Error, code, Some(&self.call.ends.client), text);
    }

    fn forbidden(&self, code: &'static str, text: &str) -> Refusal {
        self.note(code, text);
        Refusal::Forbidden
    }

    fn broken(&self, code: &'static str, text: &str) -> Refusal {
        self.note(code, text);
        Refusal::Internal
    }

    /// Whether the access script lets the client pass. One that fails turns it away.
    async fn script_allows(&self, script: &Script) -> Result<bool, Refusal> {
        let allowed = match self.call.ask(script, "allow_access", &Headers::default(), self.environ()).await {
            Ok(answer) => matches!(answer, Value::Null | Value::Bool(true)),
            Err(Unanswered::Failed) => false,
            Err(Unanswered::Lost(refusal)) => return Err(lost(refusal)),
        };
        if !allowed {
            self.note("WSGI0057", &format!("client denied by the access script for {}", self.path()));
        }
        Ok(allowed)
    }

    async fn authenticate(&self, users: &Users, tried: &mut Option<String>) -> Result<Caller, Refusal> {
        let kind = match &users.auth_type {
            Some(kind @ (AuthType::Basic | AuthType::Digest)) => kind,
            _ => {
                let text = format!(
                    "a user is required for {}, and no AuthType that is known is set there",
                    self.path()
                );
                return Err(self.broken("AH00027", &text));
            }
        };
        if users.realm.is_none() {
            return Err(self.broken("AH01615", &format!("need AuthName: {}", self.path())));
        }
        match kind {
            AuthType::Digest => self.digest(users, tried).await,
            _ => Ok(Caller { name: self.basic(users, tried).await?, auth_type: "Basic", info: None }),
        }
    }

    /// The 401.
    fn challenge(&self, users: &Users, stale: bool) -> Refusal {
        let realm = users.realm.as_deref().unwrap_or_default();
        let Some(AuthType::Digest) = users.auth_type else {
            return Refusal::Unauthorized(basic::challenge(realm));
        };
        match self.nonces() {
            Ok(nonces) => {
                let nonce = nonces.make(realm, self.facts.now() as i64);
                Refusal::Unauthorized(digest::challenge(realm, &nonce, stale, users.domain.as_deref()))
            }
            Err(refusal) => refusal,
        }
    }

    // === Basic ===

    async fn basic(&self, users: &Users, tried: &mut Option<String>) -> Result<String, Refusal> {
        let header = self.facts.header("authorization");
        let credentials = Credentials::read(header.as_deref()).map_err(|missing| {
            if missing == Missing::Scheme {
                self.note("AH01614", &format!("client used wrong authentication scheme: {}", self.path()));
            }
            self.challenge(users, false)
        })?;
        let name = credentials.name();
        *tried = Some(name.clone());
        let mut known = Known::Unknown;
        for provider in users.basic.as_deref().unwrap_or(&[Provider::File]) {
            known = match provider {
                Provider::File => self.file_knows(users, &credentials).await?,
                Provider::Wsgi => self.script_knows(users, &credentials).await?,
            };
            if !matches!(known, Known::Unknown) {
                break;
            }
        }
        match known {
            Known::Granted(name) => return Ok(name),
            Known::Denied => {
                let text =
                    format!("user {name}: authentication failure for \"{}\": Password Mismatch", self.path());
                self.note("AH01617", &text);
            }
            Known::Unknown => self.note("AH01618", &format!("user {name} not found: {}", self.path())),
        }
        Err(self.challenge(users, false))
    }

    async fn file_knows(&self, users: &Users, credentials: &Credentials) -> Result<Known, Refusal> {
        let file = self.user_file(users)?;
        let name = credentials.name();
        let Some(stored) = file.password(&name) else { return Ok(Known::Unknown) };
        match self.verified()?.check(credentials, stored).await {
            Ok(true) => Ok(Known::Granted(name)),
            Ok(false) => Ok(Known::Denied),
            Err(Unchecked::Busy) => {
                self.note("GK0060", "too many passwords wait to be checked");
                Err(Refusal::Busy(1))
            }
            Err(Unchecked::Unknown(why)) => Err(self.broken(
                "AH01617",
                &format!("the password of user {name} cannot be checked for {}: {why}", self.path()),
            )),
        }
    }

    async fn script_knows(&self, users: &Users, credentials: &Credentials) -> Result<Known, Refusal> {
        let Some(script) = &users.script else {
            let text = format!("AuthBasicProvider wsgi is set, and no WSGIAuthUserScript: {}", self.path());
            return Err(self.broken("WSGI0041", &text));
        };
        let mut given = Headers::default();
        given.push(b"gilkeeper.hook.user", &credentials.user);
        given.push(b"gilkeeper.hook.password", &credentials.password);
        match self.ask_of_user(script, "check_password", &given).await? {
            Value::Bool(true) => Ok(Known::Granted(credentials.name())),
            Value::Bool(false) => Ok(Known::Denied),
            Value::Null => Ok(Known::Unknown),
            Value::String(name) if !name.is_empty() => Ok(Known::Granted(name)),
            _ => Err(Refusal::Internal),
        }
    }

    /// Asks a function about a user: one that fails is a 500.
    async fn ask_of_user(&self, script: &Script, function: &str, given: &Headers) -> Result<Value, Refusal> {
        match self.call.ask(script, function, given, self.environ()).await {
            Ok(answer) => Ok(answer),
            Err(Unanswered::Failed) => Err(Refusal::Internal),
            Err(Unanswered::Lost(refusal)) => Err(lost(refusal)),
        }
    }

    // === Digest ===

    async fn digest(&self, users: &Users, tried: &mut Option<String>) -> Result<Caller, Refusal> {
        let realm = users.realm.as_deref().unwrap_or_default();
        let header = self.facts.header("authorization");
        let Some(response) = header.as_deref().and_then(Response::read) else {
            if header.is_some() {
                self.note("AH01782", &format!("client used wrong authentication scheme: {}", self.path()));
            }
            return Err(self.challenge(users, false));
        };
        let name = response.field("username").to_owned();
        *tried = Some(name.clone()).filter(|name| !name.is_empty());
        if !response.is_whole() || response.field("realm") != realm {
            let text = format!(
                "the Digest response for {} lacks a field, or is of another realm or algorithm",
                self.path()
            );
            self.note("AH01785", &text);
            return Err(self.challenge(users, false));
        }
        if !self.is_about_this(response.field("uri")) {
            self.note("AH01786", &format!("the Digest response is about another URL than {}", self.path()));
            return Err(Refusal::Bad("The Authorization header is about another URL."));
        }
        let lifetime = users.nonce_lifetime.unwrap_or(digest::LIFETIME);
        let worth = self.nonces()?.judge(realm, response.field("nonce"), self.facts.now() as i64, lifetime);
        if worth != Worth::Good {
            return Err(self.challenge(users, worth == Worth::Stale));
        }
        let mut hash = Hash::Unknown;
        for provider in users.digest.as_deref().unwrap_or(&[Provider::File]) {
            hash = match provider {
                Provider::File => match self.user_file(users)?.realm_hash(&name, realm) {
                    Some(hash) => Hash::Known(hash.to_owned()),
                    None => Hash::Unknown,
                },
                Provider::Wsgi => self.script_hash(users, &name, realm).await?,
            };
            if matches!(hash, Hash::Known(_)) {
                break;
            }
        }
        match hash {
            Hash::Known(hash) if response.proves(self.call.parts.method.as_str(), &hash) => {
                let info = response.proof(&hash).and_then(|proof| HeaderValue::try_from(proof).ok());
                return Ok(Caller { name, auth_type: "Digest", info });
            }
            Hash::Known(_) => {
                self.note("AH01794", &format!("user {name}: password mismatch: {}", self.path()))
            }
            Hash::Unknown => {
                self.note("AH01790", &format!("user `{name}' in realm `{realm}' not found: {}", self.path()));
            }
        }
        Err(self.challenge(users, false))
    }

    /// Whether the URL in a Digest response is that of the request.
    fn is_about_this(&self, uri: &str) -> bool {
        let target = self.facts.target();
        let own = |uri: &str| uri.as_bytes() == target;
        // A proxy's client may name scheme and host, too.
        own(uri)
            || uri
                .split_once("://")
                .and_then(|(_, rest)| rest.find('/').map(|at| &rest[at..]))
                .is_some_and(own)
    }

    async fn script_hash(&self, users: &Users, name: &str, realm: &str) -> Result<Hash, Refusal> {
        let Some(script) = &users.script else {
            let text = format!("AuthDigestProvider wsgi is set, and no WSGIAuthUserScript: {}", self.path());
            return Err(self.broken("WSGI0044", &text));
        };
        let mut given = Headers::default();
        given.push(b"gilkeeper.hook.user", name.as_bytes());
        given.push(b"gilkeeper.hook.realm", realm.as_bytes());
        match self.ask_of_user(script, "get_realm_hash", &given).await? {
            Value::String(hash) => Ok(Hash::Known(hash)),
            Value::Null => Ok(Hash::Unknown),
            _ => Err(Refusal::Internal),
        }
    }

    // === Files, groups, secrets ===

    fn user_file(&self, users: &Users) -> Result<std::rc::Rc<crate::access::files::Users>, Refusal> {
        let Some(path) = &users.file else {
            return Err(self.broken("AH01619", "AuthUserFile not specified in the configuration"));
        };
        let file = self.call.front.access.users.load(path);
        file.map_err(|why| self.broken("AH01620", &unreadable("password", path, &why)))
    }

    /// The user, with the groups that rules ask for. Where they cannot be found out there are none.
    async fn person(&self, name: String, settings: &Settings) -> Person {
        let mut person = Person { name, ..Person::default() };
        let (of_file, of_script) = settings.access.groups_wanted();
        let users = &settings.access.users;
        if of_file {
            match &users.groups {
                Some(path) => match self.call.front.access.groups.load(path) {
                    Ok(groups) => person.groups = groups.of_user(&person.name),
                    Err(why) => self.note("AH01665", &unreadable("group", path, &why)),
                },
                None => self.note("AH01664", "No group file was specified in the configuration"),
            }
        }
        if !of_script.is_empty() {
            match &users.group_script {
                Some(script) => {
                    person.script_groups = self.script_groups(script, &person.name, &of_script).await
                }
                None => self.note(
                    "WSGI0058",
                    &format!("Require wsgi-group is set, and no WSGIAuthGroupScript: {}", self.path()),
                ),
            }
        }
        person
    }

    /// Those of the wanted groups that the script names for the user.
    async fn script_groups(&self, script: &Script, name: &str, wanted: &[&str]) -> Vec<String> {
        let mut given = Headers::default();
        given.push(b"gilkeeper.hook.user", name.as_bytes());
        given.push(b"gilkeeper.hook.groups", &serde_json::to_vec(wanted).unwrap_or_default());
        let answer = self.call.ask(script, "groups_for_user", &given, self.environ()).await;
        answer.ok().and_then(|answer| serde_json::from_value(answer).ok()).unwrap_or_default()
    }

    fn verified(&self) -> Result<&Verified, Refusal> {
        let kept = &self.call.front.access.verified;
        if kept.get().is_none() {
            let _ = kept.set(Verified::new(self.secret()?));
        }
        kept.get().ok_or(Refusal::Internal)
    }

    fn nonces(&self) -> Result<&Nonces, Refusal> {
        let kept = &self.call.front.access.nonces;
        if kept.get().is_none() {
            let _ = kept.set(Nonces::new(self.secret()?));
        }
        kept.get().ok_or(Refusal::Internal)
    }

    fn secret(&self) -> Result<[u8; 32], Refusal> {
        let mut secret = [0; 32];
        match getrandom::fill(&mut secret) {
            Ok(()) => Ok(secret),
            Err(why) => Err(self.broken("GK0061", &format!("the system gives no random bytes: {why}"))),
        }
    }

    /// The environ entries of scripts that depend on the place.
    fn environ(&self) -> Vec<(String, String)> {
        let host = &self.call.current.compiled.site().hosts[self.call.routed.target.host];
        let root = host.document_root.as_ref().map(|root| root.to_string_lossy().into_owned());
        let admin = host.server_admin.clone().unwrap_or_else(|| "[no address given]".into());
        let entries = [
            ("SERVER_SOFTWARE", crate::SOFTWARE.to_owned()),
            ("SERVER_SIGNATURE", String::new()),
            ("SERVER_ADMIN", admin),
            ("DOCUMENT_ROOT", root.unwrap_or_default()),
        ];
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

/// The line of a refused client, in Apache's words, for which programs that ban clients look.
pub fn denied(path: &str) -> String {
    format!("client denied by server configuration: uri {path}")
}

/// The answer where a script's worker died or hung: 500. A full queue and a client that is gone stay what they are.
fn lost(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Busy(_) | Refusal::ClientGone => refusal,
        _ => Refusal::Internal,
    }
}

fn unreadable(kind: &str, path: &Path, why: &io::Error) -> String {
    format!("Could not open {kind} file: {}: {why}", path.display())
}
