//! The files of the service that read what strangers send, compiled for the fuzz targets without the rest of the service.
//!
//! `src/django` and `client_address` import nothing else of the service, so that the instrumented build needs no Actix, no Diesel
//! and no database client: a sixth of the work. `run` sees to it that both builds use the same versions.

#[path = "../../src/client_address.rs"]
pub mod client_address;
#[path = "../../src/django.rs"]
pub mod django;
