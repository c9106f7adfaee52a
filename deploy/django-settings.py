"""Writes watchtower-sidecar's environment file from a Django project's settings (Django 4.0 to 6.x). In the project:

    (umask 077; python manage.py shell < django-settings.py > sidecar.env)

If the sidecar can't honour a setting, the script names it on standard error, writes nothing and exits with code 1; it
names all such settings at once. Differences from Django are warnings, on standard error and in the file. With
SIDECAR_SECRETS_DIR=/path in the environment, secrets and hosts go to files there (mode 0600), and the environment file
names them. With SIDECAR_OUTPUT=/path the script writes the environment file itself, and creates it with mode 0600. It
connects to no database. The project's own authenticators, renderer, exception handler and login page are tried out, also
without one. It is one file, however long, because Django's shell reads it from standard input. Its sections, by their
headings: the project's own code, tried out; databases; the user model; sessions, passwords, cookies; the two views in the
URL conf; Django REST framework, DRF's authenticators, renderers, exception handler; what Django's middleware does to every
answer; what a login asks for; the login page; the file.
"""

import configparser
import contextlib
import dis
import getpass
import inspect
import json
import logging
import os
import re
import stat
import sys
import traceback
from unittest import mock
from urllib.parse import quote, urlsplit

import django
from django.conf import global_settings, settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve, reverse
from django.utils.module_loading import import_string

REFUSED, WARNINGS, NOT_SUGGESTED = [], [], set()
refuse, warn = REFUSED.append, WARNINGS.append


def refuse_passwords(basic, text):
    """Refuses what the sidecar's check of passwords does otherwise. Without Basic only the sidecar's login checks passwords:
    then it is a warning, and the login is not suggested."""
    if basic:
        refuse(text)
    else:
        advise_against_login(text)


def advise_against_login(text):
    warn(f"{text} So SIDECAR_LOGIN should stay off.")
    NOT_SUGGESTED.add("SIDECAR_LOGIN")


def write_privately(path, data):
    """Writes a file that only its owner may read. The file appears complete, or not at all."""
    new = f"{path}.new"
    if os.path.lexists(new):
        os.unlink(new)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(new, path)
    except OSError:
        os.unlink(new)
        raise


class Output:
    """Where the environment file goes: SIDECAR_OUTPUT, or standard output. Other output of the project or of Django's
    shell is dropped."""

    def __init__(self):
        self.path = os.environ.get("SIDECAR_OUTPUT")
        self.descriptor = os.dup(1)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        for stream in {sys.stdout, sys.__stdout__}:
            stream.flush()
        status = os.fstat(self.descriptor)
        try:
            import fcntl
            appends = bool(fcntl.fcntl(self.descriptor, fcntl.F_GETFL) & os.O_APPEND)
        except ImportError:
            appends = False
        is_regular = stat.S_ISREG(status.st_mode)
        if is_regular and not self.path and status.st_mode & 0o077:
            # The file will contain secrets, whether it is new or appended to.
            try:
                os.fchmod(self.descriptor, 0o600)
            except OSError:
                refuse("Standard output is a file that others may read, and its mode can't be changed: write to a file "
                       "of your own.")
        self.is_file = is_regular and not appends and not self.path
        if self.is_file:
            self.empty()
        elif not self.path and not os.isatty(self.descriptor) and self.has_noise():
            refuse("Django has printed a line before this script began, which can't be taken back from a pipe: run "
                   "manage.py shell with -v 0, or write to a file.")

    def empty(self):
        os.ftruncate(self.descriptor, 0)
        os.lseek(self.descriptor, 0, os.SEEK_SET)

    def has_noise(self):
        """Whether Django's "N objects imported automatically" (5.2 and later) is written already: PYTHONUNBUFFERED."""
        if django.VERSION < (5, 2) or not getattr(sys.__stdout__, "write_through", False):
            return False
        frame = sys._getframe()
        while frame and not isinstance(frame.f_locals.get("options"), dict):
            frame = frame.f_back
        return not frame or frame.f_locals["options"].get("verbosity", 1) > 0

    def write(self, text):
        data = text.encode()
        if self.path:
            return write_privately(self.path, data)
        try:
            while data:
                data = data[os.write(self.descriptor, data):]
        except OSError:
            if self.is_file:
                self.empty()
            raise


def path_of(thing):
    thing = thing if hasattr(thing, "__qualname__") else type(thing)
    return f"{thing.__module__}.{thing.__qualname__}"


def sentence(text):
    """The text as one line of ASCII."""
    return " ".join(str(text).split()).encode("ascii", "backslashreplace").decode()


# The project's own code, tried out

@contextlib.contextmanager
def without_database():
    """Code of the project that runs in this block gets an error in place of a connection to a database, and logs nothing."""
    from django.db.backends.base.base import BaseDatabaseWrapper

    def connect(_connection):
        raise RuntimeError("it asks the database")

    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with mock.patch.object(BaseDatabaseWrapper, "connect", connect):
            yield
    finally:
        logging.disable(level)


