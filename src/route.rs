//! The entries of the route table, by which log lines, metrics and middleware tell requests apart.

/// One entry of the route table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// The page at the mount
    Overview,
    /// The customer's `export_users`
    ExportUsers,
    /// The customer's `export_stats`
    ExportStats,
    /// The OpenAPI document
    OpenApi,
    /// `POST /api/login/`
    Login,
    /// `POST /api/logout/`
    Logout,
    /// The page's login form
    LoginForm,
    /// The page's logout form
    LogoutForm,
    /// Liveness
    Healthz,
    /// Readiness
    Readyz,
    /// Metrics for Prometheus
    Metrics,
}

impl Route {
    /// Its name in the log and in the metrics.
    pub fn label(self) -> &'static str {
        match self {
            Route::Overview => "overview",
            Route::ExportUsers => "export-users",
            Route::ExportStats => "export-stats",
            Route::OpenApi => "openapi.json",
            Route::Login => "login",
            Route::Logout => "logout",
            Route::LoginForm => "login-form",
            Route::LogoutForm => "logout-form",
            Route::Healthz => "healthz",
            Route::Readyz => "readyz",
            Route::Metrics => "metrics",
        }
    }

    /// Whether its handler reads the request's body.
    pub fn reads_body(self) -> bool {
        matches!(self, Route::Login | Route::Logout | Route::LoginForm)
    }

    /// Whether it is for operators: Django has no such route.
    pub fn is_for_operators(self) -> bool {
        matches!(self, Route::Healthz | Route::Readyz | Route::Metrics)
    }
}
