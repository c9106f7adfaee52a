"""Writes watchtower-sidecar's environment file from a Django project's settings (Django 4.0 to 6.x). In the project:

    (umask 077; python manage.py shell < django-settings.py > sidecar.env)

If the sidecar can't honour a setting, the script names it on standard error, writes nothing and exits with code 1; it
names all such settings at once. Differences from Django are warnings, on standard error and in the file. With
SIDECAR_SECRETS_DIR=/path in the environment, secrets and hosts go to files there (mode 0600), and the environment file
names them. With SIDECAR_OUTPUT=/path the script writes the environment file itself, and creates it with mode 0600. It
connects to no database. It is one file, however long, because Django's shell reads it from standard input.
"""

import configparser
import getpass
import inspect
import json
import os
import re
import stat
import sys
import traceback
from urllib.parse import quote, urlsplit

import django
from django.conf import global_settings, settings
from django.shortcuts import resolve_url
from django.urls import NoReverseMatch, Resolver404, resolve, reverse

REFUSED, WARNINGS = [], []
refuse, warn = REFUSED.append, WARNINGS.append


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
        self.is_file = is_regular and not appends
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
# Fields that the views only show. If the model sets one to None, it is None for every user.
SHOWN = EXPORTED[:4]


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
            elif is_none and name in ("date_joined", "is_tv_user"):
                warn(f"{label}.{name} is None: the export fails, as it does in Django.")
            elif hasattr(model, name) or name not in EXPORTED:
                refuse(f"{label}.{name} is no field with a column, and the sidecar reads columns.")
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
    methods = ["get_session_auth_hash", "_get_session_auth_hash"] + (["check_password"] if basic else [])
    for owner in model.__mro__:
        for method in methods:
            if method in vars(owner) and owner is not AbstractBaseUser:
                refuse(f"{path_of(owner)}.{method} is the project's own.")
    for name in ("objects", "_default_manager"):
        manager = getattr(model, name, None)
        if manager is None:
            refuse(f"{label} has no manager {name}, which the views use.")
            continue
        query = manager.all().query
        if query.where or query.distinct or query.is_sliced or query.combinator:
            refuse(f"{label}.{name} hides some users from Django: the sidecar sees and exports all of them.")
        natural = getattr(type(manager), "get_by_natural_key", None)
        if basic and name == "_default_manager" and natural is not BaseUserManager.get_by_natural_key:
            warn(f"{path_of(natural)} is not Django's: Basic finds names by the database's own comparison.")
    none_fields = {"DJANGO_USER_FIELDS_NONE": json.dumps(nones)} if nones else {}
    return {"DJANGO_USER_TABLE": meta.db_table, "DJANGO_USERNAME_FIELD": username, **none_fields}


# Sessions, passwords, cookies

def sessions(by_session):
    from django.contrib.sessions.serializers import JSONSerializer
    from django.utils.module_loading import import_string

    engine = settings.SESSION_ENGINE
    if engine == "django.contrib.sessions.backends.cached_db":
        warn("SESSION_ENGINE is cached_db: a session that is deleted only in the database lives on in Django's cache.")
    elif engine != "django.contrib.sessions.backends.db":
        refuse(f"SESSION_ENGINE is {engine}: the sidecar reads only sessions of db and cached_db.")
    if import_string(settings.SESSION_SERIALIZER) is not JSONSerializer:
        refuse(f"SESSION_SERIALIZER is {settings.SESSION_SERIALIZER}: the sidecar reads only JSON.")
    for name in ("SESSION_SAVE_EVERY_REQUEST", "SESSION_EXPIRE_AT_BROWSER_CLOSE"):
        if getattr(settings, name):
            refuse(f"{name} is set: the sidecar does not write to sessions.")
    if by_session:
        for name in ("django.contrib.sessions.middleware.SessionMiddleware",
                     "django.contrib.auth.middleware.AuthenticationMiddleware"):
            if name not in settings.MIDDLEWARE:
                refuse(f"MIDDLEWARE lacks {name}, by which Django knows who is logged in.")
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
    for hasher in ours if basic else []:
        base = next((base for base in known if isinstance(hasher, base) and base.algorithm == hasher.algorithm), None)
        if base and all(getattr(type(hasher), name) is getattr(base, name) for name in ("verify", "encode", "decode")):
            continue
        if hasher is ours[0]:
            refuse(f"PASSWORD_HASHERS begins with {path_of(hasher)}, whose hashes the sidecar does not know.")
        else:
            warn(f"PASSWORD_HASHERS has {path_of(hasher)}: Basic refuses users whose password it hashed.")
    missing = {base.algorithm for base in known[:4]} - {hasher.algorithm for hasher in ours}
    if basic and missing:
        warn(f"PASSWORD_HASHERS lacks {', '.join(sorted(missing))}: Basic accepts their passwords anyway.")
    first = ours[0] if isinstance(ours[0], known[0]) else known[0]
    if not 1 <= first.iterations <= 10_000_000:
        refuse(f"{path_of(first)} has {first.iterations} iterations: the sidecar accepts at most 10000000.")
    return first.iterations


