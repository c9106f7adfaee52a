-- A MySQL or MariaDB account for watchtower-sidecar that may do what the service does, and nothing else.
--
-- In a copy of this file, replace
--   'sidecar'@'127.0.0.1'   the account, and the address from which the service connects
--   `watchtower`            the database
--   `auth_user`             the user table: AUTH_USER_MODEL._meta.db_table, as in DJANGO_USER_TABLE
-- With a custom user model, delete the optional columns that it lacks, and the columns in DJANGO_USER_FIELDS_NONE. Add the
-- column of its USERNAME_FIELD (as in DJANGO_USERNAME_FIELD) if that is neither username nor email.
--
-- Run it as an administrator. You can run it again: privileges that were granted to the account before and are not named
-- here are withdrawn. A running service answers 503 for a moment, between REVOKE and GRANT:
--   mariadb --user=root --password < grants-mysql.sql       (mysql with MySQL; both ask for the password)
-- The new account is locked. Set its password inside the client. Start the client with MYSQL_HISTFILE=/dev/null, because
-- MariaDB's client writes even this statement into its history:
--   ALTER USER 'sidecar'@'127.0.0.1' IDENTIFIED BY '...' ACCOUNT UNLOCK;
-- A server that checks passwords may refuse to create an account without one (error 1819). Then first run, in the same
-- way: CREATE USER 'sidecar'@'127.0.0.1' IDENTIFIED BY '...';
-- DATABASE_READ_URL: if accounts are not replicated, run part 1 on the replica too.

CREATE USER IF NOT EXISTS 'sidecar'@'127.0.0.1' ACCOUNT LOCK;

-- A process keeps at most 17 connections: 8 for queries, 4 for exports, 5 for statistics, the page, readyz and pings. The
-- limit is twice that, because an old and a new process overlap during a restart. Add two for each
-- SIDECAR_EXPORT_CONCURRENCY above 4, and 34 for each further process.
ALTER USER 'sidecar'@'127.0.0.1' WITH MAX_USER_CONNECTIONS 34;

REVOKE ALL PRIVILEGES, GRANT OPTION FROM 'sidecar'@'127.0.0.1';

-- PART 1: always.

GRANT SELECT (session_key, session_data, expire_date) ON `watchtower`.`django_session` TO 'sidecar'@'127.0.0.1';
GRANT SELECT (
    is_movie_user, -- optional
    is_tv_user, date_joined, email, first_name, last_name, -- what is exported
    id, username, password, is_active, is_staff -- who is calling
) ON `watchtower`.`auth_user` TO 'sidecar'@'127.0.0.1';
-- REFERENCES shows the names of all columns, but no values. Without it the server hides columns from the account, and a
-- column that was forgotten above would look like one that the model does not have.
GRANT REFERENCES ON `watchtower`.`auth_user` TO 'sidecar'@'127.0.0.1';

-- PART 2: only with SIDECAR_LOGIN=on. Remove the "-- " before the two statements. A login inserts a session and deletes
-- the previous one; a logout deletes one. last_login is optional.

-- GRANT INSERT (session_key, session_data, expire_date), DELETE ON `watchtower`.`django_session` TO 'sidecar'@'127.0.0.1';
-- GRANT UPDATE (last_login) ON `watchtower`.`auth_user` TO 'sidecar'@'127.0.0.1';

-- PART 3: only with DRF's TokenAuthentication (`token` in DJANGO_REST_AUTHENTICATION, which names the table and columns).

-- GRANT SELECT (`key`, user_id) ON `watchtower`.`authtoken_token` TO 'sidecar'@'127.0.0.1';

-- PART 4: only if users log in by e-mail address with allauth (`email` in DJANGO_PASSWORD_BACKENDS).

-- GRANT SELECT (email, user_id, verified) ON `watchtower`.`account_emailaddress` TO 'sidecar'@'127.0.0.1';

-- PART 5: only with DJANGO_DEBUG, for a model without is_tv_user: the error's details list the model's relations too.

-- GRANT REFERENCES ON `watchtower`.`auth_user_groups` TO 'sidecar'@'127.0.0.1';
-- GRANT REFERENCES ON `watchtower`.`auth_user_user_permissions` TO 'sidecar'@'127.0.0.1';
-- GRANT REFERENCES ON `watchtower`.`django_admin_log` TO 'sidecar'@'127.0.0.1';
-- GRANT REFERENCES ON `watchtower`.`authtoken_token` TO 'sidecar'@'127.0.0.1';