def sample_request(path, method="GET", **headers):
    """A request of an anonymous client, as the middleware passes it on. `headers` are keys of META."""
    from django.contrib.auth.models import AnonymousUser
    from django.contrib.sessions.backends.base import SessionBase
    from django.test import RequestFactory

    hosts = [str(host).lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"] or ["localhost"]
    request = RequestFactory().generic(method, path, secure=True, HTTP_HOST=hosts[0], **headers)
    request.user = AnonymousUser()
    request.session = SessionBase()
    # What a session of any engine has after it was read; here it is empty.
    request.session._session_cache = {}
    return request


def defining_class(cls, method):
    """The class among `cls` and its bases that defines the method, or None."""
    return next((base for base in cls.__mro__ if method in vars(base)), None)


def codes_of(classes):
    """The code of every method that these classes define."""
    methods = [inspect.unwrap(thing) for cls in classes for thing in vars(cls).values() if inspect.isroutine(thing)]
    return [method.__code__ for method in methods if hasattr(method, "__code__")]


def has_middleware(path):
    """Whether MIDDLEWARE has this class or a subclass: the first one, or None."""
    wanted, found = import_string(path), map(import_string, settings.MIDDLEWARE)
    return next((middleware for middleware in found if isinstance(middleware, type) and issubclass(middleware, wanted)), None)


# Databases

# The OPTIONS that libpq understands and a URL can contain. Time limits are not among them: the sidecar has its own.
LIBPQ = """channel_binding gssdelegation gssencmode hostaddr krbsrvname load_balance_hosts options passfile
    require_auth requirepeer service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode sslcrl
    sslcrldir sslkey sslmode sslnegotiation sslpassword sslrootcert sslsni target_session_attrs""".split()
FILES = {"passfile", "sslcert", "sslcrl", "sslcrldir", "sslkey", "sslrootcert", "ssl_ca", "ssl_cert", "ssl_key"}
# OPTIONS that do not change what the sidecar reads.
HARMLESS = """application_name assume_role auth_plugin autocommit charset client_encoding client_flag collation
    compress connect_timeout context conv cursor_factory cursorclass database db dbname fallback_application_name host
    init_command isolation_level keepalives keepalives_count keepalives_idle keepalives_interval local_infile passwd
    password pool port prepare_threshold read_default_file read_default_group read_timeout server_side_binding
    sql_mode ssl ssl_ca ssl_cert ssl_disabled ssl_key ssl_mode ssl_verify_cert tcp_user_timeout unix_socket
    use_unicode user write_timeout""".split()
POSTGRES_SOCKETS = ("/var/run/postgresql", "/tmp")
MYSQL_SOCKETS = ("/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")


def escaped(text):
    return quote(str(text), safe="")


def url_of(scheme, user, password, hosts, name, parameters):
    """A database URL. `hosts` are escaped already."""
    credentials = escaped(user) + (":" + escaped(password) if password else "") + "@" if user else ""
    query = "&".join(
        f"{key}={escaped(os.path.abspath(value) if key in FILES and value != 'system' else value)}"
        for key, value in parameters.items() if value not in (None, "")
    )
    return f"{scheme}://{credentials}{','.join(hosts)}/{escaped(name)}" + (f"?{query}" if query else "")


def host_and_port(host, port):
    return (f"[{host}]" if ":" in host else escaped(host)) + (f":{port}" if port else "")


def database_url(alias, vendor, entry):
    engines = {"sqlite": sqlite_url, "postgresql": postgres_url, "mysql": mysql_url}
    label = f"DATABASES[{alias!r}]"
    if vendor not in engines:
        return refuse(f"{label} is {entry['ENGINE']}: the sidecar reads SQLite, PostgreSQL, MySQL and MariaDB.")
    if not re.match(r"django\.(contrib\.gis\.)?db\.backends\.", entry["ENGINE"]):
        warn(f"{label} has an engine of its own, {entry['ENGINE']}: the sidecar treats it as plain {vendor}.")
    zone = entry.get("TIME_ZONE")
    if settings.USE_TZ and zone not in (None, "UTC"):
        refuse(f"{label}[\"TIME_ZONE\"] is {zone}: the sidecar supports only the default.")
    return engines[vendor](label, entry, dict(entry.get("OPTIONS") or {}))


def sqlite_url(label, entry, _options):
    name = str(entry.get("NAME") or "")
    if not name or ":memory:" in name or name.startswith("file:"):
        return refuse(f"{label}[\"NAME\"] is no plain path of a file.")
    return "sqlite:///" + quote(os.path.abspath(name))


def postgres_url(label, entry, options):
    def of(key, option, variable):
        return str(entry.get(key) or options.get(option) or os.environ.get(variable) or "")

    user, password = of("USER", "user", "PGUSER"), of("PASSWORD", "password", "PGPASSWORD")
    host, port = of("HOST", "host", "PGHOST"), of("PORT", "port", "PGPORT")
    name = entry.get("NAME") or options.get("dbname") or ""
    parameters = {key: options[key] for key in LIBPQ if key in options}
    unknown(label, options, parameters)
    if "service" in parameters:
        warn(f"{label} uses libpq's service {parameters['service']}: the sidecar's own account must find it in its "
             "~/.pg_service.conf, or by PGSERVICEFILE.")
    elif not name:
        refuse(f"{label} has no NAME.")
    else:
        if not user:
            user = getpass.getuser()
            warn(f"{label} has no USER: the URL has this process's user, {user}. Without a password the server may need "
                 "another name for the sidecar's account.")
        if not host and "hostaddr" not in parameters:
            host = next((place for place in POSTGRES_SOCKETS if os.path.exists(f"{place}/.s.PGSQL.{port or 5432}")), "")
            host = host or POSTGRES_SOCKETS[0]
    # Django's limit would replace the sidecar's, which is shorter.
    limits = r"(-c\s*|--)(statement_timeout|lock_timeout|idle_in_transaction_session_timeout)=\S+\s*"
    words = [re.sub(limits, "", str(parameters.get("options", ""))).strip()]
    if options.get("assume_role"):
        words.append("-c role=" + re.sub(r"([\\ ])", r"\\\1", options["assume_role"]))
    parameters["options"] = " ".join(filter(None, words))
    hosts, ports = host.split(","), port.split(",")
    hosts = [host_and_port(*pair) for pair in zip(hosts, ports if len(ports) == len(hosts) else ports * len(hosts))]
    return url_of("postgres", user, password, hosts, name, parameters)


def mysql_url(label, entry, options):
    if options.get("read_default_file"):
        options = {**option_file(label, options["read_default_file"], options.get("read_default_group")), **options}

    def of(key, *names):
        # OPTIONS take precedence over NAME and the like, and these over an option file, whose keys start with `file:`.
        candidates = [options.get(name) for name in names] + [entry.get(key)]
        return str(next((value for value in candidates + [options.get("file:" + names[0])] if value), ""))

    user, password = of("USER", "user"), of("PASSWORD", "password", "passwd")
    name, host, port = of("NAME", "database", "db"), of("HOST", "host"), of("PORT", "port")
    socket = options.get("unix_socket") or (host if host.startswith("/") else "")
    socket = socket or (not host and options.get("file:socket")) or ""
    if not socket and host in ("", "localhost"):
        # For MySQL's client localhost means a unix socket, whose path depends on the build of the client.
        socket = next(filter(os.path.exists, MYSQL_SOCKETS), "")
        if not socket:
            warn(f"{label} means a unix socket, but none was found: the URL has 127.0.0.1. Or add ?unix_socket=/path.")
    host = "localhost" if socket else "127.0.0.1" if host in ("", "localhost") else host
    if not re.fullmatch(r"[\w.:-]+", host, re.ASCII):
        refuse(f"{label}[\"HOST\"] is no plain host name, which a MySQL URL needs.")
    if not re.fullmatch(r"[\w$-]+", name, re.ASCII):
        refuse(f"{label}[\"NAME\"] is not of letters, digits, _, $ and -, which a MySQL URL needs.")
    tls = options.get("ssl")
    chosen = {
        f"ssl_{key}": (tls.get(key) if isinstance(tls, dict) else None) or options.get(f"ssl_{key}")
        or options.get(f"file:ssl_{key}") for key in ("ca", "cert", "key")
    }
    mode = str(options.get("ssl_mode") or options.get("file:ssl_mode") or "").lower()
    default = "verify_ca" if chosen["ssl_ca"] else "required" if tls or chosen["ssl_cert"] else ""
    lost = sorted(set(tls) - {"ca", "cert", "key"}) if isinstance(tls, dict) else []
    if lost:
        warn(f"{label}[\"OPTIONS\"][\"ssl\"]: {', '.join(lost)} can't be carried over.")
    if re.search(r"\b(set\s+role|names|time_zone)\b", str(options.get("init_command", "")), re.IGNORECASE):
        warn(f"{label}[\"OPTIONS\"][\"init_command\"] is not run by the sidecar.")
    unknown(label, {key: 0 for key in options if not key.startswith("file:")}, {})
    parameters = {"unix_socket": socket, "ssl_mode": mode or default, **chosen}
    hosts = [host_and_port(host, "" if socket else port)]
    url = url_of("mysql", user, password, hosts, "", parameters)
    # The client does not percent-decode the database's name, so it is not escaped here.
    return url.replace("/?", f"/{name}?", 1) if "/?" in url else url + name


def option_file(label, path, group):
    """The options that mysqlclient reads from the file: [client], then the group."""
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False, comment_prefixes=("#", ";", "!"))
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        parser.read_string(text)
    except (OSError, ValueError, configparser.Error) as error:
        refuse(f"{label}: read_default_file can't be read ({type(error).__name__}): give NAME, USER and the like here.")
        return {}
    if re.search(r"^\s*!include", text, re.MULTILINE):
        refuse(f"{label}: read_default_file includes others: give NAME, USER and the like here.")
    found = {}
    for section in filter(parser.has_section, ("client", group or "client")):
        for key, value in parser.items(section):
            quotes = re.fullmatch(r"""(['"])(.*)\1""", value or "")
            found["file:" + key.replace("-", "_")] = quotes[2] if quotes else value
    return found


def unknown(label, options, carried):
    lost = sorted(set(options) - set(carried) - set(HARMLESS))
    if lost:
        warn(f"{label}[\"OPTIONS\"]: {', '.join(lost)} can't be carried over.")


def databases():
    """DATABASE_URL, and the URL of a replica."""
    from django.db import connections

    urls = []
    replicas = [alias for alias in settings.DATABASES if re.search("replica|read", alias, re.IGNORECASE)]
    for alias in ["default"] + replicas[:1]:
        try:
            connection = connections[alias]
        except Exception as error:
            refuse(f"DATABASES[{alias!r}] can't be used ({type(error).__name__}): its driver may not be installed.")
            continue
        urls.append(database_url(alias, connection.vendor, connection.settings_dict))
    if settings.DATABASE_ROUTERS:
        refuse("DATABASE_ROUTERS is set: the sidecar can't know which database they choose.")
    return (urls + [None, None])[:2]


# The user model

EXPORTED = ("username", "email", "first_name", "last_name", "date_joined", "is_tv_user", "is_movie_user")
# Fields that the export only shows. If the model sets one to None, it is None for every user.
SHOWN = ("username", "email", "first_name", "last_name", "is_movie_user")


