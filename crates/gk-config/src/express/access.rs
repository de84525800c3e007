//! `--host-access-script`, `--auth-user-script` and their relatives: scripts that decide about every request, as mod_wsgi-express
//! writes them down.

use super::ServeOptions;
use crate::express::writer::Text;

/// The sections. `address`: the realm's name.
pub fn sections(text: &mut Text, given: &ServeOptions, address: &str) {
    if let Some(script) = given.one("host-access-script") {
        text.out.push_str("<Location />\n");
        text.line("WSGIAccessScript", &[script]);
        text.out.push_str("</Location>\n");
    }
    let Some(script) = given.one("auth-user-script") else { return };
    let digest = given.one("auth-type").is_some_and(|kind| kind.eq_ignore_ascii_case("digest"));
    let kind = if digest { "Digest" } else { "Basic" };
    text.out.push_str("<Location />\n");
    text.line("AuthType", &[kind]);
    text.line("AuthName", &[address]);
    text.line(&format!("Auth{kind}Provider"), &["wsgi"]);
    text.line("WSGIAuthUserScript", &[script]);
    let groups = given.one("auth-group-script");
    text.given("WSGIAuthGroupScript", groups);
    text.out.push_str("<RequireAll>\nRequire valid-user\n");
    if groups.is_some() {
        text.line("Require", &["wsgi-group", given.one("auth-group").unwrap_or("wsgi")]);
    }
    text.out.push_str("</RequireAll>\n</Location>\n");
}

/// What is given and has no effect, as a sentence: nobody is to believe in a protection that is not there.
pub fn check(given: &ServeOptions) -> Result<(), String> {
    for (option, needed) in [
        ("auth-type", "auth-user-script"),
        ("auth-group-script", "auth-user-script"),
        ("auth-group", "auth-group-script"),
    ] {
        if given.one(option).is_some() && given.one(needed).is_none() {
            return Err(format!("--{option} protects nothing without --{needed}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use gk_rules::access::{AuthType, Provider};

    /// Reported: mod_wsgi-express's options for scripts of access control were unknown.
    #[test]
    fn scripts_decide_about_every_request() {
        let surroundings = crate::Surroundings { directory: "/srv/site".into(), ..Default::default() };
        let options = ServeOptions::new("/srv/site/wsgi.py")
            .with("host-access-script", ["my guard.py"])
            .with("auth-user-script", ["users.py"])
            .with("auth-type", ["Digest"])
            .with("auth-group-script", ["users.py"])
            .with("auth-group", ["staff"])
            .with("port", ["8123"]);
        let (site, _) = crate::express::load(&options, &surroundings).unwrap();
        let mut settings = site.hosts[0].base.clone();
        site.hosts[0].sections.iter().for_each(|section| settings.apply(&section.set));
        let access = &settings.access;
        assert_eq!(access.script.as_ref().unwrap().path.to_str(), Some("/srv/site/my guard.py"));
        assert_eq!(access.users.auth_type, Some(AuthType::Digest));
        assert_eq!(access.users.digest, Some(vec![Provider::Wsgi]));
        assert_eq!(access.users.realm.as_deref(), Some("localhost:8123"));
        assert_eq!(
            access.words()[1],
            "served: every user with the right password, and users whom the group script puts into staff"
        );
        for (option, value) in [("auth-type", "Digest"), ("auth-group-script", "x.py"), ("auth-group", "x")] {
            let options = ServeOptions::new("/srv/site/wsgi.py").with(option, [value]);
            let error = crate::express::load(&options, &surroundings).unwrap_err();
            assert!(error.to_string().contains("protects nothing without"), "{error}");
        }
    }
}
