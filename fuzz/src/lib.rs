//! What the fuzz targets call: the service's own source files for what strangers send, without the rest of the service.
//!
//! `src/django` is a leaf and `client_address` stands alone, so that the instrumented build needs no Actix, no Diesel
//! and no database client: a sixth of the work. `run` sees to it that both builds use the same versions.

#[path = "../../src/auth/client_address.rs"]
pub mod client_address;
#[path = "../../src/django.rs"]
pub mod django;
pub mod session;
