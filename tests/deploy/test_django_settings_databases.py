"""`deploy/django-settings.py` and DATABASES: what every way to write an entry becomes as a URL, and with real servers that
Django and the sidecar alike log in with odd passwords, through TCP, TLS and unix sockets, and as another role."""

import concurrent.futures
import os
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

from deploy import sample_project
from support import clusters, reference

POSTGRES = '"ENGINE": "django.db.backends.postgresql", "NAME": "shop"'
MYSQL = '"ENGINE": "django.db.backends.mysql", "NAME": "shop"'
ODD = "p@ss:w/o?r#d%41&=+ $`'\"\\ä"
ODD_ESCAPED = quote(ODD, safe="")

# DATABASES["default"], and its URL
URLS = {
    "tcp": (
        f'{POSTGRES}, "USER": "a@b", "PASSWORD": {ODD!r}, "HOST": "db.example.com", "PORT": 5433, "TEST": {{"NAME": "x"}}',
        f"postgres://a%40b:{ODD_ESCAPED}@db.example.com:5433/shop",
    ),
    "odd_name": (
        '"ENGINE": "django.db.backends.postgresql", "NAME": "a b/c?", "USER": "u", "HOST": "::1"',
        "postgres://u@[::1]/a%20b%2Fc%3F",
    ),
    "many_hosts": (
        f'{POSTGRES}, "USER": "u", "HOST": "a,b,::1", "PORT": "1,2,3", "OPTIONS": {{"target_session_attrs": "read-write"}}',
        "postgres://u@a:1,b:2,[::1]:3/shop?target_session_attrs=read-write",
    ),
    "one_port": (f'{POSTGRES}, "USER": "u", "HOST": "a,b", "PORT": "1"', "postgres://u@a:1,b:1/shop"),
    "socket": (f'{POSTGRES}, "USER": "u", "HOST": "/run/pg", "PORT": "1"', "postgres://u@%2Frun%2Fpg:1/shop"),
    "no_host": (f'{POSTGRES}, "USER": "u", "PORT": "1"', "postgres://u@%2Fvar%2Frun%2Fpostgresql:1/shop"),
    "service": (
        '"ENGINE": "django.db.backends.postgresql", "NAME": "", "OPTIONS": {"service": "shop", "passfile": "/pass"}',
        "postgres:///?passfile=%2Fpass&service=shop",
    ),
    "options": (
        f'{POSTGRES}, "USER": "u", "HOST": "h", "OPTIONS": {{"isolation_level": 3, "pool": True, "connect_timeout": 30, '
        '"sslmode": "verify-full", "sslrootcert": "ca.pem", "sslcert": "/c", "sslkey": "/k", "server_side_binding": True, '
        '"options": "-c search_path=shop,public -c statement_timeout=30000", "assume_role": "shop owner"}',
        "postgres://u@h/shop?options=-c%20search_path%3Dshop%2Cpublic%20-c%20role%3Dshop%5C%20owner"
        "&sslcert=%2Fc&sslkey=%2Fk&sslmode=verify-full&sslrootcert={directory}%2Fca.pem",
    ),
    "system_ca": (
        f'{POSTGRES}, "USER": "u", "HOST": "h", "OPTIONS": {{"sslrootcert": "system"}}',
        "postgres://u@h/shop?sslrootcert=system",
    ),
    "mysql": (
        f'{MYSQL}, "USER": "a@b", "PASSWORD": {ODD!r}, "HOST": "::1", "PORT": "3307", "OPTIONS": {{"charset": "utf8mb4", '
        '"isolation_level": None, "init_command": "SET sql_mode=\'STRICT_TRANS_TABLES\'"}',
        f"mysql://a%40b:{ODD_ESCAPED}@[::1]:3307/shop",
    ),
    "mysql_socket": (f'{MYSQL}, "USER": "u", "HOST": "/run/a b"', "mysql://u@localhost/shop?unix_socket=%2Frun%2Fa%20b"),
    "mysql_unix_socket": (
        f'{MYSQL}, "USER": "u", "OPTIONS": {{"unix_socket": "/run/s", "password": "wins"}}, "PASSWORD": "loses"',
        "mysql://u:wins@localhost/shop?unix_socket=%2Frun%2Fs",
    ),
    "mysql_tls": (
        f'{MYSQL}, "USER": "u", "HOST": "h", "OPTIONS": {{"ssl": {{"ca": "/ca", "cert": "/c", "key": "/k"}}}}',
        "mysql://u@h/shop?ssl_mode=verify_ca&ssl_ca=%2Fca&ssl_cert=%2Fc&ssl_key=%2Fk",
    ),
    "mysql_mode": (
        f'{MYSQL}, "USER": "u", "HOST": "h", "OPTIONS": {{"ssl_mode": "VERIFY_IDENTITY", "ssl": {{"ca": "ca.pem"}}}}',
        "mysql://u@h/shop?ssl_mode=verify_identity&ssl_ca={directory}%2Fca.pem",
    ),
    "mysql_true": (f'{MYSQL}, "USER": "u", "HOST": "h", "OPTIONS": {{"ssl": True}}', "mysql://u@h/shop?ssl_mode=required"),
    "mysql_file": (
        '"ENGINE": "django.db.backends.mysql", "OPTIONS": {"read_default_file": "my.cnf"}',
        "mysql://filed:a%20%23b@h:3308/shop?ssl_mode=verify_ca&ssl_ca=%2Fca",
    ),
    "relative": ('"ENGINE": "django.db.backends.sqlite3", "NAME": "a/b.db", "OPTIONS": {"timeout": 5}',
                 "sqlite:///{directory}/a/b.db"),
}
SPOILT = {
    "mysql_name": (f'{MYSQL.replace("shop", "a b")}, "HOST": "h"', 1, "[\"NAME\"] is not of letters"),
    "mysql_host": (f'{MYSQL}, "HOST": "h/x"', 1, "[\"HOST\"] is no plain host name"),
    "mysql_no_file": (f'{MYSQL}, "OPTIONS": {{"read_default_file": "nowhere.cnf"}}, "HOST": "h"', 1, "(FileNotFoundError)"),
    "mysql_include": (f'{MYSQL}, "OPTIONS": {{"read_default_file": "include.cnf"}}, "HOST": "h"', 1, "includes others"),
    "mysql_lost": (f'{MYSQL}, "HOST": "h", "OPTIONS": {{"ssl": {{"cipher": "x"}}}}', 0, "cipher can't be carried over"),
    "mysql_command": (f'{MYSQL}, "HOST": "h", "OPTIONS": {{"init_command": "SET ROLE x"}}', 0, "init_command"),
    "nameless": ('"ENGINE": "django.db.backends.postgresql", "NAME": "", "HOST": "h"', 1, "has no NAME"),
    "userless": (f'{POSTGRES}, "HOST": "h"', 0, "has no USER"),
    "odd_option": (f'{POSTGRES}, "USER": "u", "HOST": "h", "OPTIONS": {{"odd": 1}}', 0, "odd can't be carried over"),
    "uri": ('"ENGINE": "django.db.backends.sqlite3", "NAME": "file:x?mode=ro"', 1, "no plain path"),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = sample_project.Project(tmp_path_factory.mktemp("databases") / "project")
    project.write("my.cnf", '[client]\nuser=filed\npassword="a #b"\nhost = h\nport=3308\ndatabase=shop\nssl-ca=/ca\n'
                            "[mysqld]\nuser=mysql\nskip-networking\n")
    project.write("include.cnf", "!includedir /etc/mysql\n[client]\nuser=x\n")
    return project


@pytest.fixture(scope="module")
def outcomes(project):
    entries = {name: entry for name, (entry, *_) in (URLS | SPOILT).items()}
    for name, entry in entries.items():
        project.settings(name, f"DATABASES['default'] = {{{entry}}}")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(entries, pool.map(project.write_environment, entries)))


