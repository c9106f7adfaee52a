"""Columns that are not as Django's own migrations make them: other types, collations and character sets, computed ones,
ones that the model has taken away, unsigned keys."""

from dataclasses import replace

from differential.cases import Cases, Variant
from differential.differences import BROKEN_HASH
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
MYSQL, POSTGRES, SQLITE = ("mysql",), ("postgres",), ("sqlite",)
SINCE_5 = ("5.2", "6.1")


def named(name, databases, text, *prepare, **more):
    return Variant(name, model={"text": text, "prepare": list(prepare), **more}), {"databases": databases}


# The column's type and collation decide whose name it is.
CITEXT = named("citext", POSTGRES, {"type": "citext"}, "CREATE EXTENSION citext")
DOMAIN = named("citext-domain", POSTGRES, {"type": "login_name"}, "CREATE EXTENSION citext", "CREATE DOMAIN login_name AS citext")
NONDETERMINISTIC = named(
    "nondeterministic", POSTGRES, {"collation": "caseless"},
    "CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
)
NOCASE = named("nocase", SQLITE, {"collation": "NOCASE"})
for variant, where in (CITEXT, DOMAIN, NONDETERMINISTIC, NOCASE):
    where = where | {"variant": variant}
    name = variant.name.replace("-", "_")
    cases.add(f"in_a_{name}_column_upper_case_is_the_same_user", 200, get(EXPORT, auth=basic("CLERK")), **where)
    cases.add(f"in_a_{name}_column_another_name_is_another_user", 403, get(auth=basic("clerks")), **where)

# A text outside a column's character set is no user's name. The database refuses Django's query.
NO_SUCH_USER = replace(BROKEN_HASH, why="a name outside of the column's character set is no such user")
for charset, collation, outside in (("latin1", "latin1_swedish_ci", "łukasz"), ("utf8mb3", "utf8mb3_general_ci", "𝒳-ray")):
    variant, where = named(charset, MYSQL, {"collation": collation}, ascii_names=True)
    where |= {"variant": variant}
    cases.add(f"a_name_outside_of_{charset}_is_no_such_user", 500, get(auth=basic(outside)), NO_SUCH_USER, **where)
    cases.add(f"a_name_inside_of_{charset}_is_compared_by_its_collation", 200, get(EXPORT, auth=basic("CLÉRK")), **where)

# A column that the database computes.
cases.add(
    "a_service_may_be_computed_by_the_database", 200, get(EXPORT, auth=basic("clerk")), versions=SINCE_5,
    variant=Variant("generated-tv", model={"generated": ["is_tv_user"]}),
)
GENERATED = Variant("generated", model={"generated": ["is_movie_user", "is_tv_user"]})
for target in (EXPORT, STATS):
    cases.add(f"both_services_may_be_computed_{target}", 200, get(target, auth=basic("clerk")), versions=SINCE_5, variant=GENERATED)

# Fields that the model has set to None.
NO_NAMES = Variant("no-names", model={"none": ["first_name", "last_name"]})
BY_EMAIL = Variant("no-user-names", model={"none": ["username", "first_name", "last_name"], "username_field": "email"})
NO_EMAIL = Variant("no-addresses", model={"none": ["email"]})
# With DEBUG the answer lists the fields that there are.
NO_DATE = Variant(
    "no-dates", model={"none": ["date_joined", "last_name"]}, settings={"DEBUG": True},
    sidecar={"DJANGO_USER_FIELDS_NONE": '["last_name"]'},
)
cases.add("names_that_the_model_has_set_to_none_are_null", 200, get(EXPORT, auth=basic("clerk")), variant=NO_NAMES)
cases.add("an_address_that_the_model_has_set_to_none_is_null", 200, get(EXPORT, auth=basic("clerk")), variant=NO_EMAIL)
for target in (EXPORT, STATS):
    cases.add(f"without_user_names_the_address_gets_in_{target}", 200, get(target, auth=basic("clerk@example.com")), variant=BY_EMAIL)
    cases.add(f"without_user_names_a_session_gets_in_{target}", 200, lambda w, target=target: get(target, cookie=w.staff_cookie), variant=BY_EMAIL)
cases.add("without_a_username_column_a_username_is_refused", 403, get(auth=basic("clerk")), variant=BY_EMAIL)
# The statistics see that there is such an attribute, and filter by it.
NO_MOVIES = Variant("movies-are-none", model={"fields": ["is_tv_user"], "none": ["is_movie_user"]}, settings={"DEBUG": True})
cases.add("movies_that_the_model_has_set_to_none_are_null", 200, get(EXPORT, auth=basic("clerk")), variant=NO_MOVIES)
cases.add("statistics_of_movies_that_are_none_fail", 500, get(STATS, auth=basic("clerk")), variant=NO_MOVIES)
cases.add("an_export_without_dates_fails", 500, get(EXPORT, auth=basic("clerk")), variant=NO_DATE)
cases.add("statistics_without_dates_do_not", 200, get(STATS, auth=basic("clerk")), variant=NO_DATE)

# Keys that only an unsigned column has.
UNSIGNED = Variant("unsigned-keys", model={"key": "unsigned"})
BIG = 2**64 - 1


@cases(200, databases=MYSQL, variant=UNSIGNED)
def an_unsigned_key_is_found_by_a_session(w):
    return get(EXPORT, cookie=w.cookie(w.listed(id=BIG, is_staff=True)))


@cases(200, databases=MYSQL, variant=UNSIGNED)
def an_unsigned_key_is_found_by_its_name(w):
    w.listed(id=2**63, username="unsigned", is_staff=True)
    return get(EXPORT, auth=basic("unsigned"))


test_answers = cases.test()
