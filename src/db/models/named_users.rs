//! The users whom a name may mean, looked up in the ways of Django's `ModelBackend` and of allauth's backend
//! (`allauth.account.internal.userkit` of allauth 65).
//!
//! Only `Username`, and addresses where the user table has an index for them, are found by an index. Django's own queries are
//! the same. [`scans`] tells which lookups may read the whole table, so that few of them run at a time.

use diesel::row::Row;

use super::column_text::can_hold;
use super::user_table::UserTable;
use super::users::User;
use crate::config::Backend;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::sql::{Parameter, Sql, quoted};
use crate::db::types::row::{FromRow, is_true, text};
use crate::db::types::value::{DjangoBackend, ValueError};
use crate::django::backends::NameLookup;

/// allauth's table of addresses (`allauth.account.models.EmailAddress`).
pub const ADDRESSES: &str = "account_emailaddress";

/// The columns of [`ADDRESSES`] that are read.
pub const ADDRESS_COLUMNS: [&str; 3] = ["email", "user_id", "verified"];

/// The most users whom a lookup may find. Each costs a hash, so a name that means more means no one.
const MOST_USERS: usize = 4;

/// The users whom a name may mean, by the lookup that found them.
#[derive(Default)]
pub struct NamedUsers {
    /// Each user once
    pub users: Vec<User>,
    found: Vec<(NameLookup, usize)>,
}

impl NamedUsers {
    /// The users whom this lookup found, in order, as indices of `users`.
    pub fn by(&self, lookup: NameLookup) -> impl Iterator<Item = usize> + '_ {
        let found = self.found.iter();
        found.filter_map(move |(by, index)| (*by == lookup).then_some(*index))
    }

    fn add(&mut self, lookup: NameLookup, user: User) {
        let known = self.users.iter().position(|known| known.id == user.id);
        let index = known.unwrap_or(self.users.len());
        if known.is_none() {
            self.users.push(user);
        }
        self.found.push((lookup, index));
    }
}

/// Whether the lookup may read the whole user table.
pub fn scans(lookup: NameLookup, username_field: &str) -> bool {
    match lookup {
        NameLookup::Username | NameLookup::UsernameLower => false,
        NameLookup::UsernameAnyCase => true,
        NameLookup::Email => username_field != "email",
    }
}

/// A user whom a lookup has found, the text that was compared with the name, and whether it is a verified address.
struct Candidate {
    user: User,
    compared: Option<String>,
    verified: bool,
}

impl FromRow for Candidate {
    fn from_row<'a, DB: DjangoBackend>(row: &impl Row<'a, DB>) -> Result<Candidate, ValueError> {
        Ok(Candidate {
            user: User::from_row(row)?,
            compared: text(row, 5)?,
            verified: is_true(row, 6)?,
        })
    }
}

impl UserTable {
    /// The users whom a name may mean, by these lookups.
    pub fn find_by_name(
        &self,
        connection: &mut Connection,
        lookups: &[NameLookup],
        name: &str,
    ) -> Result<NamedUsers, DbError> {
        let mut named = NamedUsers::default();
        let lower = name.to_lowercase();
        let (users, username) = (&self.model.table, &self.model.username_field);
        // On PostgreSQL a text that can't be held ends the transaction, and with it all lookups.
        if self.backend == Backend::Postgres
            && !(can_hold(connection, users, username, name)?
                && can_hold(connection, users, username, &lower)?)
        {
            return Ok(named);
        }
        for lookup in lookups {
            let users = match lookup {
                NameLookup::Username => {
                    let user = self.find_by_username(connection, name)?;
                    user.into_iter().collect()
                }
                // `_authenticate` of allauth's backend
                _ if name.is_empty() => Vec::new(),
                NameLookup::UsernameLower => {
                    let is_name = format!("{} = $1", self.quoted_username);
                    let value = Parameter::AnyText(lower.clone());
                    self.find_one(connection, &is_name, value, &lower)?
                }
                NameLookup::UsernameAnyCase => {
                    let (is_name, value) = self.in_any_case(name);
                    self.find_one(connection, &is_name, value, name)?
                }
                NameLookup::Email => self.find_by_email(connection, &lower)?,
            };
            for user in users {
                named.add(*lookup, user);
            }
        }
        Ok(named)
    }

    /// The lookup `iexact` over the user name, as Django writes it for each database (`prep_for_iexact_query`).
    fn in_any_case(&self, name: &str) -> (String, Parameter) {
        let column = &self.quoted_username;
        let escaped = || {
            let name = name.replace('\\', "\\\\");
            name.replace('%', "\\%").replace('_', "\\_")
        };
        let (condition, value) = match self.backend {
            Backend::Postgres => (
                format!("UPPER({column}::text) = UPPER($1)"),
                name.to_owned(),
            ),
            Backend::Mysql => (format!("{column} LIKE $1"), escaped()),
            Backend::Sqlite => (format!("{column} LIKE $1 ESCAPE '\\'"), escaped()),
        };
        (condition, Parameter::Text(value))
    }

