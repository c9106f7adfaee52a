//! Django's two tables: the user table, whose name and columns differ from project to project, and `django_session`.

pub(crate) mod column_text;
pub mod named_users;
pub mod sessions;
mod tokens;
pub mod user_table;
pub mod users;
