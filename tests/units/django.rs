//! Django's formats and decisions, beside what the corpora and the differential suite compare with a live Django.

mod authentication;
mod backends;
mod cookies;
mod csrf;
mod dates;
mod hashers;
mod negotiation;
mod renderers;
mod request;
mod sessions;
mod signing;
