//! What Django and Django REST framework do, as pure functions: no Actix, no Diesel, no environment, no clock.
//! Each module names the module of Django that it mirrors. Tests compare them with a live Django.

pub mod authentication;
pub mod backends;
pub mod cookies;
pub mod csrf;
pub mod dates;
pub mod hashers;
pub mod metadata;
pub mod negotiation;
pub mod python;
pub mod renderers;
pub mod request;
pub mod sessions;
pub mod settings;
pub mod signing;
