"""Made-up users: deterministic, every date_joined distinct and in no order that the ids have; and the two who call.

63 % are exportable, as 90 % are active and 70 % watch TV.
"""

import base64
import random
from datetime import datetime, timedelta, timezone

SEED = 724
ADMIN, PLAIN = "bench-admin", "bench-plain"
COLUMNS = (
    "id", "password", "last_login", "is_superuser", "username", "first_name", "last_name", "email", "is_staff",
    "is_active", "date_joined", "is_tv_user", "is_movie_user",
)
IS_ACTIVE, IS_TV_USER = COLUMNS.index("is_active"), COLUMNS.index("is_tv_user")

FIRST_NAMES = (
    "Adam Alice Anna Benjamin Bernard Carla Charlotte Daniel David Elena Emma Felix Frank Gabriel Grace Hannah Henry "
    "Ida Isabel Jack Julia Katarzyna Kevin Laura Liam Marco Maria Nina Noah Oliver Paula Peter Quentin Rosa Samuel "
    "Sofia Thomas Ursula Victor William Xenia Yuki Zoe Björn Chloé Jürgen Łukasz Søren 太郎 Мария علي D'Arcy Jean-Luc"
).split()
LAST_NAMES = (
    "Adams Andersson Bauer Brown Clark Cooper Davis Evans Fischer Fontana Garcia Green Hughes Ivanov Jansen Johansson "
    "Keller Kowalski Lambert Lewis Martin Meyer Nguyen Novak Olsen Parker Quinn Rossi Silva Smith Tanaka Taylor Vogel "
    "Wagner Walker Xu Young Zimmermann Çelik Dvořák Lindström Müller Petrović Weiß 山田 Смирнова محمد O'Neil Smith-Jones"
).split() + ["van der Berg", "de la Cruz", 'Williams "Bill" Young']
HOSTS = ("example.com", "example.org", "mail.example.net", "post.example.de")

# The dates lie within ten years; a slot of equal length for each user keeps them apart.
FIRST_DAY = datetime(2015, 1, 1)
SPAN_MICROSECONDS = 10 * 365 * 86_400 * 1_000_000


def encoded(rng):
    """A password column as long as Django's; its password is unknown."""
    salt = base64.b64encode(rng.randbytes(17), b"ab").decode().rstrip("=")[:22]
    return f"pbkdf2_sha256$1000000${salt}${base64.b64encode(rng.randbytes(32)).decode()}"


def user_rows(total):
    """`total` rows of COLUMNS, dates as naive UTC; the first two are the callers, who are not exportable."""
    rng = random.Random(SEED)
    slots = list(range(total))
    rng.shuffle(slots)
    width = SPAN_MICROSECONDS // total
    for key, slot in enumerate(slots, start=1):
        joined = slot * width + rng.randrange(width)
        if rng.random() < 0.02 and width > 2_000_000:
            # A whole second, which Django prints without a fraction; the next one is still within the slot.
            joined = slot * width + 999_999
            joined -= joined % 1_000_000
        joined = FIRST_DAY + timedelta(microseconds=joined)
        login = joined + timedelta(seconds=rng.randrange(50_000_000)) if rng.random() < 0.7 else None
        first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
        name = f"{first}.{last}.{key}".lower().replace(" ", "_").replace('"', "")
        address = f"{name.encode('ascii', 'ignore').decode().replace('..', '.').lstrip('.')}@{rng.choice(HOSTS)}"
        is_active, is_tv, is_movie = rng.random() < 0.9, rng.random() < 0.7, rng.random() < 0.4
        is_staff = False
        if key <= 2:
            name, is_staff, is_active, is_tv = (ADMIN, PLAIN)[key - 1], key == 1, True, False
        yield (
            key, encoded(rng), login, False, name, first, last, address, is_staff, is_active, joined, is_tv, is_movie
        )


def batches(rows, size):
    """The rows in lists of that size."""
    batch = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def in_two_weeks():
    """When a fresh session expires, as naive UTC."""
    return (datetime.now(timezone.utc) + timedelta(days=14)).replace(tzinfo=None)
