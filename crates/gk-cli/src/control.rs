//! Commands about a running server: `status`, `reload`, `drain` and `stop` over its control socket, `top`, `holders` and `profile`
//! from its admin pages.

mod admin_pages;
pub mod client;
pub mod holders;
pub mod profile;
mod status_table;
pub mod top;
mod top_table;
mod top_view;