def user_model(basic):
    """The variables of the user model."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
    from django.core.exceptions import FieldDoesNotExist

    model = get_user_model()
    meta, label = model._meta, model._meta.label
    if re.search("[\"`]", meta.db_table):
        refuse(f"{label}'s db_table holds a schema: the sidecar finds tables by their bare name.")
    keys = r"(Small|Big)?AutoField|(Positive)?(Small|Big)?IntegerField|UUIDField"
    if (meta.pk.name, meta.pk.column) != ("id", "id") or not re.fullmatch(keys, meta.pk.get_internal_type()):
        kind = type(meta.pk).__name__
        refuse(f"{label}'s primary key is {meta.pk.name}, a {kind}: it must be id, an integer or a UUID.")
    nones = []
    for name in dict.fromkeys(("password", "is_active", "is_staff", *EXPORTED, model.USERNAME_FIELD)):
        try:
            field = meta.get_field(name)
        except FieldDoesNotExist:
            is_none = getattr(model, name, "missing") is None
            if is_none and name in SHOWN:
                nones.append(name)
                if name == "is_movie_user":
                    warn(f"{label}.{name} is None: the statistics fail, as they do in Django.")
            elif is_none and name in ("date_joined", "is_tv_user"):
                warn(f"{label}.{name} is None: the export fails, as it does in Django.")
            elif hasattr(model, name) or name not in EXPORTED:
                refuse(f"{label}.{name} is no field with a column, and the sidecar reads columns.")
            elif name == "is_tv_user":
                warn(f"{label} has no field {name}: the export and the statistics fail, as they do in Django.")
            elif name != "is_movie_user":
                warn(f"{label} has no field {name}: the export fails, as it does in Django.")
            continue
        kind = field.get_internal_type()
        wanted = "BooleanField" if name.startswith("is_") else "DateTimeField" if name == "date_joined" else "CharField"
        if field.model._meta.db_table != meta.db_table:
            refuse(f"{label}.{name} is in another table, {field.model._meta.db_table}.")
        elif name != model.USERNAME_FIELD and field.column != name:
            refuse(f"{label}.{name} has another column, {field.column}: the sidecar reads the one named {name}.")
        elif hasattr(field, "from_db_value") or kind not in (wanted, {"CharField": "TextField"}.get(wanted)):
            refuse(f"{label}.{name} is a {type(field).__name__}, whose values are not the column's own.")
    username = meta.get_field(model.USERNAME_FIELD).column
    if username != "username" and model.USERNAME_FIELD == "username":
        refuse(f"{label}.username has another column, {username}: the sidecar reads the one named username.")
    for owner in model.__mro__:
        for method in ("get_session_auth_hash", "_get_session_auth_hash", "check_password"):
            if method not in vars(owner) or owner is AbstractBaseUser:
                continue
            text = f"{path_of(owner)}.{method} is the project's own."
            if method == "check_password":
                refuse_passwords(basic, text)
            else:
                refuse(text)
    for name in ("objects", "_default_manager"):
        manager = getattr(model, name, None)
        if manager is None:
            refuse(f"{label} has no manager {name}, which the views use.")
            continue
        query = manager.all().query
        if query.where or query.distinct or query.is_sliced or query.combinator:
            refuse(f"{label}.{name} hides some users from Django: the sidecar sees and exports all of them.")
        natural = getattr(type(manager), "get_by_natural_key", None)
        if name == "_default_manager" and natural is not BaseUserManager.get_by_natural_key:
            warn(f"{path_of(natural)} is not Django's: Basic and the sidecar's login find names by the database's own "
                 "comparison.")
    none_fields = {"DJANGO_USER_FIELDS_NONE": json.dumps(nones)} if nones else {}
    return {"DJANGO_USER_TABLE": meta.db_table, "DJANGO_USERNAME_FIELD": username, **none_fields}


# Sessions, passwords, cookies

def sessions(by_session):
    from django.contrib.sessions.serializers import JSONSerializer

    engine = settings.SESSION_ENGINE
    if engine == "django.contrib.sessions.backends.cached_db":
        warn("SESSION_ENGINE is cached_db: a session that is deleted only in the database lives on in Django's cache.")
    elif engine != "django.contrib.sessions.backends.db":
        refuse(f"SESSION_ENGINE is {engine}: the sidecar reads only sessions of db and cached_db.")
    if import_string(settings.SESSION_SERIALIZER) is not JSONSerializer:
        refuse(f"SESSION_SERIALIZER is {settings.SESSION_SERIALIZER}: the sidecar reads only JSON.")
    if settings.SESSION_SAVE_EVERY_REQUEST:
        refuse("SESSION_SAVE_EVERY_REQUEST is set: the sidecar does not write to sessions.")
    if settings.SESSION_EXPIRE_AT_BROWSER_CLOSE:
        advise_against_login(
            "SESSION_EXPIRE_AT_BROWSER_CLOSE is set: the cookie of the sidecar's login would outlive the browser.")
    if by_session:
        for name in ("django.contrib.sessions.middleware.SessionMiddleware",
                     "django.contrib.auth.middleware.AuthenticationMiddleware"):
            middleware = has_middleware(name)
            if middleware and any(not defining_class(middleware, method).__module__.startswith("django.")
                                  for method in ("__call__", "process_request")):
                refuse(f"{path_of(middleware)} decides by itself who is logged in.")
            if not middleware:
                refuse(f"MIDDLEWARE has neither {name}, by which Django knows who is logged in, nor a subclass; the sidecar runs "
                       "no other.")
    cookie = {name: getattr(settings, f"SESSION_COOKIE_{name}") for name in (
        "NAME", "AGE", "DOMAIN", "PATH", "SECURE", "HTTPONLY", "SAMESITE")}
    if not re.fullmatch(r"[\w!#$%&'*+.^`|~-]+", str(cookie["NAME"]), re.ASCII):
        refuse("SESSION_COOKIE_NAME holds characters that a cookie name can't have.")
    if not isinstance(cookie["AGE"], int) or not 0 < cookie["AGE"] < 2**32:
        refuse("SESSION_COOKIE_AGE is no number of seconds above 0.")
    if not re.fullmatch(r"[ -:<-~]+", str(cookie["PATH"])) or not re.fullmatch(r"[ -:<-~]*", cookie["DOMAIN"] or ""):
        refuse("SESSION_COOKIE_PATH or SESSION_COOKIE_DOMAIN is empty, or holds characters that a cookie can't have.")
    cookie["SAMESITE"] = cookie["SAMESITE"] or "False"
    return {f"DJANGO_SESSION_COOKIE_{name}": value for name, value in cookie.items()}


def passwords(basic):
    """The iterations of a refused login. Refuses or warns about hashers that the sidecar does not know."""
    from django.contrib.auth import hashers

    known = [getattr(hashers, name) for name in (
        "PBKDF2PasswordHasher", "PBKDF2SHA1PasswordHasher", "Argon2PasswordHasher", "BCryptSHA256PasswordHasher",
        "BCryptPasswordHasher", "ScryptPasswordHasher")]
    ours = hashers.get_hashers()
    for hasher in ours:
        base = next((base for base in known if isinstance(hasher, base) and base.algorithm == hasher.algorithm), None)
        if base and all(getattr(type(hasher), name) is getattr(base, name) for name in ("verify", "encode", "decode")):
            continue
        if hasher is ours[0]:
            refuse_passwords(
                basic, f"PASSWORD_HASHERS begins with {path_of(hasher)}, whose hashes the sidecar does not know.")
        else:
            warn(f"PASSWORD_HASHERS has {path_of(hasher)}: Basic and the sidecar's login refuse users whose password it hashed.")
    missing = {base.algorithm for base in known[:4]} - {hasher.algorithm for hasher in ours}
    if missing:
        warn(f"PASSWORD_HASHERS lacks {', '.join(sorted(missing))}: Basic and the sidecar's login accept their passwords anyway.")
    first = ours[0] if isinstance(ours[0], known[0]) else known[0]
    if not 1 <= first.iterations <= 10_000_000:
        refuse(f"{path_of(first)} has {first.iterations} iterations: the sidecar accepts at most 10000000.")
    return first.iterations


# The two views in the URL conf

class Endpoint:
    """One of the two views: its name, the callback, and the path that the URL conf knows. Without a callback it stands for
    any view that has the defaults of REST_FRAMEWORK."""

    def __init__(self, name, callback=None, path="/"):
        self.name, self.callback, self.path = name, callback, path

    def view_class(self):
        from rest_framework.views import APIView

        return getattr(self.callback, "cls", None if self.callback else APIView)

    def instance(self):
        """The view with the arguments of `as_view`, which may name its classes."""
        return self.view_class()(**getattr(self.callback, "initkwargs", {}))

    def view(self, method="GET", **headers):
        """The view on a request, as `APIView.dispatch` prepares it."""
        view = self.instance()
        view.args, view.kwargs, view.format_kwarg, view.headers = (), {}, None, {}
        view.request = view.initialize_request(sample_request(self.path, method, **headers))
        return view


def endpoints():
    """The two views, and the path above them."""
    from django.urls import get_resolver

    def walk(patterns, prefix):
        for entry in patterns:
            route = prefix + re.sub(r"^\^|(\$|\\Z)$", "", str(entry.pattern)).replace("\\-", "-").replace("\\.", ".")
            if hasattr(entry, "url_patterns"):
                yield from walk(entry.url_patterns, route)
            else:
                yield route, entry.callback

    script = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    plain, others, mounts = {}, {}, set()
    for route, callback in walk(get_resolver().url_patterns, ""):
        found = re.fullmatch(r"(?:(.*)/)?export-(users|stats)/?", route, re.DOTALL)
        if not found:
            continue
        name = f"export-{found[2]}"
        if route.endswith("/") and re.fullmatch(r"((?:[\w.~-]+/)*)export-\w+/", route, re.ASCII):
            if name not in plain:
                plain[name] = Endpoint(name, resolve("/" + route).func, "/" + route)
                mounts.add(f"{script}/{found[1] or ''}".rstrip("/"))
        else:
            others.setdefault(name, Endpoint(name, callback))
    views = sorted({**others, **plain}.values(), key=lambda endpoint: endpoint.name, reverse=True)
    if len(plain) < 2:
        warn("The URL conf has no plain path to export-users/ and export-stats/: SIDECAR_MOUNT is the default.")
        return views, "/api/admin"
    if len(mounts) > 1:
        refuse(f"The two views live under different paths: {', '.join(sorted(mounts))}.")
    return views, mounts.pop()


class Sayings:
    """Refusals and warnings about the views: one that holds for both is said once."""

    def __init__(self):
        self.names = {}

    def add(self, how, endpoint, text):
        names = self.names.setdefault((how, text), [])
        if endpoint.name not in names:
            names.append(endpoint.name)

    def say(self):
        for (how, text), names in self.names.items():
            how(f"{' and '.join(names)}: {text}")


# Django REST framework

def rest_framework(views):
    """What the sidecar must know of the authenticators, from the two views, or from the defaults where there are none."""
    from rest_framework.settings import api_settings

    for name in ("COMPACT_JSON", "UNICODE_JSON"):
        if not getattr(api_settings, name):
            refuse(f"REST_FRAMEWORK's {name} is False: the sidecar writes compact Unicode.")
    if api_settings.URL_FORMAT_OVERRIDE != "format":
        refuse("REST_FRAMEWORK's URL_FORMAT_OVERRIDE is not \"format\".")
    sayings, chosen = Sayings(), []
    for endpoint in views or [Endpoint("REST_FRAMEWORK's default")]:
        if endpoint.view_class() is None:
            sayings.add(refuse, endpoint, "this is no view of Django REST framework.")
            continue
        with without_database():
            chosen.append(authenticators(endpoint, sayings))
            check_renderers(endpoint, sayings)
            check_handler(endpoint, sayings, {entry["kind"] for entry in chosen[-1]})
        check_view(endpoint, sayings)
        if endpoint.callback:
            check_contract(endpoint, sayings)
    sayings.say()
    if any(entries != chosen[0] for entries in chosen):
        refuse("The two views have different authenticators.")
    return chosen[0] if chosen else []


def check_view(endpoint, sayings):
    """What else of a view decides about its answers."""
    from rest_framework import metadata, negotiation, parsers

    view = endpoint.instance()
    if view.content_negotiation_class is not negotiation.DefaultContentNegotiation:
        own = path_of(view.content_negotiation_class)
        sayings.add(refuse, endpoint, f"the content negotiation is the project's own, {own}.")
    if view.throttle_classes:
        sayings.add(warn, endpoint, "throttles are not applied; the sidecar limits failed logins (SIDECAR_LOGIN_RATE).")
    if view.versioning_class:
        sayings.add(warn, endpoint, "the version in a request is not read.")
    if view.metadata_class is not metadata.SimpleMetadata or list(view.parser_classes) != [
        parsers.JSONParser, parsers.FormParser, parsers.MultiPartParser
    ]:
        sayings.add(warn, endpoint, "OPTIONS is answered as with DRF's default metadata and parsers.")


def check_contract(endpoint, sayings):
    """Whether the sidecar can replace a view: `api_view(["GET"])` with `IsAuthenticated` and `IsAdminUser`."""
    from rest_framework.permissions import IsAdminUser, IsAuthenticated

    view, callback = endpoint.view_class(), endpoint.callback
    allowed = set(endpoint.instance().permission_classes)
    if IsAdminUser not in allowed or allowed - {IsAdminUser, IsAuthenticated}:
        sayings.add(refuse, endpoint, "the permissions are not IsAuthenticated and IsAdminUser.")
    if {method for method in view.http_method_names if hasattr(view, method)} != {"get", "options"}:
        sayings.add(refuse, endpoint, "other methods than GET and OPTIONS are answered.")
    # DRF's name for the class that api_view creates.
    if view.__qualname__ != "WrappedAPIView":
        sayings.add(warn, endpoint, f"the view is a class of the project's own, {path_of(view)}: the sidecar does not do "
                    "what it overrides.")
    # Decorators copy the attributes of the wrapped function, but not its code.
    while callback:
        file = callback.__code__.co_filename.replace(os.sep, "/")
        if not file.endswith(("django/views/decorators/csrf.py", "django/views/generic/base.py")):
            sayings.add(warn, endpoint, f"a decorator of {file} wraps the view: the sidecar does not run it.")
        callback = getattr(callback, "__wrapped__", None)


# DRF's authenticators

def authenticators(endpoint, sayings):
    """What the sidecar must know of a view's authenticators, in order: a dictionary for each."""
    entries = []
    for cls in endpoint.instance().authentication_classes:
        try:
            entry = authenticator(cls, endpoint)
        except Exception as error:
            entry = f"can't be tried without a client and a database ({type(error).__name__}: {error})"
        if isinstance(entry, str):
            sayings.add(refuse, endpoint, f"the authenticator {path_of(cls)} {entry}. {WAY_ROUND_AUTHENTICATORS}")
        # Of two that read the same credentials, the first one decides.
        elif entry["kind"] == "django" or credentials(entry) not in map(credentials, entries):
            entries.append(entry)
            if len(entries) == 1 and (headers := headers_of_challenge(cls, endpoint)):
                sayings.add(warn, endpoint, f"{path_of(cls)} chooses its WWW-Authenticate by {', '.join(headers)}: the "
                            "sidecar sends the one for a request without.")
    ours = {entry["kind"] for entry in entries} - {"django"}
    if not endpoint.instance().authentication_classes:
        sayings.add(refuse, endpoint, "authentication_classes is empty.")
    elif entries and not ours:
        classes = ", ".join(entry["class"] for entry in entries)
        sayings.add(refuse, endpoint, f"the sidecar has no authenticator like {classes}: it could let nobody in. "
                    + WAY_ROUND_AUTHENTICATORS)
    return entries


