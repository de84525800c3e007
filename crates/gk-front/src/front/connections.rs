//! What happens to one of the front's connections from elsewhere.

use crate::front::Front;
use crate::worker::held::Origin;

impl Front {
    /// Resets the connection, or the stream, of a request whose response holds the last thread of a group.
    pub fn give_up(&self, origin: &Origin) {
        if origin.stream != 0 {
            let stream = self.http2.stream(origin.connection, origin.stream);
            stream.iter().for_each(|stream| stream.give_up());
        } else if let Some(conn) = self.conns.borrow().get(&origin.connection) {
            conn.give_up();
        }
    }
}
