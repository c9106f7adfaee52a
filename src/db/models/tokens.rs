//! The tokens of DRF's `authtoken` (`rest_framework.authtoken.models.Token`), or of a model of the project's own like it.

use super::column_text::can_hold;
use super::user_table::UserTable;
use super::users::User;
use crate::db::connection::Connection;
use crate::db::error::DbError;
use crate::db::sql::{Parameter, Sql, quoted};
use crate::django::settings::TokenModel;

impl UserTable {
    /// The user of the token with this key (`TokenAuthentication.authenticate_credentials`), by the index on the keys. No
    /// token is compared here: how long a lookup takes tells no more of a key than it does in Django.
    pub fn find_by_token(
        &self,
        connection: &mut Connection,
        tokens: &TokenModel,
        key: &str,
    ) -> Result<Option<User>, DbError> {
        if !can_hold(connection, &tokens.table, &tokens.key, key)? {
            return Ok(None);
        }
        let (users, username) = (&self.quoted_table, &self.quoted_username);
        let [table, column, user] =
            [&tokens.table, &tokens.key, &tokens.user].map(|name| quoted(self.backend, name));
        let sql = Sql::new(format!(
            "SELECT u.id, u.{username}, u.password, u.is_active, u.is_staff FROM {table} t \
             JOIN {users} u ON u.id = t.{user} WHERE t.{column} = $1 LIMIT 2"
        ));
        self.only(connection, sql.bind(Parameter::AnyText(key.to_owned())))
    }

    /// Selects the columns of all token models, to see that the role may read them.
    pub(crate) fn probe_tokens(&self, connection: &mut Connection) -> Result<(), DbError> {
        let mut models = self.model.tokens.iter();
        models.try_for_each(|model| self.find_by_token(connection, model, "").map(drop))
    }
}