def credentials(entry):
    """What an authenticator of the sidecar's own kinds reads."""
    return entry["kind"], entry.get("keyword", "").lower()


WAY_ROUND_AUTHENTICATORS = (
    "The way round is @authentication_classes([SessionAuthentication, BasicAuthentication]) on both views.")


def authenticator(cls, endpoint):
    """The entry of one authenticator, or why there can't be one: the rest of a sentence that begins with its path."""
    from rest_framework import authentication

    def is_like(base, *methods):
        return issubclass(cls, base) and all(getattr(cls, name) is getattr(base, name) for name in methods)

    if is_like(authentication.SessionAuthentication, "authenticate"):
        enforces = enforces_csrf(cls, endpoint)
        entry = {"kind": "session", "csrf": enforces}
        if enforces is None:
            return "has a CSRF check of the project's own"
    elif is_like(authentication.BasicAuthentication, "authenticate", "authenticate_credentials"):
        entry = {"kind": "basic"}
    elif is_like(authentication.TokenAuthentication, "authenticate", "authenticate_credentials"):
        entry = token_entry(cls) or left_to_django(cls, endpoint)
    else:
        entry = left_to_django(cls, endpoint)
    if isinstance(entry, dict):
        # After `authenticate`, as DRF asks for it: OAuth2's names the error.
        view = endpoint.view()
        instance = cls()
        if entry["kind"] == "django":
            instance.authenticate(view.request)
        entry["challenge"] = instance.authenticate_header(view.request) or None
    return entry


def headers_of_challenge(cls, endpoint):
    """The headers by which an authenticator chooses its WWW-Authenticate."""
    view = endpoint.view()
    asked = watched(view.request._request)
    with contextlib.suppress(Exception):
        cls().authenticate_header(view.request)
    names = {name.title() for name in asked["headers"]}
    names |= {name[5:].replace("_", "-").title() for name in asked["META"] if name.startswith("HTTP_")}
    return sorted(names - {"*", "Host"})


def enforces_csrf(cls, endpoint):
    """Whether a POST with a session needs a CSRF token, as in DRF. None if the class answers with a text of its own."""
    from rest_framework.authentication import SessionAuthentication
    from rest_framework.exceptions import PermissionDenied

    def refusal(authenticator):
        try:
            authenticator.enforce_csrf(endpoint.view("POST").request)
        except PermissionDenied as error:
            return str(error.detail)

    ours = refusal(cls())
    if ours is None:
        return False
    return True if ours == refusal(SessionAuthentication()) else None


def token_entry(cls):
    """The entry of DRF's TokenAuthentication: the keyword, and the table. None if the table is not like DRF's own."""
    from django.contrib.auth import get_user_model

    model = cls().get_model()
    if model._meta.abstract:
        return "needs rest_framework.authtoken in INSTALLED_APPS"
    key, user = model._meta.get_field("key"), model._meta.get_field("user")
    query = model.objects.all().query
    is_plain = (
        key.get_internal_type() == "CharField" and not hasattr(key, "from_db_value")
        # Without an index each stranger's token would read the whole table.
        and (key.primary_key or key.unique or key.db_index)
        and all(field.model._meta.db_table == model._meta.db_table for field in (key, user))
        and user.related_model is get_user_model() and user.target_field.primary_key
        and not (query.where or query.distinct or query.is_sliced or query.combinator)
        and defining_class(type(key), "get_prep_value").__module__.startswith("django.")
    )
    keyword = cls.keyword
    if not is_plain or not re.fullmatch(r"[!-~]+", keyword):
        return None
    return {"kind": "token", "keyword": keyword, "table": model._meta.db_table, "key": key.column, "user": user.column}


# What every view and middleware reads. An authenticator that asks for these takes no credentials from them.
NO_CREDENTIALS = re.compile(
    r"(wsgi|werkzeug|gunicorn)\..*|(SERVER|REQUEST|PATH|QUERY|SCRIPT)_\w+|REMOTE_(ADDR|HOST|PORT)|(HTTP_)?CONTENT_(LENGTH|TYPE)"
    r"|HTTP_(HOST|X_FORWARDED_(FOR|HOST|PORT|PROTO|SERVER|SSL)|X_REAL_IP|X_REQUESTED_WITH|USER_AGENT|ORIGIN|REFERER"
    r"|ACCEPT(_CHARSET|_ENCODING|_LANGUAGE)?|X_CSRFTOKEN|COOKIE)")
