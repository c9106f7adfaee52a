"""Rows that are rarer than those of test_rows.py: more spellings of dates, odd texts, the order, hundreds of users."""

from datetime import datetime, timedelta, timezone

from cases import Cases
from passwords import basic
from wire import EXPORT, STATS, get

cases = Cases()
ASK = get(EXPORT, auth=basic("clerk"))
ASK_STATS = get(STATS, auth=basic("clerk"))
SQLITE = ("sqlite",)


def utc(*parts):
    return datetime(*parts, tzinfo=timezone.utc)


def listed(name, status=200, ask=ASK, databases=(), **columns):
    """A case in which one more user, with these columns, is exported."""

    def build(w):
        w.listed(**columns)
        return ask

    cases.add(name, status, build, databases=databases)


for name, text in {
    "c1_controls": "\x7f\x80\x85\x9f", "noncharacters": "\ufffe\uffff", "a_byte_order_mark": "\ufeff",
    "combining_characters": "e\u0301\u0323", "right_to_left_marks": "\u202eabc\u202c", "zero_width_characters": "\u200b\u200d",
    "markup": "<a href='x'>&amp;</a>", "a_slash": "a/b", "digits": "12345",
}.items():
    listed(f"a_name_of_{name}", first_name=text, last_name=text)
listed("a_name_with_a_nul", first_name="a\0b", databases=("sqlite", "mysql"))
listed("a_user_name_of_quotes", username='"\'\\')
listed("an_e_mail_address_that_is_none", email="not an address")
listed("an_empty_e_mail_address", email="")

for name, moment in {"in_the_year_1000": utc(1000, 1, 1), "in_the_summer": utc(2020, 7, 1, 12), "in_the_far_future": utc(2500, 1, 1)}.items():
    listed(f"a_date_{name}", date_joined=moment)
for name, moment in {"in_the_year_1": utc(1, 1, 1), "in_the_year_33": utc(33, 4, 3, 15), "in_the_year_999": utc(999, 12, 31)}.items():
    listed(f"a_date_{name}", date_joined=moment, databases=("sqlite", "postgres"))
for name, text in {
    "an_offset_without_a_colon": "2020-02-02 03:04:05-0530", "an_offset_of_hours": "2020-02-02 03:04:05+02",
    "a_fraction_of_zeros": "2020-02-02 03:04:05.000000", "one_digit_each": "2022-2-2 3:04:05",
    "a_comma_before_the_fraction": "2020-02-02 03:04:05,5", "a_blank_before_the_offset": "2020-02-02 03:04:05 +02:00",
}.items():
    listed(f"sqlite_text_with_{name}_is_a_date", date_joined=text, databases=SQLITE)
for name, text in {
    "the_25th_hour": "2020-02-02 25:00:00", "year_0": "0000-01-01 00:00:00", "year_10000": "10000-01-01 00:00:00",
    "a_60th_second": "2020-02-02 03:04:60", "no_leap_year": "2021-02-29 00:00:00", "an_offset_of_a_day": "2020-02-02 03:04:05+25:00",
    "blanks_on_both_sides": " 2020-02-02 03:04:05 ",
}.items():
    listed(f"sqlite_text_of_{name}_is_no_date", 500, date_joined=text, databases=SQLITE)
listed("the_last_year_of_postgres_is_no_date", 500, date_joined="294276-12-31 00:00:00+00", databases=("postgres",))

listed("a_movie_flag_of_minus_1", is_movie_user=-1, databases=("sqlite", "mysql"))
listed("an_active_flag_of_2_is_not_active_on_mariadb", is_active=2, databases=("mysql",))
listed("an_id_of_2_to_the_53_and_one", id=2**53 + 1)


@cases(200)
def users_are_ordered_by_the_date_they_joined(w):
    for day in (3, 1, 2, 5, 4):
        w.listed(date_joined=utc(2016, 1, day))
    return ASK


@cases(200, databases=SQLITE)
def ties_keep_the_order_of_the_rows_not_of_their_making(w):
    for number in (3, 1, 2):
        w.listed(date_joined=utc(2016, 1, 1), id=9_000 + number)
    return ASK


@cases(200)
def five_hundred_users_are_exported(w):
    start = utc(2015, 1, 1)
    for number in range(500):
        w.listed(encoded="!", date_joined=start + timedelta(seconds=number), first_name=f"Näme {number}", is_movie_user=number % 3 == 0)
    return ASK


@cases(200)
def five_hundred_users_are_exported_with_an_indent(w):
    start = utc(2015, 1, 1)
    for number in range(500):
        w.listed(encoded="!", date_joined=start + timedelta(seconds=number))
    return get(EXPORT, ("Accept", "application/json; indent=1"), auth=basic("clerk"))


@cases(200)
def inactive_users_are_not_exported(w):
    w.listed(is_active=False)
    return ASK


@cases(200)
def the_statistics_count_each_service_of_active_users(w):
    w.listed(is_movie_user=True)
    w.listed(is_movie_user=True, is_tv_user=False)
    w.listed(is_active=False, is_movie_user=True)
    return ASK_STATS


test_answers = cases.test()