@pytest.mark.parametrize("name", URLS)
def test_an_entry_of_databases_is_this_url(project, outcomes, name):
    done, file = outcomes[name]
    assert done.returncode == 0, done.stderr
    expected = URLS[name][1].replace("{directory}%2F", quote(f"{project.directory}/", safe=""))
    assert sample_project.sourced(file)["DATABASE_URL"] == expected.replace("{directory}", str(project.directory))
    warned = "service" in done.stderr if name == "service" else done.stderr == ""
    assert warned, done.stderr


@pytest.mark.parametrize("name", SPOILT)
def test_what_no_url_can_say_is_refused_or_warned_of(outcomes, name):
    _, code, words = SPOILT[name]
    done, file = outcomes[name]
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert (file.read_bytes() == b"") == (code == 1)


def test_a_replica_is_only_suggested(project):
    project.settings("replica", f"DATABASES['replica'] = {{{POSTGRES}, 'USER': 'u', 'HOST': 'second'}}")
    done, file = project.write_environment("replica")
    assert (done.returncode, done.stderr) == (0, "")
    assert "# DATABASE_READ_URL=postgres://u@second/shop\n" in file.read_text()
    assert sample_project.sourced(file)["DATABASE_URL"].startswith("sqlite:")


# Live servers

@pytest.fixture(scope="module", params=["postgres", "mysql"])
def server(request, tmp_path_factory):
    """A server: one that is there already, or one for these tests; its superuser's URL."""
    kind = request.param
    given = os.environ.get(f"TEST_{kind.upper()}_URL")
    if given:
        yield given
        return
    directory = tmp_path_factory.mktemp("server")
    for parent in [directory, directory.parent, directory.parent.parent]:
        parent.chmod(0o711)
    cluster = clusters.KINDS[kind](directory / kind)
    yield cluster.url
    cluster.stop()