# By these alone it may let a client in, or by what else it finds among all headers.
ALSO_READ = ("REMOTE_ADDR", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_COOKIE", "QUERY_STRING", "*")
SCHEMES = "Bearer Token JWT Basic ApiKey Api-Key Key Digest Negotiate".split()


def noting(base, asked):
    """A subclass of a mapping that adds to `asked` each key that is asked for, and `*` if all are."""

    class Noting(base):
        def __getitem__(self, key):
            asked.add(key)
            return super().__getitem__(key)

        def __contains__(self, key):
            asked.add(key)
            return super().__contains__(key)

        def get(self, key, default=None):
            asked.add(key)
            return super().get(key, default)

        def __iter__(self):
            asked.add("*")
            return super().__iter__()

        def keys(self):
            asked.add("*")
            return super().keys()

        def values(self):
            asked.add("*")
            return super().values()

        def items(self):
            asked.add("*")
            return super().items()

        def copy(self):
            asked.add("*")
            return super().copy()

        def getlist(self, key, default=None):
            asked.add(key)
            return super().getlist(key, default)

    return Noting


def watched(request):
    """Replaces the parts of a request that hold credentials; returns what is asked of each while an authenticator runs."""
    from django.http import QueryDict
    from django.utils.datastructures import CaseInsensitiveMapping

    asked = {part: set() for part in ("META", "headers", "COOKIES", "GET", "attributes")}

    class Watched(type(request)):
        def note(self, name):
            asked["attributes"].add(name)
            return self.__dict__[f"_{name}"]

        @property
        def user(self):
            return self.note("user")

        @property
        def session(self):
            return self.note("session")

        def __getattr__(self, name):
            # A middleware of the project may set it.
            if not name.startswith("_"):
                asked["attributes"].add(name)
            raise AttributeError(name)

    headers = dict(request.headers)
    request.__dict__.update(_user=request.__dict__.pop("user"), _session=request.__dict__.pop("session"))
    request.META = noting(dict, asked["META"])(request.META)
    request.headers = noting(CaseInsensitiveMapping, asked["headers"])(headers)
    request.COOKIES = noting(dict, asked["COOKIES"])()
    request.GET = noting(QueryDict, asked["GET"])("")
    request.__class__ = Watched
    return asked


def left_to_django(cls, endpoint):
    """The entry of an authenticator that the sidecar lacks: by which credentials a proxy knows the requests that Django
    must answer. It is tried with no credentials, and with schemes alone. Otherwise why there is no entry, as in
    `authenticator`."""
    view = endpoint.view()
    asked = watched(view.request._request)
    if cls().authenticate(view.request) is not None:
        return "lets a client in that shows no credentials"
    if asked["attributes"]:
        return f"reads the request's {' and '.join(sorted(asked['attributes']))}, by which a proxy can't know its requests"
    headers = {name.upper().replace("-", "_") for name in asked["headers"]}
    headers = {"HTTP_" + name for name in headers - {"*"}} | (headers & {"*"}) | asked["META"]
    also = [name for name in ALSO_READ if name in headers | asked["COOKIES"]]
    headers = {name for name in headers if not NO_CREDENTIALS.fullmatch(name)}
    unseen = sorted(name for name in headers - {"*"} if not name.startswith("HTTP_"))
    if unseen:
        return f"reads {', '.join(unseen)}, which the web server sets and the sidecar can't see"
    cookies = asked["COOKIES"] - {settings.CSRF_COOKIE_NAME, "*"}
    if settings.SESSION_COOKIE_NAME in cookies:
        return "reads the session's cookie, by which a proxy can't know its requests"
    parameters = asked["GET"] - {"*"}
    # oauthlib copies all headers and reads the one, and also takes a parameter.
    is_oauthlib = "*" in headers and cls.__module__.startswith("oauth2_provider.")
    parameters |= {"access_token"} if is_oauthlib else set()
    schemes = schemes_of(cls, endpoint) if headers & {"*", "HTTP_AUTHORIZATION"} else []
    if "HTTP_AUTHORIZATION" in headers and not schemes:
        schemes = ["*"]
    headers -= {"*", "HTTP_AUTHORIZATION"}
    if not (schemes or headers or cookies or parameters):
        return "reads no scheme, header, cookie or parameter, by which a proxy could know its requests"
    if also and not is_oauthlib:
        named = "all headers or cookies" if "*" in also else " and ".join(also)
        warn(f"{path_of(cls)} also reads {named}: a client whom it lets in by that alone is refused by the sidecar.")
    return {
        "kind": "django", "class": path_of(cls), "schemes": schemes,
        "headers": sorted(name[5:].replace("_", "-").title() for name in headers),
        "cookies": sorted(cookies), "parameters": sorted(parameters),
    }


def schemes_of(cls, endpoint):
    """The schemes of `Authorization` that an authenticator does not pass over; none if they can't be told apart."""

    def takes(scheme):
        view = endpoint.view(HTTP_AUTHORIZATION=f"{scheme} x")
        try:
            return cls().authenticate(view.request) is not None
        except Exception:
            return True

    words = [value for name, value in inspect.getmembers(cls) if isinstance(value, str) and not name.startswith("__")]
    challenge = cls().authenticate_header(endpoint.view().request) or ""
    words = [word for word in [*challenge.split()[:1], *words, *SCHEMES] if re.fullmatch(r"[\w.~+-]+", word, re.ASCII)]
    words = list({word.lower(): word for word in reversed(words)}.values())
    return [] if takes("no-such-scheme") else sorted(filter(takes, words), key=str.lower)


def rest_authentication(entries):
    """DJANGO_REST_AUTHENTICATION: names where DRF's own two tell everything, and JSON otherwise."""
    plain = [{"kind": "session", "csrf": True, "challenge": None}, {"kind": "basic", "challenge": 'Basic realm="api"'}]
    tables = [entry["table"] for entry in entries if entry["kind"] == "token"]
    if tables:
        warn(f"The sidecar's role must read the table of tokens, {' and '.join(dict.fromkeys(tables))} (part 3 of "
             "deploy/grants-*.sql).")
    if all(entry in plain for entry in entries):
        return ",".join(entry["kind"] for entry in entries)
    return json_text(entries)


def for_the_proxy(entries):
    """Sentences about the requests that a proxy must leave to Django."""
    others = [entry for entry in entries if entry["kind"] == "django"]
    if not others:
        return []
    taken, ours = set(), []
    for entry in entries:
        if entry["kind"] == "django":
            taken |= {scheme.lower() for scheme in entry["schemes"]}
            continue
        scheme = {"basic": "Basic", "token": entry.get("keyword")}.get(entry["kind"])
        if scheme and not taken & {scheme.lower(), "*"}:
            ours.append(scheme)
    lines = []
    if any(entry["schemes"] for entry in others):
        lines.append("a header Authorization of any scheme" + (f" but {' and '.join(ours)}" if ours else ""))
    for key, word in (("headers", "the header"), ("cookies", "the cookie"), ("parameters", "the parameter")):
        lines += [f"{word} {name}" for name in sorted({name for entry in others for name in entry[key]})]
    return lines


# DRF's renderers

WAY_ROUND_RENDERERS = "The way round is @renderer_classes([JSONRenderer, BrowsableAPIRenderer]) on both views."
# What the views answer, with what a renderer might spell otherwise.
SAMPLES = (
    {"success": True, "count": 1, "users": [{
        "id": 1, "first_name": "\u00e4\u2028</script>", "tv_service": True, "movie_service": None,
        "date_joined": "2026-01-02T03:04:05.678901+00:00"}], "message": "Successfully exported 1 TV users"},
    {"detail": "Authentication credentials were not provided."},
    {"success": False, "error": "Failed to export users. Please try again.", "details": None},
)


def check_renderers(endpoint, sayings):
    """JSON must come first, in DRF's bytes. Others may follow: the browsable API, in whose place the sidecar has its page,
    and any that a client must ask for by name."""
    from rest_framework import renderers

    first, *others = endpoint.instance().renderer_classes
    if first is not renderers.JSONRenderer and not writes_as_drf(first, endpoint):
        names = ", ".join(map(path_of, [first, *others]))
        sayings.add(refuse, endpoint, f"the renderers are {names}: the first one does not write what DRF's JSONRenderer "
                    f"writes. {WAY_ROUND_RENDERERS}")
        return
    pages = [cls for cls in others if (cls.media_type, cls.format) == ("text/html", "api")]
    if not pages:
        sayings.add(warn, endpoint, "a client that accepts only text/html gets a page, where Django answers 406.")
    more = [cls for cls in others if cls not in pages]
    if more:
        asked = ", ".join(f"{cls.media_type} or ?format={cls.format} ({path_of(cls)})" for cls in more)
        sayings.add(warn, endpoint, f"a client that asks for {asked} gets a refusal.")


def writes_as_drf(renderer, endpoint):
    """Whether a renderer writes the bytes of DRF's JSONRenderer, under its media type."""
    from rest_framework.renderers import JSONRenderer
    from rest_framework.response import Response

    def answers(cls):
        yield cls.media_type, cls.format, cls.charset
        for sample in SAMPLES:
            for media_type in ("application/json", "application/json; indent=4"):
                view = endpoint.view()
                context = {"view": view, "args": (), "kwargs": {}, "request": view.request, "response": Response(sample)}
                yield cls().render(sample, media_type, context)

    try:
        return list(answers(renderer)) == list(answers(JSONRenderer))
    except Exception:
        return False


# DRF's exception handler

def exceptions_met(kinds):
    """The exceptions that the two views raise with these authenticators: what to say of each, the method of the request,
    whether a user is logged in, and the exception's constructor."""
    from django.http import Http404
    from rest_framework import exceptions

    met = [
        ("a client without credentials", "GET", False, exceptions.NotAuthenticated),
        ("a user who is no member of the staff", "GET", True, exceptions.PermissionDenied),
        ("a POST", "POST", True, lambda: exceptions.MethodNotAllowed("POST")),
        ("an Accept header without JSON", "GET", False, exceptions.NotAcceptable),
        ("an unknown ?format=", "GET", False, Http404),
    ]
    if kinds & {"basic", "token"}:
        met.append(("wrong credentials", "GET", False, lambda: exceptions.AuthenticationFailed("Invalid token.")))
    if "session" in kinds:
        reason = "CSRF Failed: CSRF token missing."
        met.append(("a POST without a CSRF token", "POST", False, lambda: exceptions.PermissionDenied(reason)))
    return met


def check_handler(endpoint, sayings, kinds):
    """Calls the project's exception handler with what the views meet, and compares with DRF's own."""
    from django.contrib.auth import get_user_model
    from rest_framework.renderers import JSONRenderer
    from rest_framework.views import exception_handler

    def answer(handler, method, has_user, make):
        view = endpoint.view(method)
        view.request.accepted_renderer, view.request.accepted_media_type = JSONRenderer(), "application/json"
        view.request._authenticator = None
        view.request.user = get_user_model()() if has_user else view.request._request.user
        view.get_exception_handler = lambda: handler
        response = view.handle_exception(make())
        return response.status_code, JSONRenderer().render(response.data), sorted(response.items()), response.cookies.output()

    handler = endpoint.view().get_exception_handler()
    if handler is exception_handler:
        return
    differ = []
    for what, *case in exceptions_met(kinds):
        try:
            is_equal = answer(handler, *case) == answer(exception_handler, *case)
        except Exception:
            is_equal = False
        if not is_equal:
            differ.append(what)
    if differ:
        sayings.add(refuse, endpoint, f"the exception handler {path_of(handler)} does not answer {', '.join(differ)} as "
                    "DRF's does. The way round is DRF's own for these two views, such as "
                    "export_users.cls.get_exception_handler = lambda view: rest_framework.views.exception_handler.")


# What Django's middleware does to every answer

KNOWN_MIDDLEWARE = re.compile(r"""django\.(
    middleware\.(security\.Security|common\.(Common|BrokenLinkEmails)|csrf\.CsrfView|clickjacking\.XFrameOptions
        |gzip\.GZip|http\.ConditionalGet|locale\.Locale|csp\.ContentSecurityPolicy)
    |contrib\.(sessions\.middleware\.Session|auth\.middleware\.Authentication|messages\.middleware\.Message)
    )Middleware|whitenoise\.middleware\.WhiteNoiseMiddleware""", re.VERBOSE)
HEADERS = """X_FRAME_OPTIONS SECURE_CONTENT_TYPE_NOSNIFF SECURE_REFERRER_POLICY SECURE_CROSS_ORIGIN_OPENER_POLICY
    SECURE_HSTS_SECONDS SECURE_CSP SECURE_CSP_REPORT_ONLY""".split()


def changed(names):
    missing = object()
    return [name for name in names if getattr(settings, name, missing) != getattr(global_settings, name, missing)]


def surroundings():
    middleware = list(settings.MIDDLEWARE)
    headers = changed(HEADERS)
    for name in ("security.SecurityMiddleware", "clickjacking.XFrameOptionsMiddleware"):
        if not has_middleware(f"django.middleware.{name}"):
            warn(f"MIDDLEWARE lacks {name.split('.')[1]}, whose headers the sidecar sends all the same.")
    if headers:
        warn(f"The headers of {', '.join(headers)} are not Django's defaults, which the sidecar sends: let the proxy "
             "set them.")
    if settings.SECURE_SSL_REDIRECT:
        warn("SECURE_SSL_REDIRECT: the sidecar does not redirect to https; let the proxy do it.")
    if settings.SECURE_PROXY_SSL_HEADER not in (None, ("HTTP_X_FORWARDED_PROTO", "https")):
        warn("SECURE_PROXY_SSL_HEADER: the sidecar reads X-Forwarded-Proto.")
    if settings.USE_X_FORWARDED_HOST or settings.USE_X_FORWARDED_PORT:
        warn("USE_X_FORWARDED_HOST or _PORT: the sidecar reads Host, so the proxy must pass the public one there.")
    csrf = changed(["CSRF_COOKIE_NAME", "CSRF_HEADER_NAME", "CSRF_TRUSTED_ORIGINS", "CSRF_USE_SESSIONS"])
    if csrf:
        warn(f"{', '.join(csrf)}: the sidecar's CSRF checks and its login follow Django's defaults.")
    if not has_middleware("django.middleware.common.CommonMiddleware"):
        warn("MIDDLEWARE lacks CommonMiddleware: the sidecar answers 400 for a host that is not allowed.")
    elif settings.PREPEND_WWW or settings.DISALLOWED_USER_AGENTS:
        warn("PREPEND_WWW and DISALLOWED_USER_AGENTS are not applied.")
    locale = has_middleware("django.middleware.locale.LocaleMiddleware")
    if settings.USE_I18N and (locale or not settings.LANGUAGE_CODE.lower().startswith("en")):
        warn("LocaleMiddleware or LANGUAGE_CODE: the sidecar's refusals are in English; statuses are the same.")
    allows_all = [name for name in ("CORS_ALLOW_ALL_ORIGINS", "CORS_ORIGIN_ALLOW_ALL", "CORS_ALLOWED_ORIGIN_REGEXES")
                  if getattr(settings, name, None)]
    if allows_all:
        warn(f"{allows_all[0]}: the sidecar lets pages of other sites in only if SIDECAR_CORS_ORIGINS lists their origins.")
    others = [name for name in middleware if not KNOWN_MIDDLEWARE.fullmatch(name)]
    signs = {name: signs_of_decisions(import_string(name)) for name in others}
    for name in filter(signs.get, others):
        warn(f"MIDDLEWARE has {name}, which may decide who is let in (its code has {', '.join(signs[name])}): the sidecar does "
             "not run it.")
        if {"logout", "flush"} & set(signs[name]):
            # It may end a session that it did not see begin.
            NOT_SUGGESTED.add("SIDECAR_LOGIN")
    others = [name for name in others if not signs[name]]
    if others:
        warn(f"MIDDLEWARE has {', '.join(others)}: the sidecar runs no middleware of the project.")


# What lets a client in, keeps it out or ends its session, among the names and texts in a middleware's code.
SIGNS = {"logout", "flush", "authenticate", "_dont_enforce_csrf_checks", "HTTP_AUTHORIZATION", "Authorization", "HTTP_X_API_KEY",
         "X-Api-Key", "X-API-Key"}


def signs_of_decisions(middleware):
    """Those of SIGNS that a middleware's code has, and `request.user` if it sets that."""
    if isinstance(middleware, type):
        codes = codes_of(base for base in middleware.__mro__ if not base.__module__.startswith(("django.", "builtins")))
    else:
        # Any other callable may have none.
        codes = [code for code in [getattr(inspect.unwrap(middleware), "__code__", None)] if code]
    found = set()
    for code in codes:
        codes += filter(inspect.iscode, code.co_consts)
        for instruction in dis.get_instructions(code):
            name = instruction.argval
            if isinstance(name, str) and name in SIGNS:
                found.add(name)
            if (instruction.opname, name) == ("STORE_ATTR", "user"):
                found.add("request.user")
    return sorted(found)


# What a login asks for

# Words in the names of apps, middleware modules and backends that ask for more than a password, ...
SECOND_FACTOR = re.compile(
    r"(^|[._])(mfa\d?|2fa|t?otp|two_?factor|multi_?factor|second_?factor|webauthn|passkeys?|u2f|fido2?|duo|deux|kagi|trench)"
    r"(?=$|[._])", re.IGNORECASE)
# ... or lock accounts and addresses after failed logins.
LOCKOUT = re.compile(
    r"(^|[._])(axes|defender|brute_?(buster|force\w*)|lock_?outs?|login_?lock\w*|login_?attempts?|failed_?logins?\w*)"
    r"(?=$|[._])", re.IGNORECASE)
# Libraries of second factors, for projects that have one without such an app.
FACTOR_LIBRARIES = ("fido2", "pyotp", "webauthn", "u2flib_server", "duo_client", "duo_universal")


def authentication():
    """The variables about what a login asks for, also by Basic."""
    from django.apps import apps

    backends, names = list(settings.AUTHENTICATION_BACKENDS), [app.name for app in apps.get_app_configs()]
    passed_over = []
    for path in backends:
        warn_of_own_methods(path)
    ours = [entry for path in backends for entry in [password_backend(path, passed_over)] if entry]
    if passed_over:
        warn(f"AUTHENTICATION_BACKENDS has {', '.join(passed_over)}: Basic and the sidecar's login pass over a backend that "
             "compares no password with the stored one, takes no name as USERNAME_FIELD, or has no get_user, so that a session "
             "can't name it.")
    captchas = [name for name in names if "captcha" in name or "turnstile" in name]
    if captchas:
        warn(f"INSTALLED_APPS has {', '.join(captchas)}: Basic and the sidecar's login ask for no captcha.")

    def named(pattern):
        found = map(pattern.search, [*names, *settings.MIDDLEWARE, *backends])
        return list(dict.fromkeys(match.string[:match.end()] for match in found if match))

    factors = named(SECOND_FACTOR) or [name for name in FACTOR_LIBRARIES if name in sys.modules]
    if factors:
        warn(f"The project asks for a second factor ({', '.join(factors)}), which Basic and the sidecar's login do not ask "
             "for: SIDECAR_LOGIN=on is refused beside DJANGO_SECOND_FACTOR.")
    lockouts = named(LOCKOUT)
    if lockouts:
        warn(f"The project locks accounts or addresses after failed logins ({', '.join(lockouts)}): Basic and the sidecar's "
             "login neither obey these locks nor add to them, and limit failures by SIDECAR_LOGIN_RATE alone.")
    is_plain = all(path.startswith("django.contrib.auth.backends.") for path in backends)
    return {"DJANGO_AUTHENTICATION_BACKENDS": json_text(backends),
            "DJANGO_PASSWORD_BACKENDS": None if is_plain and ours else json_text(ours),
            "DJANGO_SECOND_FACTOR": json_text(factors) if factors else None,
            "DJANGO_LOCKOUT": json_text(lockouts) if lockouts else None}


def password_backend(path, passed_over):
    """The entry of a backend that compares a password with the stored one, and whose path a session can hold; warns of what
    such a backend does besides. None for any other; one that takes passwords is added to `passed_over`."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.backends import BaseBackend, ModelBackend

    backend, model = import_string(path)(), get_user_model()
    cls = type(backend)
    owner, getter = defining_class(cls, "authenticate"), defining_class(cls, "get_user")

    def can_call(name):
        try:
            inspect.signature(backend.authenticate).bind(None, **{name: "", "password": ""})
        except TypeError:
            return False
        return True

    if owner in (None, BaseBackend):
        return None
    # As DRF's BasicAuthentication calls it, and as Django's login form does.
    by_basic, by_form = can_call(model.USERNAME_FIELD), can_call("username")
    if not (by_basic or by_form):
        return None
    if owner is not ModelBackend and not compares_password(cls, owner):
        # These decide about permissions and locks only.
        if not re.match(r"(axes|guardian|rules)\.", path):
            passed_over.append(path)
        return None
    if getter in (None, BaseBackend) or not by_basic:
        passed_over.append(path)
        return None
    return {"backend": path, "names": names_taken(path, cls, owner)}


# The backends whose methods the sidecar mirrors.
MIRRORED = ("django.contrib.auth.backends", "allauth.account.auth_backends")
# Their methods beside `authenticate` that decide who is admitted.
ADMITTING = ("get_user", "user_can_authenticate", "_check_password", "_authenticate_by_email", "_authenticate_by_username")


def warn_of_own_methods(path):
    """Warns of methods of a backend that decide who is admitted and that the sidecar does not run: also `get_user`, which
    decides about sessions."""
    cls = type(import_string(path)())
    owners = {name: defining_class(cls, name) for name in ADMITTING}
    own = [name for name, owner in owners.items() if owner and owner.__module__ not in MIRRORED]
    if own:
        warn(f"AUTHENTICATION_BACKENDS has {path} with a {' and a '.join(own)} of its own, which the sidecar does not run.")
    admits_all = import_string("django.contrib.auth.backends.AllowAllUsersModelBackend")
    if issubclass(cls, admits_all) and cls is not admits_all:
        warn(f"AUTHENTICATION_BACKENDS has {path}, which admits users who are not active: the sidecar does not.")


def compares_password(cls, owner):
    """Whether a backend's code calls `check_password`, or its `authenticate` the one of ModelBackend."""
    from django.contrib.auth.backends import BaseBackend, ModelBackend

    classes = [base for base in cls.__mro__ if base not in (object, BaseBackend, ModelBackend)]
    calls = {name for code in codes_of(classes) for name in code.co_names}
    authenticate = inspect.unwrap(vars(owner)["authenticate"]).__code__.co_names
    return "check_password" in calls or (
        {"super", "authenticate"} <= set(authenticate) and ModelBackend in cls.__mro__[cls.__mro__.index(owner):])


def names_taken(path, cls, owner):
    """How a backend looks a user up by the name, in its order: `username` (the column, as it is), `username-lower` (the name
    in lower case), `username-any-case`, `email` (as allauth looks for an address)."""
    from django.contrib.auth import get_user_model
    from django.contrib.auth.backends import ModelBackend

    if owner is ModelBackend:
        return ["username"]
    if owner.__module__ == "allauth.account.auth_backends":
        return allauth_names(path)
    field = get_user_model().USERNAME_FIELD
    parameters = inspect.signature(inspect.unwrap(vars(owner)["authenticate"])).parameters.values()
    names = {one.name for one in parameters if one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)}
    names -= {"self", "request", "password"}
    if names and not names & {field, "username"}:
        return takes_no_name(path, field)
    warn(f"AUTHENTICATION_BACKENDS has {path}, whose authenticate is the project's own: Basic and the sidecar's login "
         "look the user up by the user name, and ask for the password alone.")
    return ["username"]


