//! One request on one link, from the client's side: the worker's [`engine::Exchange`].

use gk_wire::frame::ToWorkerFrame;
use http::HeaderMap;
use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use crate::engine::{self, BodyStart, COPIED, Failure, Piece, ResponseHead};
use crate::request::refusal::Refusal;
use crate::request::spool::SpooledBody;
use crate::worker::head;
use crate::worker::link::Link;
use crate::worker::upload::Upload;

/// A request that a worker serves. Dropping it cancels the request, if the worker has not ended it.
pub struct Exchange {
    link: Rc<Link>,
    id: u32,
    /// Sends the rest of the request body; goes on while the response comes.
    upload: RefCell<Option<Uploading>>,
    /// The request body, which the application may want to read again.
    body: RefCell<Option<SpooledBody>>,
}

/// The future that sends a request body.
type Uploading = Pin<Box<dyn Future<Output = Result<(), Refusal>>>>;

impl Exchange {
    /// For a request just begun on a link.
    pub fn new(link: Rc<Link>, id: u32) -> Self {
        Self { link, id, upload: RefCell::new(None), body: RefCell::new(None) }
    }

    /// Sends a request body, bit by bit, whenever the exchange is polled.
    pub fn upload(&self, body: SpooledBody) {
        *self.body.borrow_mut() = Some(body.clone());
        let upload = Upload::new(Rc::clone(&self.link), self.id);
        *self.upload.borrow_mut() = Some(Box::pin(upload.send(body)));
    }

    /// The body, if the worker asked for it once more.
    fn rewound(&self) -> Option<SpooledBody> {
        let body = self.body.borrow();
        let body = body.as_ref()?;
        let mut requests = self.link.requests.borrow_mut();
        std::mem::take(&mut requests.get(self.id)?.rewound).then(|| body.clone())
    }

    fn poll_upload(&self, cx: &mut Context<'_>) {
        if let Some(body) = self.rewound() {
            self.upload(body);
        }
        let mut upload = self.upload.borrow_mut();
        let Some(Poll::Ready(sent)) = upload.as_mut().map(|upload| upload.as_mut().poll(cx)) else { return };
        *upload = None;
        // The error log has the cause.
        if sent.is_err()
            && let Some(request) = self.link.requests.borrow_mut().get(self.id)
        {
            let reason = "the request body could not be read back from its temporary file";
            request.failure.get_or_insert_with(|| Failure::Aborted(reason.into()));
        }
    }

    /// The link of the request.
    pub fn link(&self) -> &Rc<Link> {
        &self.link
    }

    /// Waits for the head.
    pub async fn head(&self) -> Result<(), Failure> {
        poll_fn(|cx| engine::Exchange::poll_head(self, cx)).await
    }
}

impl engine::Exchange for Exchange {
    fn poll_head(&self, cx: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        self.poll_upload(cx);
        let mut requests = self.link.requests.borrow_mut();
        let request = requests.get(self.id).expect(LIVES);
        if request.has_head {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = &request.failure {
            return Poll::Ready(Err(failure.clone()));
        }
        if request.silence == Some(true) {
            request.silence = Some(false);
            return Poll::Ready(Err(Failure::Silent));
        }
        request.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn take_head(&self, headers: &mut HeaderMap) -> (ResponseHead, BodyStart) {
        let mut requests = self.link.requests.borrow_mut();
        let request = requests.get(self.id).expect(LIVES);
        request.has_head = false;
        let head = head::response(&request.head, request.head_flags, headers)
            .expect("the reader of the link decoded it before");
        let body = if let Some(file) = request.file.take() {
            BodyStart::File(file)
        } else if request.ended && request.failure.is_none() && request.backlog.is_single() {
            BodyStart::Whole(request.backlog.take(COPIED, &self.link.share).unwrap_or_default())
        } else {
            BodyStart::Streamed
        };
        (head, body)
    }

    fn poll_piece(&self, cx: &mut Context<'_>, most: usize) -> Poll<Option<Result<Piece, Failure>>> {
        self.poll_upload(cx);
        let mut requests = self.link.requests.borrow_mut();
        let request = requests.get(self.id).expect(LIVES);
        if let Some(chunk) = request.backlog.take(most, &self.link.share) {
            request.since = self.link.now();
            let credit = request.credit(&self.link.share);
            drop(requests);
            if let Some(bytes) = credit {
                self.link.queue(ToWorkerFrame::Credit { id: self.id, bytes });
            }
            return Poll::Ready(Some(Ok(Piece::Data(chunk))));
        }
        if !request.backlog.is_empty() {
            // They are on their way back from the disk.
            request.waker = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if let Some(file) = request.file.take() {
            return Poll::Ready(Some(Ok(Piece::File(file))));
        }
        if let Some(failure) = &request.failure {
            return Poll::Ready(Some(Err(failure.clone())));
        }
        if request.ended {
            return Poll::Ready(None);
        }
        request.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_finished(&self) -> bool {
        let mut requests = self.link.requests.borrow_mut();
        requests.get(self.id).is_none_or(|request| {
            request.ended && request.backlog.is_empty() && request.file.is_none() && request.failure.is_none()
        })
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.link.release(self.id);
    }
}

/// Why an exchange finds its request.
const LIVES: &str = "a request lives as long as its exchange";
