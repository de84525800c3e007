//! How users are asked for their names: `AuthType` and what belongs to it.

use crate::Mistake;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A form of authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// `None`: nobody is asked.
    None,
    /// `Basic`.
    Basic,
    /// `Digest`.
    Digest,
    /// One that is not known here: nobody can authenticate.
    Other(String),
}

/// Where passwords are looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Provider {
    /// `AuthUserFile`.
    File,
    /// `WSGIAuthUserScript`.
    Wsgi,
}

/// A script of access control, with the application group it runs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The file.
    pub path: PathBuf,
    /// `application-group=`; `None`: the main interpreter.
    pub application_group: Option<String>,
}

/// The settings; those of an inner scope replace their like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Users {
    /// `AuthType`.
    pub auth_type: Option<AuthType>,
    /// `AuthName`: the realm.
    pub realm: Option<String>,
    /// `AuthBasicProvider`; `None`: the file.
    pub basic: Option<Vec<Provider>>,
    /// `AuthDigestProvider`; `None`: the file.
    pub digest: Option<Vec<Provider>>,
    /// `AuthUserFile`.
    pub file: Option<PathBuf>,
    /// `AuthGroupFile`.
    pub groups: Option<PathBuf>,
    /// `AuthDigestNonceLifetime`, seconds; negative: without end.
    pub nonce_lifetime: Option<i64>,
    /// `AuthDigestDomain`.
    pub domain: Option<String>,
    /// `WSGIAuthUserScript`.
    pub script: Option<Script>,
    /// `WSGIAuthGroupScript`.
    pub group_script: Option<Script>,
}

impl AuthType {
    /// Reads the word of `AuthType`.
    pub fn parse(word: &str) -> Self {
        match word.to_ascii_lowercase().as_str() {
            "none" => Self::None,
            "basic" => Self::Basic,
            "digest" => Self::Digest,
            _ => Self::Other(word.to_owned()),
        }
    }
}

impl Provider {
    /// Reads the words of a directive that names providers.
    pub fn parse(words: &[&str]) -> Result<Vec<Self>, Mistake> {
        let one = |(at, word): (usize, &&str)| match word.to_ascii_lowercase().as_str() {
            "file" => Ok(Self::File),
            "wsgi" => Ok(Self::Wsgi),
            _ => {
                let mistake =
                    Mistake::new(format!("`{word}` is no provider of users that is known here")).at(at);
                Err(mistake.hint("file and wsgi are known"))
            }
        };
        words.iter().enumerate().map(one).collect()
    }
}

impl Users {
    /// Lays an inner scope's settings over these.
    pub fn lay(&mut self, inner: &Self) {
        fn set<T: Clone>(slot: &mut Option<T>, value: &Option<T>) {
            if value.is_some() {
                slot.clone_from(value);
            }
        }
        set(&mut self.auth_type, &inner.auth_type);
        set(&mut self.realm, &inner.realm);
        set(&mut self.basic, &inner.basic);
        set(&mut self.digest, &inner.digest);
        set(&mut self.file, &inner.file);
        set(&mut self.groups, &inner.groups);
        set(&mut self.nonce_lifetime, &inner.nonce_lifetime);
        set(&mut self.domain, &inner.domain);
        set(&mut self.script, &inner.script);
        set(&mut self.group_script, &inner.group_script);
    }
}
