//! Requests for files: the file, and the settings of the folder, where it is listed.

use gk_config::site::Settings;
use gk_telemetry::Reason;
use http::header::CONTENT_TYPE;
use std::path::Path;

use crate::answer::files::{self, FileRules};
use crate::answer::response::named;
use crate::front::RoutedRequest;
use crate::request::refusal::Refusal;
use crate::request::resource::FileRole;
use crate::service::{Answer, Serving};

impl Serving<'_> {
    /// Answers with a file.
    pub(super) async fn file(
        &self,
        routed: &RoutedRequest,
        path: &Path,
        tree: &Path,
        role: FileRole,
    ) -> Result<Answer, Refusal> {
        let (url, current, target) = (&*routed.path, self.current, &routed.target);
        let compiled = &current.compiled;
        let folder = || compiled.settings_of_folder(target.host, url, path);
        // It was routed as a file and is a directory, which may be closed itself.
        let closed = |folder: &Settings| match folder.granted() {
            Some(granted) => !granted,
            // The rules that admitted the request, or others that nobody has asked.
            None => folder.access != target.settings.access,
        };
        let may_list = url.ends_with(b"/") && role != FileRole::Index;
        let listed = may_list.then(folder).filter(|f| f.served.indexes == Some(true) && !closed(f));
        let place = files::Place {
            path,
            tree,
            role,
            url,
            compiled,
            host: target.host,
            settings: &target.settings,
            listed,
            withheld: &current.withheld,
            recent: &current.recent,
            rules: &|| self.asked.get().map(|asked| Box::new(asked.beside()) as Box<dyn FileRules>),
        };
        self.is_answered_by(Reason::File);
        let served = Box::pin(files::serve(&self.ends.client, self.parts(), place)).await;
        match served {
            Err(Refusal::Slash(_)) if closed(&folder()) => Err(Refusal::Forbidden),
            served => {
                let mut response = named(served?);
                let forced = self.asked.get().and_then(|asked| asked.rewriting.media_type.as_ref());
                if let Some(media_type) = forced.filter(|_| response.status().is_success()) {
                    response.headers_mut().insert(CONTENT_TYPE, media_type.clone());
                }
                Ok(Answer::Own(Box::new(response)))
            }
        }
    }
}