    /// The user of a condition over the user name, if there is exactly one (`get_user_by_username` of allauth).
    fn find_one(
        &self,
        connection: &mut Connection,
        is_name: &str,
        value: Parameter,
        name: &str,
    ) -> Result<Vec<User>, DbError> {
        let column = &self.model.username_field;
        let found = self.candidates(connection, column, is_name, value, name)?;
        Ok(match found.len() {
            1 => found.into_iter().map(|found| found.user).collect(),
            _ => Vec::new(),
        })
    }

    /// `filter_users_by_email(email, prefer_verified=True, for_login=True)`: the users of allauth's addresses, or those alone
    /// whose address is verified; and without a verified address the users who have it in their own column. allauth tries
    /// them in the order of a Python set, the sidecar by key. `email` is in lower case.
    fn find_by_email(
        &self,
        connection: &mut Connection,
        email: &str,
    ) -> Result<Vec<User>, DbError> {
        let value = || Parameter::AnyText(email.to_owned());
        let mut found = Vec::new();
        if can_hold(connection, ADDRESSES, "email", email)? {
            let (users, username) = (&self.quoted_table, &self.quoted_username);
            let addresses = quoted(self.backend, ADDRESSES);
            let sql = Sql::new(format!(
                "SELECT u.id, u.{username}, u.password, u.is_active, u.is_staff, a.email, a.verified \
                 FROM {addresses} a JOIN {users} u ON u.id = a.user_id WHERE a.email = $1 \
                 ORDER BY a.verified DESC LIMIT {limit}",
                limit = MOST_USERS + 1,
            ));
            found = self.load_candidates(connection, sql.bind(value()), email)?;
        }
        // Also where a verified address decides: the time of a refusal must not tell whether there is one.
        let own = self.candidates(connection, "email", "email = $1", value(), email)?;
        if found.iter().any(|address| address.verified) {
            found.retain(|address| address.verified);
        } else {
            found.extend(own);
        }
        let mut users: Vec<User> = found.into_iter().map(|found| found.user).collect();
        users.sort_by_key(|user| user.id);
        users.dedup_by_key(|user| user.id);
        if users.len() > MOST_USERS {
            users.clear();
        }
        Ok(users)
    }

    /// The users of a condition over `column`, whose value is compared with `name` once more.
    fn candidates(
        &self,
        connection: &mut Connection,
        column: &str,
        condition: &str,
        value: Parameter,
        name: &str,
    ) -> Result<Vec<Candidate>, DbError> {
        if !can_hold(connection, &self.model.table, column, name)? {
            return Ok(Vec::new());
        }
        let (users, username) = (&self.quoted_table, &self.quoted_username);
        let column = quoted(self.backend, column);
        let sql = Sql::new(format!(
            "SELECT id, {username}, password, is_active, is_staff, {column} FROM {users} WHERE {condition} \
             LIMIT {limit}",
            limit = MOST_USERS + 1,
        ));
        self.load_candidates(connection, sql.bind(value), name)
    }

    /// The rows of a query whose compared text is the name, in any case, which the database's collation may take more
    /// loosely; none if there are more rows than may be tried. A verified address comes first, and counts whatever follows.
    fn load_candidates(
        &self,
        connection: &mut Connection,
        sql: Sql,
        name: &str,
    ) -> Result<Vec<Candidate>, DbError> {
        let mut found: Vec<Candidate> = self.readable(sql.load(connection))?;
        if found.len() > MOST_USERS && !found[0].verified {
            let message = format!("a name means more than {MOST_USERS} users, and none is tried");
            self.rate_limited_log
                .warn_hourly(module_path!(), (), &message);
            return Ok(Vec::new());
        }
        let name = name.to_lowercase();
        let is_name = |compared: &String| compared.to_lowercase() == name;
        found.retain(|found| found.compared.as_ref().is_some_and(is_name));
        Ok(found)
    }

    /// Selects what a lookup by address reads, of zero rows, to see that the role may read it.
    pub(super) fn probe_addresses(&self, connection: &mut Connection) -> Result<(), DbError> {
        let columns = ADDRESS_COLUMNS.join(", ");
        let addresses = quoted(self.backend, ADDRESSES);
        let users = &self.quoted_table;
        for sql in [
            format!("SELECT {columns} FROM {addresses} WHERE 1 = 0"),
            format!("SELECT email FROM {users} WHERE 1 = 0"),
        ] {
            Sql::new(sql).load::<Option<String>>(connection)?;
        }
        Ok(())
    }
}
