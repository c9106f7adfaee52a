//! The files of the service that read what strangers send, compiled for the fuzz targets without the rest of the service.
//!
//! `src/django` and `client_address` import nothing else of the service, so that the instrumented build needs no Actix, no
//! Diesel and no database client. `run` checks that both builds use the same versions.

#[path = "../../src/client_address.rs"]
pub mod client_address;

#[path = "../../src/django"]
pub mod django {
    pub mod authentication;
    pub mod cookies;
    pub mod dates;
    pub mod hashers;
    mod python;
    pub mod sessions;
    pub mod signing;
}
