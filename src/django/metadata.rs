//! The `OPTIONS` bodies of the two views, as `rest_framework.metadata.SimpleMetadata` makes them (DRF 3.18, default renderers
//! and parsers): the name from the function's, the description from its docstring.
//! Compact JSON, recorded from a live DRF; `renderers::Indenter` indents it.

/// `OPTIONS` of `export_users`.
pub const EXPORT_USERS: &str = concat!(
    r#"{"name":"Export Users","description":"Export users with TV service for TwentyFour/Seven import.\n"#,
    r#"Only admin users can access this endpoint.\n\nReturns:\n"#,
    r#"    JSON response with list of active TV users including:\n"#,
    r#"    - id, username, email, first_name, last_name\n"#,
    r#"    - tv_service status, is_active status, date_joined","#,
    r#""renders":["application/json","text/html"],"#,
    r#""parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}"#,
);

/// `OPTIONS` of `export_stats`.
pub const EXPORT_STATS: &str = concat!(
    r#"{"name":"Export Stats","description":"Get statistics about exportable users.\n"#,
    r#"Useful for admins to see what would be exported before doing the actual export.","#,
    r#""renders":["application/json","text/html"],"#,
    r#""parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}"#,
);
