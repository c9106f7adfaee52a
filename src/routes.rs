//! The route table. [`crate::middleware`] has turned paths into Django's `path_info`, in one spelling.

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

use crate::error::{Error, ErrorKind};
use crate::route::Route;

pub mod admin;
pub mod login;
pub mod openapi;
pub mod ops;
pub mod page;
mod parameters;
mod view_error;

/// The paths of all routes.
#[derive(Debug, Clone)]
pub struct Paths(Vec<(String, Route)>);

impl Paths {
    /// The paths under `mount`, and login and logout under `login_mount` if they are served; health checks also at the root, or
    /// not at all if `SIDECAR_OPS_BIND` is set.
    pub fn new(mount: &str, login_mount: Option<&str>, health: bool) -> Paths {
        let mut paths = vec![
            (format!("{mount}/"), Route::Overview),
            (format!("{mount}/export-users/"), Route::ExportUsers),
            (format!("{mount}/export-stats/"), Route::ExportStats),
            (format!("{mount}/openapi.json"), Route::OpenApi),
        ];
        if let Some(login_mount) = login_mount {
            paths.extend([
                (format!("{login_mount}/login/"), Route::Login),
                (format!("{login_mount}/logout/"), Route::Logout),
                (format!("{mount}/login/"), Route::LoginForm),
                (format!("{mount}/logout/"), Route::LogoutForm),
            ]);
        }
        let mut roots = vec!["", mount];
        roots.dedup();
        for root in roots.into_iter().filter(|_| health) {
            paths.extend([
                (format!("{root}/healthz"), Route::Healthz),
                (format!("{root}/readyz"), Route::Readyz),
            ]);
        }
        Paths(paths)
    }

    /// The paths of the operators' listener.
    pub fn for_operators() -> Paths {
        Paths(vec![
            ("/healthz".to_owned(), Route::Healthz),
            ("/readyz".to_owned(), Route::Readyz),
            ("/metrics".to_owned(), Route::Metrics),
        ])
    }

    /// The route of a path.
    pub fn find(&self, path: &str) -> Option<Route> {
        let mut paths = self.0.iter();
        paths.find_map(|(known, route)| (known == path).then_some(*route))
    }

    /// Puts every handler at its path.
    pub fn configure(&self, app: &mut ServiceConfig) {
        let options = || web::route().guard(guard::Options());
        let get_or_head = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
        for (path, route) in &self.0 {
            let at = web::resource(path);
            app.service(match route {
                Route::Overview => at
                    .route(get_or_head().to(page::overview))
                    .route(web::to(page::method_not_allowed)),
                Route::ExportUsers => at
                    .route(options().to(admin::describe))
                    .route(web::to(admin::export_users)),
                Route::ExportStats => at
                    .route(options().to(admin::describe))
                    .route(web::to(admin::export_stats)),
                Route::OpenApi => at.route(get_or_head().to(openapi::openapi)),
                Route::Login => at.route(web::to(login::login)),
                Route::Logout => at.route(web::to(login::logout)),
                Route::LoginForm => at.route(web::to(login::login_form)),
                Route::LogoutForm => at.route(web::to(login::logout_form)),
                Route::Healthz => at.route(get_or_head().to(ops::healthz)),
                Route::Readyz => at.route(get_or_head().to(ops::readyz)),
                Route::Metrics => at.route(get_or_head().to(ops::metrics)),
            });
        }
        app.default_service(web::to(not_found));
    }
}

async fn not_found() -> Result<(), Error> {
    Err(ErrorKind::NotFoundPage.into())
}
