#!/bin/sh
# Creates the sidecar's role after Django's tables: runs deploy/grants-postgres.sql and sets the password in database-url.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres-password)
export PGPASSWORD
password=$(sed -n 's|^postgres://sidecar:\([^@]*\)@.*|\1|p' /run/secrets/database-url)
export password
[ -n "$password" ] || { echo "database-url is not postgres://sidecar:PASSWORD@..." >&2; exit 64; }
psql="psql --set=ON_ERROR_STOP=1 --quiet --host=postgres --username=postgres --dbname=watchtower"
$psql --single-transaction --file=/grants-postgres.sql
# The password goes through the environment, because other users of the machine can read command lines.
$psql <<'END'
\set password `printf %s "$password"`
ALTER ROLE sidecar PASSWORD :'password';
END
