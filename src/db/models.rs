//! Django's tables: `django_session`, the user table, whose name and columns differ from project to project, and where the
//! project has them, DRF's tokens and allauth's addresses.

pub(crate) mod column_text;
pub mod named_users;
pub mod sessions;
mod tokens;
pub mod user_table;
pub mod users;