# Django REST framework and the two views

def rest_framework(callbacks):
    """DJANGO_REST_AUTHENTICATION, from the views if the URL conf has them."""
    from rest_framework import authentication, metadata, negotiation, parsers, permissions, renderers, views

    api = views.api_settings
    if api.EXCEPTION_HANDLER is not views.exception_handler:
        refuse(f"REST_FRAMEWORK's EXCEPTION_HANDLER is the project's own, {path_of(api.EXCEPTION_HANDLER)}.")
    for name in ("COMPACT_JSON", "UNICODE_JSON"):
        if not getattr(api, name):
            refuse(f"REST_FRAMEWORK's {name} is False: the sidecar writes compact Unicode.")
    if api.URL_FORMAT_OVERRIDE != "format":
        refuse("REST_FRAMEWORK's URL_FORMAT_OVERRIDE is not \"format\".")
    ours = {authentication.SessionAuthentication: "session", authentication.BasicAuthentication: "basic"}
    chosen = []
    for name, callback in callbacks.items() or [("REST_FRAMEWORK's default", None)]:
        view = getattr(callback, "cls", None if callback else views.APIView)
        if view is None:
            refuse(f"{name} is no view of Django REST framework.")
            continue
        for authenticator in view.authentication_classes:
            if authenticator not in ours:
                refuse(f"{name}: the sidecar has no authenticator like {path_of(authenticator)}.")
        names = [ours[one] for one in view.authentication_classes if one in ours]
        if not view.authentication_classes or len(set(names)) < len(names):
            refuse(f"{name}: authentication_classes is empty, or names one twice.")
        chosen.append(names)
        if list(view.renderer_classes) not in (
            [renderers.JSONRenderer], [renderers.JSONRenderer, renderers.BrowsableAPIRenderer]
        ):
            refuse(f"{name}: the renderers are {', '.join(map(path_of, view.renderer_classes))}; the sidecar has "
                   "JSONRenderer and then BrowsableAPIRenderer.")
        elif len(view.renderer_classes) == 1:
            warn(f"{name}: a client that accepts only text/html gets a page, where Django answers 406.")
        if view.content_negotiation_class is not negotiation.DefaultContentNegotiation:
            refuse(f"{name}: the content negotiation is the project's own, {path_of(view.content_negotiation_class)}.")
        if view.throttle_classes:
            warn(f"{name}: throttles are not applied; the sidecar limits failed logins (SIDECAR_LOGIN_RATE).")
        if view.versioning_class:
            warn(f"{name}: the version in a request is not read.")
        if view.metadata_class is not metadata.SimpleMetadata or list(view.parser_classes) != [
            parsers.JSONParser, parsers.FormParser, parsers.MultiPartParser
        ]:
            warn(f"{name}: OPTIONS is answered as with DRF's default metadata and parsers.")
        if callback:
            contract(name, callback, view, permissions)
    if any(names != chosen[0] for names in chosen):
        refuse("The two views have different authenticators.")
    return ",".join(chosen[0]) if chosen else ""


def contract(name, callback, view, permissions):
    """Checks that the sidecar can replace a view: `api_view(["GET"])` with `IsAuthenticated` and `IsAdminUser`."""
    allowed = set(view.permission_classes)
    if permissions.IsAdminUser not in allowed or allowed - {permissions.IsAdminUser, permissions.IsAuthenticated}:
        refuse(f"{name}: the permissions are not IsAuthenticated and IsAdminUser.")
    if {method for method in view.http_method_names if hasattr(view, method)} != {"get", "options"}:
        refuse(f"{name}: it answers other methods than GET and OPTIONS.")
    # DRF's name for the class that api_view creates.
    if view.__qualname__ != "WrappedAPIView":
        warn(f"{name} is a class of the project's own, {path_of(view)}: the sidecar does not do what it overrides.")
    # Decorators copy the attributes of the wrapped function, but not its code.
    while callback:
        file = callback.__code__.co_filename.replace(os.sep, "/")
        if not file.endswith(("django/views/decorators/csrf.py", "django/views/generic/base.py")):
            warn(f"{name} is wrapped by a decorator of {file}: the sidecar does not run it.")
        callback = getattr(callback, "__wrapped__", None)


