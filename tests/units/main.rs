//! What pure functions answer, one file a room of `src/`: no service, no database.

mod db_error;
mod exported_row;
