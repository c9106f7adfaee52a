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
    /// Both views
    views: Option<[String; 2]>,
    /// Login and logout
    login: Option<[String; 2]>,
    /// healthz and readyz, wherever they are
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
            views: Some(["export-users", "export-stats"].map(|name| format!("{mount}/{name}/"))),
            login: login.then(|| ["/api/login/".into(), "/api/logout/".into()]),
            health: roots.iter().copied().map(health_under).collect(),
        }
    }

    /// Health checks alone.
    pub fn health() -> Paths {
        Paths {
            views: None,
            login: None,
            health: vec![health_under("")],
        }
    }

    /// Whether a path is one of Django's.
    pub fn is_django(&self, path: &str) -> bool {
        let mut django = self.views.iter().chain(&self.login).flatten();
        django.any(|known| known == path)
    }

    /// Whether a path is a health check.
    pub fn is_health(&self, path: &str) -> bool {
        self.health.iter().flatten().any(|known| known == path)
    }

    /// Puts every handler at its path.
    pub fn configure(&self, app: &mut ServiceConfig) {
        let options = || web::route().guard(guard::Options());
        if let Some([users, stats]) = &self.views {
            app.service(
                web::resource(users)
                    .route(options().to(admin::describe_export_users))
                    .route(web::to(admin::export_users)),
            );
            app.service(
                web::resource(stats)
                    .route(options().to(admin::describe_export_stats))
                    .route(web::to(admin::export_stats)),
            );
        }
        if let Some([login, logout]) = &self.login {
            app.route(login, web::to(login::login));
            app.route(logout, web::to(login::logout));
        }
        for [healthz, readyz] in &self.health {
            let get_or_head = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
            app.route(healthz, get_or_head().to(ops::healthz));
            app.route(readyz, get_or_head().to(ops::readyz));
        }
        app.default_service(web::to(not_found));
    }
}

fn health_under(root: &str) -> [String; 2] {
    ["healthz", "readyz"].map(|name| format!("{root}/{name}"))
}

async fn not_found() -> Result<(), Error> {
    Err(Error::new(Kind::NotFoundPage))
}
