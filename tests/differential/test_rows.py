"""The export and the statistics over rows of every kind: texts, dates, booleans, keys, and what can't be shown."""

from differential.cases import Cases, Variant
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
DEBUGGING = Variant("debug", settings={"DEBUG": True})
STAFF = basic("clerk")
SERVERS = ("postgres", "mysql")
# Before 6.1, SQLite's test of a boolean is truthiness; a row that differs only there is not the newest's.
TRUTHY = ("4.0", "4.2", "5.2")

cases.add("the_seeded_users_are_exported", 200, get(EXPORT, auth=STAFF))
cases.add("the_seeded_users_are_counted", 200, get(STATS, auth=STAFF))
for indent in (1, 2, 3, 4, 8):
    headers = ("Accept", f"application/json; indent={indent}")
    cases.add(f"the_export_is_indented_by_{indent}", 200, get(EXPORT, headers, auth=STAFF))
    cases.add(f"the_statistics_are_indented_by_{indent}", 200, get(STATS, headers, auth=STAFF))


def without_tv_users(w):
    w.execute("UPDATE auth_user SET is_active = false WHERE is_tv_user")
    w.finally_execute("UPDATE auth_user SET is_active = true WHERE is_tv_user AND username <> 'tv-inactive'")


@cases(200)
def an_export_of_no_users(w):
    without_tv_users(w)
    return get(EXPORT, auth=STAFF)


@cases(200)
def an_indented_export_of_no_users(w):
    without_tv_users(w)
    return get(EXPORT, ("Accept", "application/json; indent=4"), auth=STAFF)


@cases(200)
def statistics_of_no_users(w):
    without_tv_users(w)
    return get(STATS, auth=STAFF)


def row(name, status=200, request=EXPORT, **columns):
    """A case over one more exported user with these columns."""
    how = {key: columns.pop(key) for key in ("databases", "versions", "older_text", "variant", "prepare") if key in columns}
    prepare = how.pop("prepare", None)

    def build(w):
        if prepare:
            w.execute(prepare)
        w.listed(**columns)
        return get(request, auth=STAFF)

    cases.add(name, status, build, **how)


TEXTS = {
    "every_printable_ascii_character": "".join(map(chr, range(0x20, 0x7F))),
    "every_control_character_but_nul": "".join(map(chr, range(1, 0x20))) + "\x7f",
    "latin_1": "".join(map(chr, range(0x80, 0x100))),
    "the_ends_of_the_planes": "\ud7ff\ue000\ufffd\uffff\U00010000\U0010ffff",
    "line_separators_side_by_side": "\u2027\u2028\u2029\u202a",
    "an_emoji_family": "👩‍👩‍👧‍👦",
    "the_full_width_of_the_column": "ü" * 150,
    "what_looks_like_json": '{"a": [1, null]}\\u0041',
    "nothing": "",
    "blanks": "   ",
}
for name, text in TEXTS.items():
    row(f"a_name_of_{name}", first_name=text, last_name=text)
row("a_null_in_a_column_that_was_made_nullable", databases=("postgres",), prepare="ALTER TABLE auth_user ALTER email DROP NOT NULL", email=None)

DATES = {
    "the_first_second": "0001-01-01 00:00:00",
    "the_last_microsecond": "9999-12-31 23:59:59.999999",
    "one_microsecond": "2020-02-01 00:00:00.000001",
    "a_tenth_of_a_second": "2020-01-01 00:00:00.1",
    "a_leap_day": "2024-02-29 12:00:00",
    "before_1970": "1969-12-31 23:59:59.999999",
    "before_1900": "1850-06-01 12:00:00",
    "a_century_without_leap_day": "1900-03-01 00:00:00",
}
for name, text in DATES.items():
    row(f"a_date_of_{name}", date_joined=text, databases=("sqlite",))
    if not text.startswith("0001"):
        row(f"a_date_of_{name}_on_a_server", date_joined=text, databases=SERVERS)


# PostgreSQL leaves the order of equal dates open, and the two copies need not lie on disk alike.
@cases(200, databases=("sqlite", "mysql"))
def users_who_joined_at_the_same_time(w):
    for _ in range(12):
        w.listed(date_joined="2020-05-05 05:05:05")
    return get(EXPORT, auth=STAFF)


SPELLINGS = {
    "a_date_alone": "2020-03-04",
    "a_t_between": "2020-03-04T05:06:07",
    "no_seconds": "2020-03-04 05:06",
    "one_digit_of_fraction": "2020-03-04 05:06:07.5",
    "three_digits_of_fraction": "2020-03-04 05:06:07.123",
    "nine_digits_of_fraction": "2020-03-04 05:06:07.123456789",
    "a_z": "2020-03-04 05:06:07Z",
    "an_offset": "2020-03-04 05:06:07+02:00",
    "an_offset_of_minutes": "2020-03-04 05:06:07-09:30",
}
for name, text in SPELLINGS.items():
    row(f"sqlite_text_with_{name}_is_a_date", date_joined=text, databases=("sqlite",))
