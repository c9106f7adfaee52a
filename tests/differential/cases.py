"""A case: a sentence, a function that inserts its rows and returns its request, and the status of Django's answer.

    cases = Cases()

    @cases(403)
    def an_expired_session_is_anonymous(w):
        return get(cookie=w.cookie(w.clerk, expires_in=-1))

    test_answers = cases.test()

The rows go into both databases, the request to both servers. Unless the case names a difference, both must give the same
answer and change the same rows. Afterwards the case's rows are deleted, so that no case sees another's.
"""

import secrets
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pytest

from differential import compare
from differential.databases import changes
from differential.differences import AS_DJANGO, nothing
from support import django_sessions
from support.passwords import PASSWORD, pbkdf2
from support.servers import Variant
from support.wire import ask

DEFAULT = Variant("default")
FIRST_ID = 10_000


@dataclass
class User:
    id: object
    username: str
    password: str
    password_column: str


@dataclass(repr=False)
class Case:
    name: str
    build: object
    status: dict
    differs: object = AS_DJANGO
    variant: Variant = DEFAULT
    # The Django versions and databases on which the case makes sense; empty: all.
    versions: tuple = ()
    databases: tuple = ()
    # Versions before the newest whose Django answers this status instead; the sidecar follows the newest.
    older: dict = field(default_factory=dict)
    # Versions whose Django differs in headers or body alone.
    older_text: tuple = ()
    compare_body: bool = True

    def __repr__(self):
        return self.name


class Cases:
    """The cases of one file, in order."""

    def __init__(self, **common):
        self.common = common
        self.cases = []

    def __call__(self, status, differs=AS_DJANGO, **more):
        """A decorator that makes a case of a function."""

        def register(build):
            self.add(build.__name__, status, build, differs, **more)
            return build

        return register

    def add(self, name, status, build, differs=AS_DJANGO, **more):
        """One case; `build` may be a request instead of a function that makes one."""
        if not isinstance(status, dict):
            status = {"*": status}
        make = build if callable(build) else lambda w: build
        assert name not in [case.name for case in self.cases], f"two cases named {name}"
        self.cases.append(Case(name.replace(" ", "_"), make, status, differs, **(self.common | more)))

    def test(self):
        @pytest.mark.parametrize("case", self.cases, ids=[case.name for case in self.cases])
        def test_case(case, bench):
            bench.check(case)

        return test_case