def endpoints():
    """The two views, and the path above them."""
    from django.urls import get_resolver, resolve

    def walk(patterns, prefix):
        for entry in patterns:
            route = re.sub(r"^\^|(\$|\\Z)$", "", str(entry.pattern)).replace("\\-", "-").replace("\\.", ".")
            if hasattr(entry, "url_patterns"):
                yield from walk(entry.url_patterns, prefix + route)
            else:
                yield prefix + route

    script = (settings.FORCE_SCRIPT_NAME or "").rstrip("/")
    callbacks, mounts = {}, set()
    for path in walk(get_resolver().url_patterns, ""):
        found = re.fullmatch(r"((?:[\w.~-]+/)*)export-(users|stats)/", path, re.ASCII)
        if found and f"export-{found[2]}" not in callbacks:
            callbacks[f"export-{found[2]}"] = resolve("/" + path).func
            mounts.add(f"{script}/{found[1]}".rstrip("/"))
    if len(callbacks) < 2:
        warn("The URL conf has no plain path to export-users/ and export-stats/: SIDECAR_MOUNT is the default.")
        return callbacks, "/api/admin"
    if len(mounts) > 1:
        refuse(f"The two views live under different paths: {', '.join(sorted(mounts))}.")
    return callbacks, mounts.pop()


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
    headers += [name for name in ("security.Security", "clickjacking.XFrameOptions")
                if f"django.middleware.{name}Middleware" not in middleware]
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
    if "django.middleware.common.CommonMiddleware" not in middleware:
        warn("MIDDLEWARE lacks CommonMiddleware: the sidecar answers 400 for a host that is not allowed.")
    elif settings.PREPEND_WWW or settings.DISALLOWED_USER_AGENTS:
        warn("PREPEND_WWW and DISALLOWED_USER_AGENTS are not applied.")
    locale = "django.middleware.locale.LocaleMiddleware" in middleware
    if locale or (settings.USE_I18N and not settings.LANGUAGE_CODE.lower().startswith("en")):
        warn("LocaleMiddleware or LANGUAGE_CODE: the sidecar's refusals are in English; statuses are the same.")
    others = [name for name in middleware if not KNOWN_MIDDLEWARE.fullmatch(name)]
    if others:
        warn(f"MIDDLEWARE has {', '.join(others)}: the sidecar does not run them for the two paths.")


# What a login asks for

# Words in the names of apps, middleware modules and backends that ask for more than a password.
SECOND_FACTOR = re.compile(
    r"(^|[._])(mfa\d?|2fa|t?otp|two_?factor|multi_?factor|second_?factor|webauthn|passkeys?|u2f|fido2?|duo|deux|kagi|trench)"
    r"(?=$|[._])", re.IGNORECASE)


def authentication(basic):
    """The variables about what a login asks for, also by Basic."""
    from django.apps import apps
    from django.utils.module_loading import import_string

    def takes_password(path):
        """Whether `authenticate()` would pass a password to this backend."""
        try:
            inspect.signature(import_string(path)().authenticate).bind(None, username="", password="")
        except TypeError:
            return False
        return True

    backends, names = list(settings.AUTHENTICATION_BACKENDS), [app.name for app in apps.get_app_configs()]
    for path in backends:
        if not path.startswith("django.contrib.auth.backends."):
            warn(f"AUTHENTICATION_BACKENDS has {path}: Basic and the sidecar's login do not ask for what it needs besides "
                 "the password; `watchtower-sidecar check` says more.")
    # The sidecar knows that these backends take no password. It treats every other one as ModelBackend.
    known = [path for path in backends if re.search(r"RemoteUserBackend$|^(django_cas_ng|sesame)\.", path)]
    if basic and len(known) < len(backends) and not any(map(takes_password, backends)):
        refuse("AUTHENTICATION_BACKENDS has no backend that takes a password: the sidecar would accept stored passwords "
               "by Basic.")
    captchas = [name for name in names if "captcha" in name or "turnstile" in name]
    if captchas:
        warn(f"INSTALLED_APPS has {', '.join(captchas)}: Basic and the sidecar's login ask for no captcha.")
    found = map(SECOND_FACTOR.search, [*names, *settings.MIDDLEWARE, *backends])
    factors = list(dict.fromkeys(match.string[:match.end()] for match in found if match))
    if factors:
        warn(f"The project asks for a second factor ({', '.join(factors)}), which Basic and the sidecar's login do not ask "
             "for: SIDECAR_LOGIN=on is refused beside DJANGO_SECOND_FACTOR.")
    return {"DJANGO_AUTHENTICATION_BACKENDS": json_text(backends),
            "DJANGO_SECOND_FACTOR": json_text(factors) if factors else None}


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


