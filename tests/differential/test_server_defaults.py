"""Databases whose defaults are hostile and whose time columns have no zone: the settings of a session must not depend on the
server, and a time must be read, compared and written as a live Django does it."""

import json
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from differential.cases import Variant
from support import clusters, reference
from support.client import SessionClient
from support.django_sessions import as_time
from support.passwords import basic
from support.wire import EXPORT, STATS, ask, get

HOUR = 3600
BERLIN = {"USE_TZ": False, "TIME_ZONE": "Europe/Berlin"}
COLUMNS = {
    "postgres": [
        "ALTER TABLE auth_user ALTER date_joined TYPE timestamp, ALTER last_login TYPE timestamp",
        "ALTER TABLE django_session ALTER expire_date TYPE timestamp",
    ],
    "mysql": [
        # The seed has users whom a TIMESTAMP can't hold.
        "UPDATE auth_user SET date_joined = '2021-06-01' WHERE date_joined NOT BETWEEN '1971-01-01' AND '2037-01-01'",
        "ALTER TABLE auth_user MODIFY date_joined TIMESTAMP(6) NOT NULL, MODIFY last_login TIMESTAMP(6) NULL",
        "ALTER TABLE django_session MODIFY expire_date TIMESTAMP(6) NOT NULL",
    ],
}
# What an account without SUPER gets of a server when it connects.
INIT_CONNECT = (
    "SET autocommit = 0, completion_type = 1, tx_isolation = 'SERIALIZABLE', time_zone = '-05:00', "
    "sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE,PAD_CHAR_TO_FULL_LENGTH', "
    "lc_messages = 'de_DE', collation_connection = 'latin1_bin'"
)
POSTGRES_DEFAULTS = {
    "TimeZone": "America/New_York", "DateStyle": "SQL, DMY", "IntervalStyle": "iso_8601", "bytea_output": "escape",
    "extra_float_digits": "-5", "standard_conforming_strings": "off", "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on", "client_encoding": "LATIN1", "statement_timeout": "20s",
}


def variant(name, database, settings=(), prepared="on"):
    sidecar = {"SIDECAR_LOGIN": "on", "SIDECAR_PREPARED_STATEMENTS": prepared}
    # The reference project does not know this entry of a model: it makes a database of the test's own.
    return Variant(f"defaults-{name}", dict(settings), {"database": database}, sidecar, shared=True)


def both_clients(scenario):
    if scenario.pair.sidecar is None:
        pytest.skip("the oracle alone")
    return SessionClient(scenario.pair.django), SessionClient(scenario.pair.sidecar)


def exports_of(clients):
    return [ask(client.server.port, get(EXPORT, auth=basic("clerk"))) for client in clients]


def check_both_agree(scenario):
    """Who gets in, what is exported, what a login writes, and that what has ended is refused at once."""
    clients = both_clients(scenario)
    scenario.listed(username="a-listed-user")
    django, sidecar = exports_of(clients)
    assert (django.status, sidecar.status) == (200, 200), (django.body, sidecar.body)
    assert django.body == sidecar.body
    lives = {}
    for hours in (-7.5, -4, -2.5, -0.5, 0.5, 2.5, 4, 7.5):
        key = scenario.session(scenario.clerk, expires_in=hours * HOUR)
        lives[hours] = [client.status(key) for client in clients]
    assert all(django == sidecar for django, sidecar in lives.values()), lives
    assert lives[-7.5] == [403, 403] and lives[7.5] == [200, 200]
    # Both write the same times, and each admits the other's session until either ends it.
    times = []
    for maker, other in (clients, clients[::-1]):
        user = scenario.user()
        key = maker.key_of(maker.log_in(user.username))
        assert [client.status(key) for client in clients] == [200, 200]
        [[last_login]] = scenario.databases[0].execute("SELECT last_login FROM auth_user WHERE id = ?", [user.id])
        times.append((as_time(scenario.session_row(key)[1]), as_time(last_login)))
        assert other.post("/api/logout/", key).status == 200
        assert [client.status(key) for client in clients] == [403, 403]
        key = maker.key_of(maker.log_in(user.username))
        assert [client.status(key) for client in clients] == [200, 200]
        scenario.execute("UPDATE auth_user SET is_active = FALSE WHERE id = ?", [user.id])
        assert [client.status(key) for client in clients] == [403, 403]
    for of_django, of_sidecar in zip(*times):
        assert abs((of_django - of_sidecar).total_seconds()) < 30, times


