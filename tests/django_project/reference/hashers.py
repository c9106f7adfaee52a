"""Django's own hashers at a low cost, so that a test of many logins is a matter of seconds.

ORACLE_HASHERS=django keeps Django's costs. The formats and the checks are Django's in both cases; so is the upgrade of a
stored hash whose cost is not the hasher's.
"""

import os

from django.contrib.auth import hashers

DJANGO_COSTS = os.environ.get("ORACLE_HASHERS") == "django"
ITERATIONS = 1000


class PBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    iterations = hashers.PBKDF2PasswordHasher.iterations if DJANGO_COSTS else ITERATIONS


class PBKDF2SHA1PasswordHasher(hashers.PBKDF2SHA1PasswordHasher):
    iterations = hashers.PBKDF2SHA1PasswordHasher.iterations if DJANGO_COSTS else ITERATIONS


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    time_cost, memory_cost, parallelism = (2, 102400, 8) if DJANGO_COSTS else (1, 64, 1)


class BCryptSHA256PasswordHasher(hashers.BCryptSHA256PasswordHasher):
    rounds = 12 if DJANGO_COSTS else 4


class BCryptPasswordHasher(hashers.BCryptPasswordHasher):
    rounds = 12 if DJANGO_COSTS else 4


class ScryptPasswordHasher(hashers.ScryptPasswordHasher):
    work_factor = hashers.ScryptPasswordHasher.work_factor if DJANGO_COSTS else 16
