#!/bin/sh
# Makes the sidecar's role once Django's tables are there: deploy/grants-postgres.sql and the password of database-url.
set -eu
PGPASSWORD=$(cat /run/secrets/postgres-password)
export PGPASSWORD
password=$(sed -n 's|^postgres://sidecar:\([^@]*\)@.*|\1|p' /run/secrets/database-url)
export password
[ -n "$password" ] || { echo "database-url is not postgres://sidecar:PASSWORD@..." >&2; exit 64; }
psql="psql --set=ON_ERROR_STOP=1 --quiet --host=postgres --username=postgres --dbname=watchtower"
$psql --single-transaction --file=/grants-postgres.sql
# By the environment: other users of the machine can read a command line.
$psql <<'END'
\set password `printf %s "$password"`
ALTER ROLE sidecar PASSWORD :'password';
END