class Scenario:
    """What a case's function gets: it inserts rows into both copies, makes cookies, and knows the seeded callers."""

    def __init__(self, pair, database, django):
        self.pair = pair
        self.database = database
        self.django = django
        self.databases = pair.databases
        self.variant = pair.variant
        self.made = []
        self.after = []
        key = self.variant.model.get("key", "big")
        self.key_of = (lambda n: uuid.UUID(int=n)) if key == "uuid" else (lambda n: n)
        self.admin, self.clerk, self.root, self.plain, self.retired = (
            self.seeded(number, name)
            for number, name in enumerate(("admin", "clerk", "root", "plain", "retired"), start=1)
        )

    def seeded(self, number, username):
        database = self.databases[0]
        by = self.variant.model.get("username_field", "username")
        name = username if by == "username" else f"{username}@example.com"
        column = database.execute(f"SELECT password FROM {database.quoted(self.variant.table)} WHERE {by} = ?", [name])
        return User(self.key_of(number), username, PASSWORD, column[0][0])

    def stored_id(self, key):
        """A key as the database's driver takes it."""
        if not isinstance(key, uuid.UUID):
            return key
        return str(key) if self.database == "postgres" else key.hex

    def user(self, username=None, password=PASSWORD, encoded=None, **columns):
        """Inserts a user: by default staff, active and not exported."""
        number = FIRST_ID + len(self.made)
        username = f"case-{number}" if username is None else username
        encoded = pbkdf2(password) if encoded is None else encoded
        row = {
            "id": self.stored_id(self.key_of(number)),
            "password": encoded,
            "last_login": None,
            "is_superuser": False,
            "username": username,
            "first_name": "Casey",
            "last_name": "Case",
            "email": f"case-{number}@example.com",
            "is_staff": True,
            "is_active": True,
            "date_joined": datetime(2022, 2, 2, tzinfo=timezone.utc),
        }
        model = self.variant.model
        row |= {name: False for name in model.get("fields", ["is_tv_user", "is_movie_user"])}
        row |= columns
        for name in model.get("none", []) + model.get("generated", []):
            row.pop(name, None)
        for database in self.databases:
            database.insert(self.variant.table, row)
        self.made.append(row["id"])
        return User(self.key_of(number) if "id" not in columns else columns["id"], username, password, encoded)

    def listed(self, **columns):
        """Inserts a user whom the export lists."""
        return self.user(**({"is_tv_user": True, "is_staff": False} | columns))

    def session(self, user=None, data=None, session_data=None, session_key=None, expires_in=3600, key=None, **how):
        """A session row; its session key. `data` overrides entries of the payload, or is the payload; `session_data` the column."""
        session_key = secrets.token_hex(16) if session_key is None else session_key
        if session_data is None:
            key = key or self.variant.settings.get("SECRET_KEY", django_sessions.SECRET_KEY)
            if user is not None:
                hashed = {"_auth_user_hash": django_sessions.auth_hash(user.password_column, how.pop("hash_key", key))}
                data = django_sessions.login_data(user.id, user.password_column, **(hashed | (data or {})))
            session_data = django_sessions.session_data(data, key, **how)
        expire_date = datetime.now(timezone.utc) + timedelta(seconds=expires_in)
        row = {"session_key": session_key, "session_data": session_data, "expire_date": expire_date}
        for database in self.databases:
            database.insert("django_session", row)
        return session_key

    def cookie(self, user=None, **how):
        """The Cookie header of a session made by `session`."""
        return f"{self.variant.settings.get('SESSION_COOKIE_NAME', 'sessionid')}={self.session(user, **how)}"

    def token(self, user, key):
        """A row of DRF's authtoken."""
        row = {"key": key, "created": datetime.now(timezone.utc), "user_id": self.stored_id(user.id)}
        for database in self.databases:
            database.insert("authtoken_token", row)

    @property
    def staff_cookie(self):
        return self.cookie(self.clerk)

    def execute(self, statement, values=()):
        """A statement on both copies."""
        for database in self.databases:
            database.execute(statement, values)

    def finally_execute(self, statement, values=()):
        """A statement on both copies after the case."""
        self.after.append((statement, values))

    def session_row(self, key):
        """(session_data, expire_date) of a session in the (first) copy; None if there is none."""
        database = self.databases[0]
        rows = database.execute("SELECT session_data, expire_date FROM django_session WHERE session_key = ?", [key])
        return rows[0] if rows else None

    def session_data_of(self, key):
        return django_sessions.decoded(self.session_row(key)[0])

    def changes_since(self, before):
        """What changed in the (first) copy since `before`, an earlier `rows()` of it."""
        return changes(before, self.databases[0].rows())

    def clear(self):
        for statement, values in self.after:
            self.execute(statement, values)
        for database in self.databases:
            database.execute("DELETE FROM django_session")
            if self.variant.model.get("tokens"):
                database.execute("DELETE FROM authtoken_token")
            for key in self.made:
                database.execute(f"DELETE FROM {database.quoted(self.variant.table)} WHERE id = ?", [key])


class Pair:
    """The two servers of a variant, each on its own copy of the database."""

    def __init__(self, variant, databases, django, sidecar):
        self.variant = variant
        self.databases = databases[:1] if variant.shared else databases
        self.django = django
        self.sidecar = sidecar

    def ask_django(self, request):
        return self.asked(self.django, self.databases[0], request)

    def ask_sidecar(self, request):
        return self.asked(self.sidecar, self.databases[-1], request)

    @staticmethod
    def asked(server, database, request):
        """The answer, and what the request changed in the server's database."""
        before = database.rows()
        answer = ask(server.port, request)
        return answer, changes(before, database.rows())


def run(case, pair, database, django):
    """Inserts the case's rows, sends its request to both servers, and compares."""
    scenario = Scenario(pair, database, django)
    try:
        request = case.build(scenario)
        answer, changed = pair.ask_django(request)
        differs = AS_DJANGO if django in case.older_text else case.differs
        expected = case.older.get(django, case.status.get(database, case.status.get("*")))
        assert answer.status == expected, f"Django answered {answer.status}: {answer.body[:300]!r}"
        if django not in case.older:
            assert (differs.django_changes or nothing)(changed), f"Django changed {changed}"
        if pair.sidecar is None:
            return
        own, own_changed = pair.ask_sidecar(request)
        assert nothing(own_changed), f"the sidecar changed {own_changed}"
        if django in case.older:
            expected = differs.sidecar_status or case.status.get(database, case.status.get("*"))
            assert own.status == expected, f"sidecar {own.status}, expected {expected} as the newest Django"
        elif django in case.older_text:
            assert own.status == answer.status, f"Django {answer.status}, sidecar {own.status}"
        else:
            found = compare.differences(answer, own, differs, case.compare_body)
            assert not found, "\n".join([case.name, *found])
    finally:
        scenario.clear()