UNREADABLE = {
    "words": "last tuesday",
    "the_empty_text": "",
    "the_30th_of_february": "2020-02-30 00:00:00",
    "a_month_of_13": "2020-13-01 00:00:00",
    "an_hour_of_24": "2020-01-01 24:30:00",
    "a_number": 1577836800,
    "a_fraction": 2458849.5,
    "blanks_in_front": "  2020-01-01 00:00:00",
}
for name, value in UNREADABLE.items():
    row(f"sqlite_text_of_{name}_is_no_date", 500, date_joined=value, databases=("sqlite",))
    row(f"with_debug_{name}_for_a_date_is_explained", 500, date_joined=value, databases=("sqlite",), variant=DEBUGGING)
row("a_broken_date_does_not_trouble_the_statistics", request=STATS, date_joined="x", databases=("sqlite",))

for name, text in {"infinity": "infinity", "minus_infinity": "-infinity"}.items():
    row(f"postgres_{name}_is_an_end_of_time", date_joined=text, databases=("postgres",))
for name, text in {"a_year_before_christ": "0044-03-15 12:00:00 BC", "the_year_10000": "10000-01-01 00:00:00+00"}.items():
    row(f"postgres_{name}_is_no_date", 500, date_joined=text, databases=("postgres",))
    row(f"with_debug_postgres_{name}_is_explained", 500, date_joined=text, databases=("postgres",), variant=DEBUGGING)
row("mysqls_zero_date_is_no_date", 500, date_joined="0000-00-00 00:00:00", databases=("mysql",), prepare="SET sql_mode = ''")
row("with_debug_mysqls_zero_date_is_explained", 500, date_joined="0000-00-00 00:00:00", databases=("mysql",), prepare="SET sql_mode = ''", variant=DEBUGGING)
INVALID = {"date_joined": "2020-02-30 00:00:00", "databases": ("mysql",), "prepare": "SET sql_mode = 'ALLOW_INVALID_DATES'"}
row("a_day_that_its_month_has_not_is_no_date", 500, **INVALID)
row("with_debug_a_day_that_its_month_has_not_is_explained", 500, **INVALID, variant=DEBUGGING)
NULLABLE = {
    "postgres": "ALTER TABLE auth_user ALTER date_joined DROP NOT NULL",
    "mysql": "ALTER TABLE auth_user MODIFY date_joined datetime(6) NULL",
}
for database, prepare in NULLABLE.items():
    row(f"a_null_for_a_date_is_no_date_on_{database}", 500, date_joined=None, databases=(database,), prepare=prepare)
    row(f"with_debug_a_null_for_a_date_is_explained_on_{database}", 500, date_joined=None, databases=(database,), prepare=prepare, variant=DEBUGGING)
    row(f"a_null_for_a_date_does_not_trouble_the_statistics_on_{database}", request=STATS, date_joined=None, databases=(database,), prepare=prepare)

row("sqlites_7_for_is_tv_user_is_not_true", is_tv_user=7, databases=("sqlite",), older_text=TRUTHY)
row("sqlites_7_for_is_movie_user_shows_as_false", is_movie_user=7, databases=("sqlite",))
row("sqlites_7_for_is_movie_user_is_not_counted", request=STATS, is_movie_user=7, databases=("sqlite",), older_text=TRUTHY)
row("sqlites_number_in_a_text_column_is_text", first_name=12, last_name=1.5, databases=("sqlite",))
row("sqlites_blob_in_a_text_column_is_decoded", first_name=b"abc \xc3\xa9", databases=("sqlite",))
row("sqlites_blob_that_is_no_utf_8_cant_be_rendered", 500, first_name=b"abc\xff", databases=("sqlite",), older_text=("4.0",))


def no_utf_8(w):
    user = w.listed()
    w.execute("UPDATE auth_user SET last_name = CAST(x'61ff62' AS TEXT) WHERE id = ?", [user.id])
    return get(EXPORT, auth=STAFF)


cases.add("sqlites_text_that_is_no_utf_8_cant_be_read", 500, no_utf_8, databases=("sqlite",))


row("mysqls_7_for_is_movie_user_shows_as_7", is_movie_user=7, databases=("mysql",))
row("mysqls_7_for_is_tv_user_is_not_true", is_tv_user=7, databases=("mysql",))
row("mysqls_7_for_is_movie_user_is_not_counted", request=STATS, is_movie_user=7, databases=("mysql",))

row("a_key_of_zero_is_a_number", id=0, databases=("sqlite", "postgres"))
row("a_negative_key_is_a_number", id=-5)
row("a_key_of_64_bits_is_a_number", id=2**63 - 1)


test_answers = cases.test()