def rows(url, statement, *arguments):
    connection = reference.connect(url)
    cursor = connection.cursor()
    cursor.execute(statement, arguments or None)
    found = cursor.fetchall() if cursor.description else []
    connection.close()
    return found


def entries(url, user, authority):
    """DATABASES["default"] for each way to the server."""
    place = urlsplit(url)
    is_mysql = place.scheme == "mysql"
    socket = rows(url, "SELECT @@socket" if is_mysql else "SHOW unix_socket_directories")[0][0]
    common = {
        "ENGINE": f"django.db.backends.{'mysql' if is_mysql else 'postgresql'}", "NAME": user, "USER": user, "PASSWORD": ODD,
    }
    tcp = common | {"HOST": "127.0.0.1", "PORT": str(place.port)}
    if is_mysql:
        tls = {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": authority}}
        yield "ca", tcp | {"OPTIONS": {"ssl": {"ca": authority}}}
        yield "socket", common | {"HOST": socket}
        yield "socket_option", common | {"OPTIONS": {"unix_socket": socket}}
    else:
        tls = {"sslmode": "verify-full", "sslrootcert": authority}
        yield "socket", common | {"HOST": socket, "PORT": str(place.port)}
        yield "role", tcp | {"USER": f"{user}_guest", "OPTIONS": {
            "assume_role": user, "options": "-c statement_timeout=9s -c search_path=shop,public"}}
    yield "tls", tcp | {"OPTIONS": tls}
    yield "tcp", tcp


def test_django_and_the_sidecar_log_in_alike(server, project):
    is_mysql = server.startswith("mysql")
    name = f"settings_{os.getpid()}"
    reference.new_database(server, name)
    users = [f"'{name}'@'127.0.0.1'", f"'{name}'@'localhost'"] if is_mysql else [name, f"{name}_guest"]
    for user in users:
        rows(server, f"DROP USER IF EXISTS {user}")
        rows(server, f"CREATE USER {user} {'IDENTIFIED BY' if is_mysql else 'PASSWORD'} %s", ODD)
    for user in users:
        rows(server, f"GRANT ALL ON {name}.* TO {user}" if is_mysql else f"ALTER DATABASE {name} OWNER TO {name}")
    if not is_mysql:
        rows(server, f"REVOKE ALL ON DATABASE {name} FROM PUBLIC")
        rows(server, f"GRANT CONNECT ON DATABASE {name} TO {name}_guest")
        # Who must take the owner's role on to see anything.
        rows(server, f"ALTER ROLE {name}_guest NOINHERIT")
        rows(server, f"GRANT {name} TO {name}_guest")
    authority = os.environ.get("TEST_TLS_CA") or str(Path(server_directory(server)) / "ca.pem")
    ways = dict(entries(server, name, authority))
    for way, entry in ways.items():
        module = f"live_{urlsplit(server).scheme}_{way}"
        project.settings(module, f"DATABASES['default'] = {entry!r}\nPASSWORD_HASHERS = ['shop.cheap.Cheap']")
    project.write("shop/cheap.py", "from django.contrib.auth.hashers import PBKDF2PasswordHasher\n"
                                   "class Cheap(PBKDF2PasswordHasher): iterations = 1000\n")
    cookie = project.seed(module)
    for way in ways:
        module = f"live_{urlsplit(server).scheme}_{way}"
        # Django gets there.
        project.manage("manage.py", "shell", settings=module, input="from people.models import *; Member.objects.get()")
        done, file = project.write_environment(module)
        assert done.returncode == 0, done.stderr
        assert unquote(sample_project.sourced(file)["DATABASE_URL"]).count(ODD) == 1
        sample_project.assert_knows_the_boss(file, cookie)


def server_directory(url):
    """The directory in which `support.clusters` keeps the server's certificates: its data directory's parent."""
    asked = "SELECT @@datadir" if url.startswith("mysql") else "SHOW data_directory"
    return Path(rows(url, asked)[0][0]).parent