def login_url():
    """LOGIN_URL as a URL. If the project serves nothing there, the admin's login page, if there is one."""
    try:
        url = resolve_url(settings.LOGIN_URL)
        if "://" not in url:
            resolve(urlsplit(url).path)
    except (Resolver404, NoReverseMatch):
        try:
            url = reverse("admin:login")
        except NoReverseMatch:
            url = str(settings.LOGIN_URL)
    # Any other value can't be linked from a page.
    return url if re.fullmatch(r"(https?://(?!/)|/(?!/))[!#-&(-;=?-\[\]_a-z~]*", url) else None


def collect():
    """Every variable, and the suggestions."""
    if not (4, 0) <= django.VERSION[:2] < (7, 0):
        refuse(f"This is Django {django.__version__}: the sidecar knows 4.0 to 6.x.")
    url, read_url = databases()
    secret = keys()
    found = step("ROOT_URLCONF", endpoints)
    callbacks, mount = found or ({}, "/api/admin")
    authenticators = step("REST_FRAMEWORK", rest_framework, callbacks) or ""
    basic = "basic" in authenticators
    variables = {
        **(step("AUTH_USER_MODEL", user_model, basic) or {}),
        **(step("The session settings", sessions, "session" in authenticators) or {}),
        **(step("AUTHENTICATION_BACKENDS", authentication, basic) or {}),
        "DJANGO_REST_AUTHENTICATION": authenticators,
        "DJANGO_ALLOWED_HOSTS": json_text([str(host) for host in settings.ALLOWED_HOSTS]),
        "DJANGO_DEBUG": settings.DEBUG, "DJANGO_USE_TZ": settings.USE_TZ, "DJANGO_TIME_ZONE": settings.TIME_ZONE,
        "DJANGO_APPEND_SLASH":
            settings.APPEND_SLASH and "django.middleware.common.CommonMiddleware" in settings.MIDDLEWARE,
        "DJANGO_LOGIN_URL": step("LOGIN_URL", login_url) if found else None,
        "DJANGO_PBKDF2_ITERATIONS": step("PASSWORD_HASHERS", passwords, basic),
        "SIDECAR_MOUNT": mount,
    }
    if settings.DATABASES["default"].get("DISABLE_SERVER_SIDE_CURSORS"):
        # Projects behind PgBouncer in transaction mode set this.
        variables["SIDECAR_PREPARED_STATEMENTS"] = "off"
    step("The settings", surroundings)
    suggested = dict(SUGGESTIONS)
    if variables.get("DJANGO_SECOND_FACTOR"):
        del suggested["SIDECAR_LOGIN"]
    if getattr(settings, "CORS_ALLOWED_ORIGINS", None):
        suggested["SIDECAR_CORS_ORIGINS"] = json.dumps(list(settings.CORS_ALLOWED_ORIGINS))
    # Required variables come last, so that a truncated file does not start a sidecar.
    variables.update({"DATABASE_URL": url, **secret})
    if "DJANGO_SECRET_KEY" in variables:
        variables["DJANGO_SECRET_KEY"] = variables.pop("DJANGO_SECRET_KEY")
    return variables, suggested, read_url


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
    variables, suggested, read_url = collect()
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
    for text in WARNINGS:
        print(f"warning: {sentence(text)}", file=sys.stderr)
    if REFUSED:
        print("No environment file was written. The sidecar can't honour:", file=sys.stderr)
        for text in dict.fromkeys(REFUSED):
            print(f"  - {sentence(text)}", file=sys.stderr)
        sys.exit(1)
    lines = [HEADER, *(f"# Warning: {sentence(text)}" for text in WARNINGS), ""]
    if directory:
        read_file = keep_in_files(directory, texts, read_url)
        suggested["DATABASE_READ_URL_FILE"] = read_file
    else:
        suggested["DATABASE_READ_URL"] = read_url
    lines += [f"# {name}={quoted(value)}" for name, value in suggested.items() if value]
    lines += [f"{name}={quoted(value) if value else ''}" for name, value in texts.items()]
    output.write("\n".join(lines) + "\n")


main()
