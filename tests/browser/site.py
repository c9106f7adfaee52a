"""The database under the page: two callers, and users whose names try to break out of HTML, of CSV and of a table."""

import sqlite3

from support import passwords
from support.environments import REPOSITORY

PASSWORD = "correct horse"
# Names that would break a page or a table.
HOSTILE = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "=1+1", "a%b_c", "\u202eright", "\U0001f600"]


def fill(path):
    database = sqlite3.connect(path)
    database.executescript((REPOSITORY / "schema" / "sqlite.sql").read_text())
    people = [("admin", 1, 0, 0, "2020-01-01"), ("clerk", 0, 0, 0, "2020-01-01")]
    people += [
        (name, 0, 1, number % 2, f"{2021 + number // 12}-{number % 12 + 1:02}-03")
        for number, name in enumerate([*HOSTILE, "x" * 150, *(f"user{n:02}" for n in range(43))])
    ]
    database.executemany(
        "INSERT INTO auth_user (username, is_staff, is_tv_user, is_movie_user, date_joined, password, is_superuser, "
        "first_name, last_name, email, is_active) VALUES (?, ?, ?, ?, ?, ?, 0, ?, 'Last', ?, 1)",
        [
            (name, staff, tv, movie, f"{day} 10:00:00", passwords.pbkdf2(PASSWORD, iterations=1), name[:30], f"{number}@example.com")
            for number, (name, staff, tv, movie, day) in enumerate(people)
        ],
    )
    database.commit()
    database.close()
