//! Laying a scope's settings over those around it. A list that a scope sets replaces the inherited one; variables
//! are merged by name. A rule that closes a scope closes all scopes within it.

use crate::site::{NO_HANDLER, Settings, SettingsPatch};
use gk_rules::access::Access;

impl Settings {
    /// These settings with a scope's own laid over them.
    pub fn patched(&self, patch: &SettingsPatch) -> Self {
        let mut merged = self.clone();
        merged.apply(patch);
        merged
    }

    /// Lays the settings of scopes of one kind over these. Their access rules are put together before, as `AuthMerging` of the last
    /// one is about all of them.
    pub fn apply_all<'p>(&mut self, patches: impl Iterator<Item = &'p SettingsPatch>) {
        let (mut access, mut own) = (self.access.clone(), Access::default());
        for patch in patches {
            self.apply(patch);
            own.lay(&patch.access);
        }
        access.lay(&own);
        self.access = Access { merging: None, ..access };
    }

    /// Lays a scope's settings over these.
    pub fn apply(&mut self, patch: &SettingsPatch) {
        fn set<T: Clone>(slot: &mut T, value: &Option<T>) {
            if let Some(value) = value {
                slot.clone_from(value);
            }
        }
        if patch.process_group.is_some() {
            self.process_group.clone_from(&patch.process_group);
        }
        if patch.application_group.is_some() {
            self.application_group.clone_from(&patch.application_group);
        }
        if patch.restrict_process.is_some() {
            self.restrict_process.clone_from(&patch.restrict_process);
        }
        set(&mut self.callable_object, &patch.callable_object);
        set(&mut self.pass_authorization, &patch.pass_authorization);
        set(&mut self.script_reloading, &patch.script_reloading);
        set(&mut self.error_override, &patch.error_override);
        set(&mut self.chunked_request, &patch.chunked_request);
        set(&mut self.map_head_to_get, &patch.map_head_to_get);
        set(&mut self.ignore_activity, &patch.ignore_activity);
        set(&mut self.trusted_proxy_headers, &patch.trusted_proxy_headers);
        set(&mut self.trusted_proxies, &patch.trusted_proxies);
        self.access.lay(&patch.access);
        if patch.dispatch.is_some() {
            self.dispatch.clone_from(&patch.dispatch);
        }
        self.closed |= patch.closed;
        set(&mut self.limit_request_body, &patch.limit_request_body);
        self.apply_handlers(patch);
        self.served.lay(&patch.served);
        self.rules.lay(&patch.rules);
        self.ssl.lay(&patch.ssl);
        for name in patch.unset_env.iter().flatten() {
            self.env.remove(name);
        }
        for (name, value) in patch.env.iter().flatten() {
            self.env.insert(name.clone(), value.clone());
        }
    }

    /// Handlers by extension are merged; what is removed in a scope is removed whatever stands beside it.
    fn apply_handlers(&mut self, patch: &SettingsPatch) {
        if let Some(name) = &patch.handler {
            self.handler = Some(name.clone()).filter(|name| name != NO_HANDLER);
        }
        for (extension, name) in patch.add_handlers.iter().flatten() {
            self.handlers.insert(extension.clone(), name.clone());
        }
        for extension in patch.remove_handlers.iter().flatten() {
            self.handlers.remove(extension);
        }
        for (name, script) in patch.handler_scripts.iter().flatten() {
            self.handler_scripts.insert(name.clone(), script.clone());
        }
        self.exec_cgi = patch.exec_cgi.unwrap_or(self.exec_cgi);
        self.accept_path_info = patch.accept_path_info.unwrap_or(self.accept_path_info);
        if let Some(names) = &patch.directory_index {
            self.directory_index.clone_from(names);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_replaced_and_variables_merged() {
        let outer = SettingsPatch {
            trusted_proxies: Some(vec!["10.0.0.0/8".into()]),
            env: Some([("A".to_owned(), "1".to_owned()), ("B".to_owned(), "1".to_owned())].into()),
            ..SettingsPatch::default()
        };
        let inner = SettingsPatch {
            trusted_proxies: Some(vec!["::1".into()]),
            env: Some([("B".to_owned(), "2".to_owned())].into()),
            unset_env: Some(vec!["A".into()]),
            ..SettingsPatch::default()
        };
        let merged = Settings::default().patched(&outer).patched(&inner);
        assert_eq!(merged.trusted_proxies, ["::1"]);
        assert_eq!(merged.env.into_iter().collect::<Vec<_>>(), [("B".to_owned(), "2".to_owned())]);
        assert_eq!(Settings::default().patched(&SettingsPatch::default()), Settings::default());
    }
}
