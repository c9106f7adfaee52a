//! Blocking jobs: a bounded number at a time ([`workers`]), or one run that concurrent callers share ([`shared_query`]).

pub mod pending_job;
pub mod shared_query;
pub mod workers;