def takes_no_name(path, field):
    warn(f"AUTHENTICATION_BACKENDS has {path}, which takes no name as USERNAME_FIELD, {field}: so Basic and the sidecar's "
         "login take none.")
    return []


def allauth_names(path):
    """How allauth's backend looks a user up."""
    from allauth.account import app_settings
    from django.contrib.auth import get_user_model

    methods = getattr(app_settings, "LOGIN_METHODS", None)
    if methods is None:
        # Before allauth 65.4
        methods = str(getattr(app_settings.AUTHENTICATION_METHOD, "value", app_settings.AUTHENTICATION_METHOD)).split("_")
    methods = {str(getattr(method, "value", method)) for method in methods}
    field = get_user_model().USERNAME_FIELD
    names = ["email"] if "email" in methods and app_settings.USER_MODEL_EMAIL_FIELD == "email" else []
    # DRF and Django's form give the name as USERNAME_FIELD, and allauth looks for the keys "username" and "email" alone.
    if field not in ("username", "email"):
        return takes_no_name(path, field)
    if field == "username" and "username" in methods and app_settings.USER_MODEL_USERNAME_FIELD == field:
        names.append("username-any-case" if app_settings.PRESERVE_USERNAME_CASING else "username-lower")
    if not names:
        return takes_no_name(path, field)
    if "email" in names:
        warn(f"AUTHENTICATION_BACKENDS has {path}, which takes e-mail addresses: with Basic or SIDECAR_LOGIN=on the sidecar's "
             "role must read allauth's table account_emailaddress (part 4 of deploy/grants-*.sql).")
        if getattr(app_settings, "LOGIN_METHODS", None) is None:
            warn("This allauth also finds addresses that are stored in capitals, which the sidecar refuses.")
    verification = str(getattr(app_settings.EMAIL_VERIFICATION, "value", app_settings.EMAIL_VERIFICATION))
    if verification == "mandatory":
        warn("ACCOUNT_EMAIL_VERIFICATION is mandatory: the sidecar's login also admits users whose address is not verified.")
    return names


