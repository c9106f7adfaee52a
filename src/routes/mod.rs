//! The route table. Paths arrive here as Django's `path_info`, in one spelling: see [`crate::middleware`].

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

use crate::error::{Error, Kind};

pub mod admin;
pub mod login;
pub mod ops;

/// Where everything is served.
#[derive(Debug, Clone)]
pub struct Paths {
    export_users: String,
    export_stats: String,
    login: Option<[String; 2]>,
    health: Vec<[String; 2]>,
}

impl Paths {
    /// The paths under `mount`; health checks also at the root, or nowhere when they have a listener of their own.
    pub fn new(mount: &str, login: bool, health: bool) -> Paths {
        let roots: &[&str] = match (health, mount) {
            (false, _) => &[],
            (true, "") => &[""],
            (true, mount) => &["", mount],
        };
        Paths {
            export_users: format!("{mount}/export-users/"),
            export_stats: format!("{mount}/export-stats/"),
            login: login.then(|| ["/api/login/".into(), "/api/logout/".into()]),
            health: roots
                .iter()
                .map(|root| [format!("{root}/healthz"), format!("{root}/readyz")])
                .collect(),
        }
    }

    /// Whether a path is one of Django's.
    pub fn is_django(&self, path: &str) -> bool {
        self.django().any(|known| known == path)
    }

    /// Whether a path is a health check.
    pub fn is_health(&self, path: &str) -> bool {
        self.health.iter().flatten().any(|known| known == path)
    }

    fn django(&self) -> impl Iterator<Item = &str> {
        let login = self.login.iter().flatten();
        [&self.export_users, &self.export_stats]
            .into_iter()
            .chain(login)
            .map(String::as_str)
    }

    /// Puts every handler at its path.
    pub fn configure(&self, app: &mut ServiceConfig) {
        app.service(
            web::resource(&self.export_users)
                .route(
                    web::route()
                        .guard(guard::Options())
                        .to(admin::describe_export_users),
                )
                .route(web::to(admin::export_users)),
        );
        app.service(
            web::resource(&self.export_stats)
                .route(
                    web::route()
                        .guard(guard::Options())
                        .to(admin::describe_export_stats),
                )
                .route(web::to(admin::export_stats)),
        );
        if let Some([login, logout]) = &self.login {
            app.route(login, web::to(login::login));
            app.route(logout, web::to(login::logout));
        }
        self.configure_health(app);
        app.default_service(web::to(not_found));
    }

    /// Puts only the health checks at their paths.
    pub fn configure_health(&self, app: &mut ServiceConfig) {
        for [healthz, readyz] in &self.health {
            let get_or_head = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
            app.route(healthz, get_or_head().to(ops::healthz));
            app.route(readyz, get_or_head().to(ops::readyz));
        }
    }
}

async fn not_found() -> Result<(), Error> {
    Err(Error::new(Kind::NotFoundPage))
}
