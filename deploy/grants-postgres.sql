-- A PostgreSQL role for watchtower-sidecar that may do what the service does, and nothing else.
--
-- In a copy of this file, replace
--   "sidecar"      the role
--   "watchtower"   the database
--   "auth_user"    the user table: AUTH_USER_MODEL._meta.db_table, as in DJANGO_USER_TABLE
--   "public"       the schema of both tables; any other schema must also be in the role's search_path
-- With a custom user model, delete the optional columns that it lacks, and the columns in DJANGO_USER_FIELDS_NONE. Add the
-- column of its USERNAME_FIELD (as in DJANGO_USERNAME_FIELD) if that is neither username nor email.
--
-- Run it as a superuser. You can run it again: privileges that it granted before and does not name now are withdrawn.
--   psql --set=ON_ERROR_STOP=1 --single-transaction --dbname=watchtower --file=grants-postgres.sql
-- Then set the role's password inside psql, which prompts for it and sends only its hash:
--   \password sidecar
-- DATABASE_READ_URL: on a streaming replica the role exists already; otherwise run part 1 there too.

DO $$ BEGIN
    CREATE ROLE "sidecar" LOGIN;
EXCEPTION WHEN duplicate_object THEN
    NULL; -- It is there from an earlier run.
END $$;

-- A process keeps at most 17 connections: 8 for queries, 4 for exports, 5 for statistics, the page, readyz and pings. The
-- limit is twice that, because an old and a new process overlap during a restart. Add two for each
-- SIDECAR_EXPORT_CONCURRENCY above 4, and 34 for each further process.
ALTER ROLE "sidecar" CONNECTION LIMIT 34;

REVOKE ALL ON "public"."auth_user", "public"."django_session" FROM "sidecar";
DO $$ BEGIN
    REVOKE ALL ON "public"."authtoken_token" FROM "sidecar";
EXCEPTION WHEN undefined_table THEN
    NULL; -- The project has no tokens.
END $$;
DO $$ BEGIN
    REVOKE ALL ON "public"."account_emailaddress" FROM "sidecar";
EXCEPTION WHEN undefined_table THEN
    NULL; -- The project has no allauth.
END $$;

-- PART 1: always.

GRANT CONNECT ON DATABASE "watchtower" TO "sidecar";
GRANT USAGE ON SCHEMA "public" TO "sidecar";
GRANT SELECT (session_key, session_data, expire_date) ON "public"."django_session" TO "sidecar";
GRANT SELECT (
    is_movie_user, -- optional
    is_tv_user, date_joined, email, first_name, last_name, -- what is exported
    id, username, password, is_active, is_staff -- who is calling
) ON "public"."auth_user" TO "sidecar";

-- PART 2: only with SIDECAR_LOGIN=on. Remove the "-- " before the two statements. A login inserts a session and deletes
-- the previous one; a logout deletes one. last_login is optional.

-- GRANT INSERT (session_key, session_data, expire_date), DELETE ON "public"."django_session" TO "sidecar";
-- GRANT UPDATE (last_login) ON "public"."auth_user" TO "sidecar";

-- PART 3: only with DRF's TokenAuthentication (`token` in DJANGO_REST_AUTHENTICATION, which names the table and columns).

-- GRANT SELECT (key, user_id) ON "public"."authtoken_token" TO "sidecar";

-- PART 4: only if users log in by e-mail address with allauth (`email` in DJANGO_PASSWORD_BACKENDS).

-- GRANT SELECT (email, user_id, verified) ON "public"."account_emailaddress" TO "sidecar";

-- PostgreSQL grants some privileges to all roles (PUBLIC). They can only be revoked for all roles at once; owners keep
-- theirs. Consider
--   REVOKE CREATE ON SCHEMA "public" FROM PUBLIC;           (the default before PostgreSQL 15)
--   REVOKE TEMPORARY ON DATABASE "watchtower" FROM PUBLIC;