# The login page

def login_url():
    """LOGIN_URL as a URL, if a login page is there; otherwise the admin's login page, or allauth's, or DRF's."""
    script = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    urls = []
    for name in (settings.LOGIN_URL, "admin:login", "account_login", "login", "rest_framework:login"):
        with contextlib.suppress(NoReverseMatch):
            urls.append(resolve_url(name))
    if script and str(settings.LOGIN_URL).startswith("/"):
        urls.insert(1, script + str(settings.LOGIN_URL))
    # Any other value can't be linked from a page.
    urls = [url for url in urls if re.fullmatch(r"(https?://(?!/)|/(?!/))[!#-&(-;=?-\[\]_a-z~]*", url)]
    found = next((url for url in urls if is_login_page(url, script)), None)
    if not found:
        warn(f"No login page was found, also not at LOGIN_URL ({settings.LOGIN_URL}): the link of the sidecar's page leads "
             "nowhere unless SIDECAR_LOGIN is on.")
    return found


def found_at(path):
    """What the URL conf has at a path, or at the one with a language to which LocaleMiddleware redirects; or None."""
    from django.utils import translation

    for candidate in (path, f"/{settings.LANGUAGE_CODE}{path}"):
        with translation.override(settings.LANGUAGE_CODE), contextlib.suppress(Resolver404):
            return resolve(candidate)
    return None


