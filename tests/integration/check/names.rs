//! Names that a backend looks up by e-mail address.

use super::{Checked, command};
use crate::names::{backends, with_addresses};

#[test]
fn check_says_whom_a_name_means_and_what_the_lookup_needs() {
    for database in with_addresses() {
        let variables = backends(r#"["email"]"#);
        let variables = variables
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let user = |variables: &[(&str, &str)], name: &str| {
            let output = command(&database.url, variables, &["--user", name]).output();
            Checked::of(output.unwrap())
        };
        let admin = user(&variables, "ADMIN2@example.com");
        assert!(
            admin
                .finding("ok", "user.name")
                .0
                .ends_with("this name means admin"),
            "{}",
            admin.text
        );
        assert_eq!(admin.code, 0, "{}", admin.text);
        let shared = user(&variables, "shared@example.com");
        assert!(
            shared
                .finding("warning", "user.several")
                .0
                .contains("frank, grace"),
            "{}",
            shared.text
        );
        let none = user(&[("DJANGO_PASSWORD_BACKENDS", "[]")], "admin");
        none.assert_error("user.refused.backend", "no backend takes a password");

        let all = |variables: &[(&str, &str)]| {
            Checked::of(command(&database.url, variables, &[]).output().unwrap())
        };
        all(&variables).finding("ok", "addresses.table");
        if database.name() != "sqlite" {
            database.execute(&format!(
                "REVOKE SELECT (verified) ON account_emailaddress FROM {}",
                database.role()
            ));
            let checked = all(&variables);
            let (_, advice) = checked.finding("error", "role.missing-grant");
            assert!(advice.contains("verified"), "{advice}");
        }
        database.execute("DROP TABLE account_emailaddress");
        all(&variables).finding("error", "addresses.table");
        assert!(!all(&[]).text.contains("addresses.table"));
    }
}
