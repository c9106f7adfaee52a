"""Stored passwords: every hasher, the upgrade that Django makes and the sidecar does not, malformed text."""

from differential.cases import Cases, Variant
from differential.differences import BROKEN_HASH, CAPPED_HASH, NO_REHASH
from support.passwords import PASSWORD, SALT, argon2, basic, bcrypt, bcrypt_sha256, pbkdf2, scrypt
from support.wire import get

cases = Cases()


def stored(name, status, encoded, password=PASSWORD, differs=None, **more):
    """A case of a Basic request by a user whose password column is `encoded`."""
    if differs:
        more["differs"] = differs

    def build(w):
        user = w.user(encoded=encoded() if callable(encoded) else encoded)
        return get(auth=basic(user.username, password))

    cases.add(name, status, build, **more)


GOOD = {
    "pbkdf2_sha256_at_another_count": lambda: pbkdf2(iterations=999),
    "pbkdf2_sha256_at_a_higher_count": lambda: pbkdf2(iterations=2000),
    "pbkdf2_sha256_at_one_iteration": lambda: pbkdf2(iterations=1),
    "pbkdf2_sha256_with_a_short_salt": lambda: pbkdf2(salt="abc"),
    "pbkdf2_sha256_with_a_salt_beyond_ascii": lambda: pbkdf2(salt="säl☃"),
    "pbkdf2_sha256_with_a_salt_of_blanks": lambda: pbkdf2(salt="a b"),
    "pbkdf2_sha1": lambda: pbkdf2(digest="sha1"),
    "argon2id": argon2,
    "argon2i": lambda: argon2(kind="I"),
    "argon2d": lambda: argon2(kind="D"),
    "argon2id_with_two_lanes": lambda: argon2(lanes=2),
    "argon2id_with_more_time": lambda: argon2(time=3, memory=128),
    "bcrypt_sha256": bcrypt_sha256,
    "bcrypt_sha256_of_prefix_2a": lambda: bcrypt_sha256(prefix=b"2a"),
    "bcrypt_sha256_of_more_rounds": lambda: bcrypt_sha256(rounds=5),
    "bcrypt": bcrypt,
    "bcrypt_of_prefix_2a": lambda: bcrypt(prefix=b"2a"),
    "scrypt": scrypt,
    "scrypt_with_p_5": lambda: scrypt(p=5),
    "scrypt_with_n_1024": lambda: scrypt(n=1024),
}
for name, encoded in GOOD.items():
    stored(f"{name}_verifies_and_is_not_rehashed", 200, encoded, differs=NO_REHASH)
    stored(f"{name}_refuses_a_wrong_password", 403, encoded, password="wrong")
stored("pbkdf2_sha256_at_the_current_count_verifies", 200, lambda: pbkdf2())
stored("pbkdf2_sha256_with_a_longer_salt_verifies", 200, lambda: pbkdf2(salt=SALT * 2))
stored("an_empty_password_against_pbkdf2_is_a_wrong_one", 403, lambda: pbkdf2(), password="")


@cases(403, NO_REHASH)
def an_inactive_user_is_refused_although_django_upgrades_the_hash(w):
    user = w.user(encoded=pbkdf2(iterations=5), is_active=False)
    return get(auth=basic(user.username))


@cases(403, NO_REHASH)
def a_user_who_is_not_staff_is_refused_although_django_upgrades_the_hash(w):
    user = w.user(encoded=pbkdf2(iterations=5), is_staff=False)
    return get(auth=basic(user.username))


@cases(405, NO_REHASH)
def a_405_comes_after_the_upgrade(w):
    user = w.user(encoded=pbkdf2(iterations=5))
    return get(auth=basic(user.username), method="POST")


stored("bcrypt_takes_a_password_of_72_bytes", 200, lambda: bcrypt("x" * 72), "x" * 72, NO_REHASH)
stored("bcrypt_trips_over_a_password_of_73_bytes", 500, lambda: bcrypt("x" * 72), "x" * 73, BROKEN_HASH)
stored("bcrypt_sha256_takes_a_password_of_any_length", 200, lambda: bcrypt_sha256("x" * 200), "x" * 200, NO_REHASH)
stored("bcrypt_takes_utf_8", 200, lambda: bcrypt("pässwörd☃"), "pässwörd☃", NO_REHASH)
stored("argon2_takes_utf_8", 200, lambda: argon2("pässwörd☃"), "pässwörd☃", NO_REHASH)
stored("scrypt_takes_utf_8", 200, lambda: scrypt("pässwörd☃"), "pässwörd☃", NO_REHASH)
stored("pbkdf2_takes_utf_8", 200, lambda: pbkdf2("pässwörd☃"), "pässwörd☃")