def is_login_page(url, script):
    """Whether something answers at the URL: a view that is there for this path, or a catch-all that answers 200."""
    if "://" in url:
        return True
    path = urlsplit(url).path
    if script and not path.startswith(script + "/"):
        return False
    path = path[len(script):]
    match = found_at(path)
    # The same depth, and a last segment that no project has.
    sibling = found_at(re.sub(r"[^/]+(/?)$", r"no-such-page-4f1c\1", path))
    if not match or not sibling or (sibling.func, sibling.route) != (match.func, match.route):
        return match is not None
    try:
        with without_database():
            response = match.func(sample_request(path), *match.args, **match.kwargs)
            return (response.render() if hasattr(response, "render") else response).status_code == 200
    except Exception:
        return False


# The file

SUGGESTIONS = {
    "SIDECAR_BIND": "127.0.0.1:8000", "SIDECAR_OPS_BIND": "127.0.0.1:9000", "SIDECAR_LOGIN": "on",
    "SIDECAR_LOGIN_RATE": "10/min", "SIDECAR_TRUSTED_PROXIES": "127.0.0.1,::1,unix", "SIDECAR_LOG_FORMAT": "json",
}
HEADER = """\
# watchtower-sidecar's environment, from the settings of this Django project. It contains secrets.
# systemd (EnvironmentFile=), a shell (set -a; . ./sidecar.env) and Compose (env_file:) can read it, but not
# `docker run --env-file`, which keeps the quotes. DATABASE_URL names Django's role: replace it with the role and password
# that deploy/grants-*.sql create, which may do no more than the sidecar needs."""


def quoted(value):
    """The value as both systemd and a shell read it."""
    if re.fullmatch(r"[\w@%+=:,./-]+", value, re.ASCII):
        return value
    if not re.search(r"['\\]", value):
        return f"'{value}'"
    return '"' + re.sub(r'(["\\$`])', r"\\\1", value) + '"'


def is_read_by_compose(value):
    """Whether Compose's env_file reads the value as systemd and a shell do. Versions of Compose differ in what they expand
    inside quotes, and in how they read a backslash before the last quote."""
    form = quoted(value)
    return not re.search(r"[$`]|[\\\"].$" if form[0] == '"' else r"\$\{", form)


def json_text(value):
    """JSON whose quoting Compose reads, too."""
    text = json.dumps(value)
    if re.search(r"['\\]|\$\{", text):
        text = text.replace("$", "\\u0024").replace("`", "\\u0060")
    return text


def keys():
    key, fallbacks = settings.SECRET_KEY, list(getattr(settings, "SECRET_KEY_FALLBACKS", []))
    try:
        texts = [one.decode() if isinstance(one, bytes) else one for one in [key, *fallbacks]]
        if not all(one and one.encode() for one in texts) or "\0" in "".join(texts):
            raise ValueError
    except (ValueError, AttributeError):
        refuse("SECRET_KEY or SECRET_KEY_FALLBACKS holds a key that is empty or no UTF-8 text.")
        return {}
    return {"DJANGO_SECRET_KEY": texts[0], "DJANGO_SECRET_KEY_FALLBACKS": json_text(texts[1:])}


def collect():
    """Every variable, and the suggestions."""
    url, read_url = databases()
    secret = step("SECRET_KEY", keys) or {}
    found = step("ROOT_URLCONF", endpoints)
    views, mount = found or ([], "/api/admin")
    entries = step("REST_FRAMEWORK", rest_framework, views) or []
    kinds = {entry["kind"] for entry in entries}
    basic = "basic" in kinds
    variables = {
        **(step("AUTH_USER_MODEL", user_model, basic) or {}),
        **(step("The session settings", sessions, "session" in kinds) or {}),
        **(step("AUTHENTICATION_BACKENDS", authentication) or {}),
        "DJANGO_REST_AUTHENTICATION": rest_authentication(entries),
        "DJANGO_ALLOWED_HOSTS": json_text([str(host) for host in settings.ALLOWED_HOSTS]),
        "DJANGO_DEBUG": settings.DEBUG, "DJANGO_USE_TZ": settings.USE_TZ, "DJANGO_TIME_ZONE": settings.TIME_ZONE,
        "DJANGO_APPEND_SLASH":
            settings.APPEND_SLASH and bool(step("MIDDLEWARE", has_middleware, "django.middleware.common.CommonMiddleware")),
        "DJANGO_LOGIN_URL": step("LOGIN_URL", login_url) if found else None,
        "DJANGO_PBKDF2_ITERATIONS": step("PASSWORD_HASHERS", passwords, basic),
        "SIDECAR_MOUNT": mount,
        "SIDECAR_LOGIN_MOUNT": login_mount(mount),
    }
    if settings.DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS"):
        # Projects behind PgBouncer in transaction mode set this.
        variables["SIDECAR_PREPARED_STATEMENTS"] = "off"
    step("The settings", surroundings)
    backends = json.loads(variables.get("DJANGO_PASSWORD_BACKENDS") or "null")
    if variables.get("DJANGO_SECOND_FACTOR") or (backends is not None and not any(one["names"] for one in backends)):
        NOT_SUGGESTED.add("SIDECAR_LOGIN")
    suggested = {name: value for name, value in SUGGESTIONS.items() if name not in NOT_SUGGESTED}
    if getattr(settings, "CORS_ALLOWED_ORIGINS", None):
        suggested["SIDECAR_CORS_ORIGINS"] = json.dumps(list(settings.CORS_ALLOWED_ORIGINS))
    # Required variables come last, so that a truncated file does not start a sidecar.
    variables.update({"DATABASE_URL": url, **secret})
    if "DJANGO_SECRET_KEY" in variables:
        variables["DJANGO_SECRET_KEY"] = variables.pop("DJANGO_SECRET_KEY")
    return variables, suggested, read_url, for_the_proxy(entries)


def login_mount(mount):
    """The path above the sidecar's login/ and logout/, if the project does not begin at the root; otherwise None."""
    script = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    prefix = script or (mount[:-len("/api/admin")] if mount.endswith("/api/admin") else "")
    return f"{prefix}/api" if prefix else None


def step(subject, function, *arguments):
    try:
        return function(*arguments)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        refuse(f"{subject} can't be read: {type(error).__name__}: {error} ({place.filename}:{place.lineno}).")


IN_FILES = ("DJANGO_ALLOWED_HOSTS", "DATABASE_URL", "DJANGO_SECRET_KEY_FALLBACKS", "DJANGO_SECRET_KEY")


def keep_in_files(directory, variables, read_url):
    """Moves secrets, and the hosts that SIGHUP reads again, to files."""
    directory = os.path.abspath(directory)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    moved = {name: variables.pop(name) for name in IN_FILES}
    if read_url:
        moved["DATABASE_READ_URL"] = read_url
    for name, text in moved.items():
        path = os.path.join(directory, name.lower().replace("_", "-"))
        write_privately(path, text.encode() + b"\n")
        variables[f"{name}_FILE"] = path
    return variables.pop("DATABASE_READ_URL_FILE", None)


def spelled(value):
    return str(value).lower() if isinstance(value, bool) else str(value)


def main():
    output = Output()
    if not (4, 0) <= django.VERSION[:2] < (7, 0):
        print(f"No environment file was written. This is Django {django.__version__}: the sidecar knows 4.0 to 6.x.",
              file=sys.stderr)
        sys.exit(1)
    variables, suggested, read_url, left = collect()
    directory = os.environ.get("SIDECAR_SECRETS_DIR")
    texts = {name: spelled(value) for name, value in variables.items() if value is not None}
    for name, text in texts.items():
        if re.search(r"[\0-\x1f\x7f]", text) and not (directory and name == "DJANGO_SECRET_KEY"):
            refuse(f"{name} holds a control character, which an environment file can't contain."
                   + (" Set SIDECAR_SECRETS_DIR." if name == "DJANGO_SECRET_KEY" else ""))
    others = [name for name, text in texts.items() if not is_read_by_compose(text) and not (directory and name in IN_FILES)]
    if others:
        warn(f"{', '.join(others)}: systemd and a shell read the value as it is, but Compose's env_file does not; with "
             "Compose give it in environment:, or set SIDECAR_SECRETS_DIR.")
    if left:
        warn(f"The proxy must leave requests to Django that have {', or '.join(left)}: deploy/nginx-upstream.conf and the "
             "Caddyfile have the lines for that.")
    warnings = list(dict.fromkeys(map(sentence, WARNINGS)))
    for text in warnings:
        print(f"warning: {text}", file=sys.stderr)
    if REFUSED:
        print("No environment file was written. The sidecar can't honour:", file=sys.stderr)
        for text in dict.fromkeys(REFUSED):
            print(f"  - {sentence(text)}", file=sys.stderr)
        sys.exit(1)
    lines = [HEADER, *(f"# Warning: {text}" for text in warnings), ""]
    if directory:
        read_file = keep_in_files(directory, texts, read_url)
        suggested["DATABASE_READ_URL_FILE"] = read_file
    else:
        suggested["DATABASE_READ_URL"] = read_url
    lines += [f"# {name}={quoted(value)}" for name, value in suggested.items() if value]
    lines += [f"{name}={quoted(value) if value else ''}" for name, value in texts.items()]
    output.write("\n".join(lines) + "\n")


main()
