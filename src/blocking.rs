//! Jobs that block, and those who wait for them: so many jobs at a time, or one for all who ask.

mod lanes;
mod shared_query;
mod turns;

pub use lanes::Lanes;
pub use shared_query::SharedQuery;
pub use turns::{Answer, Waited};