UNUSABLE = {
    "an_exclamation_mark": "!",
    "an_exclamation_mark_and_text": "!" + "x" * 40,
    "an_empty_column": "",
    "plain_text": PASSWORD,
    "thirty_two_hex_digits": "5f4dcc3b5aa765d61d8327deb882cf99",
    "an_unknown_algorithm": "whirlpool$1000$salt$abc",
    "an_algorithm_in_upper_case": pbkdf2().replace("pbkdf2", "PBKDF2"),
    "a_blank_before_the_algorithm": " " + pbkdf2(),
    "md5_without_its_hasher": "md5$salt$0123456789abcdef0123456789abcdef",
    "unsalted_sha1_without_its_hasher": "sha1$$5baa61e4c9b93f3f0682250b6cf8331b7ee68fd8",
    "dollars_alone": "$$$",
    "a_dollar": "$",
    "crypt_without_its_hasher": "crypt$$abcdefghijk",
}
for name, encoded in UNUSABLE.items():
    stored(f"a_stored_password_of_{name}_verifies_nothing", 403, encoded)
stored("an_unusable_password_does_not_equal_itself", 403, "!", password="!")
stored("a_plain_text_column_does_not_equal_the_password", 403, "plain", password="plain")

good = pbkdf2().split("$")
WRONG = {
    "leading_zeros_in_the_iterations": "$".join([good[0], "0" + good[1], *good[2:]]),
    "an_underscore_in_the_iterations": "$".join([good[0], "1_000", *good[2:]]),
    "a_plus_before_the_iterations": "$".join([good[0], "+1000", *good[2:]]),
    "a_blank_before_the_iterations": "$".join([good[0], " 1000", *good[2:]]),
    "no_iterations_at_all": "$".join([good[0], "0", *good[2:]]),
    "missing_padding": pbkdf2().rstrip("="),
    "more_padding": pbkdf2() + "=",
    "url_safe_base64": pbkdf2().replace("+", "-").replace("/", "_") + "_",
    "a_newline_at_the_end": pbkdf2() + "\n",
    "a_further_field": pbkdf2() + "$x",
    "a_dollar_in_front_of_the_hash": "$".join([*good[:3], "", good[3]]),
    "an_empty_hash": "$".join([*good[:3], ""]),
    "another_salt": "$".join([*good[:2], "othersalt", good[3]]),
    "the_algorithm_of_sha1": pbkdf2().replace("sha256", "sha1", 1),
}
for name, encoded in WRONG.items():
    stored(f"pbkdf2_with_{name}_verifies_nothing", 403, encoded)

BROKEN = {
    "the_algorithm_alone": "pbkdf2_sha256",
    "a_dollar_after_the_algorithm": "pbkdf2_sha256$",
    "three_fields": "pbkdf2_sha256$1000$salt",
    "iterations_that_are_no_number": "pbkdf2_sha256$many$salt$abc",
    "iterations_that_are_empty": "pbkdf2_sha256$$salt$abc",
    "a_fraction_of_iterations": "pbkdf2_sha256$1.5$salt$abc",
    "negative_iterations": "pbkdf2_sha256$-1$salt$abc",
    "an_empty_salt": "pbkdf2_sha256$1000$$abc",
    "argon2_of_two_fields": "argon2$x",
    "the_name_argon2_alone": "argon2",
    "bcrypt_that_is_too_short": "bcrypt$$2b$12$short",
    "bcrypt_sha256_that_is_too_short": "bcrypt_sha256$$2b$12$short",
    "scrypt_of_five_fields": "scrypt$16384$salt$8$5",
    "scrypt_with_n_that_is_no_power_of_two": "scrypt$1000$salt$8$1$" + "A" * 86 + "==",
    "scrypt_with_n_that_is_no_number": "scrypt$x$salt$8$1$" + "A" * 86 + "==",
}
for name, encoded in BROKEN.items():
    stored(f"a_stored_password_of_{name}_is_malformed", 500, encoded, differs=BROKEN_HASH)
stored("iterations_beyond_a_c_long_are_malformed", 500, "pbkdf2_sha256$99999999999$salt$abc", differs=CAPPED_HASH)
stored("scrypt_with_an_n_of_0_verifies_nothing", 403, "scrypt$0$salt$8$1$" + "A" * 86 + "==")
stored("argon2_with_missing_parameters_verifies_nothing", 403, "argon2$argon2id$v=19$m=1")


# Django's own costs: what a project that changes nothing has.
OWN_COSTS = Variant("own-costs", oracle={"ORACLE_HASHERS": "django"}, sidecar={"DJANGO_PBKDF2_ITERATIONS": "1000000"})
stored("with_djangos_costs_a_cheap_hash_is_upgraded_by_django_alone", 200, lambda: pbkdf2(), differs=NO_REHASH, variant=OWN_COSTS)
stored("with_djangos_costs_a_wrong_password_is_refused", 403, lambda: pbkdf2(), password="wrong", variant=OWN_COSTS)
cases.add("with_djangos_costs_an_unknown_user_is_refused", 403, get(auth=basic("nobody")), variant=OWN_COSTS)
stored("an_argon2_hash_of_djangos_cost_verifies", 200, lambda: argon2(memory=102400, time=2, lanes=8), differs=NO_REHASH, variant=OWN_COSTS)
stored("a_scrypt_hash_of_djangos_cost_verifies", 200, lambda: scrypt(n=16384, p=5), differs=NO_REHASH, variant=OWN_COSTS)
stored("a_bcrypt_sha256_hash_of_djangos_cost_verifies", 200, lambda: bcrypt_sha256(rounds=12), differs=NO_REHASH, variant=OWN_COSTS)


test_answers = cases.test()
