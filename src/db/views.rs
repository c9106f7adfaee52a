//! The queries of the two views and of the HTML page.

pub mod export;
pub mod exportable_users;
pub mod exported_row;
pub mod months;
mod search;
pub mod statistics;
pub mod users_page;