@pytest.mark.parametrize(
    ("columns", "settings", "prepared"),
    [
        ("with-zone", {}, "off"),
        ("with-zone", BERLIN, "on"),
        ("without-zone", {}, "on"),
        ("without-zone", {"TIME_ZONE": "Europe/Berlin"}, "off"),
        ("without-zone", BERLIN, "on"),
        ("without-zone", BERLIN, "off"),
    ],
)
def test_on_postgresql_nothing_depends_on_a_databases_defaults(bench, settings, columns, prepared):
    if bench.database != "postgres":
        pytest.skip("PostgreSQL's")
    name = "-".join([columns, prepared, *map(str, settings.values())]).replace("/", "-")
    scenario = bench.scenario(variant(name, columns, settings, prepared))
    database = urlsplit(scenario.databases[0].url).path[1:]
    try:
        for setting, value in POSTGRES_DEFAULTS.items():
            scenario.execute(f"ALTER DATABASE {database} SET {setting} = '{value}'")
        scenario.execute(f"ALTER ROLE {database}_login IN DATABASE {database} SET default_transaction_read_only = on")
        if columns == "without-zone":
            for statement in COLUMNS["postgres"]:
                scenario.execute(statement)
        check_both_agree(scenario)
        check_the_page_and_joined_after(scenario, columns, settings == BERLIN)
    finally:
        scenario.clear()


def check_the_page_and_joined_after(scenario, columns, is_naive):
    """What Django has no view for: it follows the exported dates."""
    _, sidecar = both_clients(scenario)
    scenario.execute("SET TimeZone = 'UTC'")
    # In Berlin the clock shows this time twice.
    scenario.listed(username="seen-twice", date_joined="2020-10-25 02:45:00")
    for after, is_there in (("02:30:00", True), ("02:50:00", False)):
        target = f"{EXPORT}?joined_after=2020-10-25T{after}"
        answer = ask(sidecar.server.port, get(target, auth=basic("clerk")))
        names = [user["username"] for user in json.loads(answer.body)["users"]]
        if columns == "without-zone" or not is_naive:
            assert ("seen-twice" in names) == is_there, (after, names)
    scenario.listed(username="of-new-year", date_joined="8999-12-31 23:30:00")
    html = ask(sidecar.server.port, get(STATS, ("Accept", "text/html"), auth=basic("clerk")))
    month = "Jan 9000" if is_naive and columns == "with-zone" else "Dec 8999"
    assert html.status == 200 and month in html.body.decode(), month


@pytest.fixture(scope="module")
def mariadb(bench):
    """A server of the file's own, whose global settings a test may change, and databases on it."""
    if bench.database != "mysql":
        pytest.skip("MariaDB's")
    with tempfile.TemporaryDirectory(prefix="differential-") as directory:
        Path(directory).chmod(0o711)
        server = clusters.MariaDb(Path(directory) / "mysql")
        own = type(bench)("mysql", bench.django, bench.oracle_only)
        try:
            root = reference.connect(server.url).cursor()
            root.execute("GRANT ALL ON *.* TO owner@127.0.0.1 IDENTIFIED BY 'throw-away' WITH GRANT OPTION")
            # A server does not run init_connect for accounts with one of these.
            root.execute("REVOKE SUPER, CONNECTION ADMIN ON *.* FROM owner@127.0.0.1")
            own.databases.server_url = server.url.replace("root:", "owner:")
            yield own, root
        finally:
            own.close()
            server.stop()


@pytest.mark.parametrize("zone", ["-05:00", "+02:00", "init_connect"])
def test_on_mariadb_nothing_depends_on_a_servers_defaults(mariadb, zone):
    bench, root = mariadb
    root.execute("SET GLOBAL init_connect = ''")
    root.execute("SET GLOBAL time_zone = %s", ["SYSTEM" if zone == "init_connect" else zone])
    scenario = bench.scenario(variant(zone, zone))
    try:
        for statement in COLUMNS["mysql"]:
            scenario.execute(statement)
        if zone == "init_connect":
            root.execute("SET GLOBAL init_connect = %s", [INIT_CONNECT])
        check_both_agree(scenario)
    finally:
        root.execute("SET GLOBAL init_connect = ''")
        scenario.clear()


def test_on_mariadb_no_user_is_missing_because_of_a_servers_limit(mariadb):
    """Django's own exports lack users then, without a word."""
    bench, root = mariadb
    scenario = bench.scenario(variant("limited", "limited"))
    root.execute("SET GLOBAL init_connect = 'SET sql_select_limit = 1, max_join_size = 1'")
    try:
        _, sidecar = both_clients(scenario)
        exported = json.loads(ask(sidecar.server.port, get(EXPORT, auth=basic("clerk"))).body)
        assert exported["count"] == len(exported["users"]) > 1
    finally:
        root.execute("SET GLOBAL init_connect = ''")
        scenario.clear()
