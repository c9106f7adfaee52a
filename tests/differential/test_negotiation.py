"""Content negotiation: Accept, `?format=`, `indent`, all decided before authentication."""

from differential.cases import Cases
from differential.differences import NO_INDENT, NOT_MODIFIED, OWN_PAGE
from support.passwords import basic
from support.wire import EXPORT, STATS, get

cases = Cases()
CLERK = basic("clerk")

JSON = {
    "anything": "*/*",
    "json": "application/json",
    "any_application": "application/*",
    "a_quality_of_zero": "application/json;q=0",
    "json_of_less_quality_than_html": "application/json;q=0.5, text/html;q=0.9",
    "json_after_an_unknown_type": "application/xml, application/json",
    "json_after_many_unknown_types": "a/b, c/d, e/f, application/json;q=0.1",
    "json_in_upper_case": "APPLICATION/JSON",
    "any_type_of_json": "*/json",
    "a_charset_parameter": "application/json; charset=utf-8",
    "an_unknown_parameter": "application/json; foo=bar",
    "anything_with_a_parameter": "*/*; q=0.1",
    "blanks_around_tokens": "  application/json  ,  text/plain ",
    "an_empty_token_first": ", application/json",
    "an_empty_token_last": "application/json,",
    "anything_after_unknown": "image/png, */*;q=0.1",
    "curls_default_with_json": "application/json, */*",
    "a_level_parameter": "application/json;version=1",
    "a_semicolon_without_a_parameter": "application/json;",
}
for name, accept in JSON.items():
    cases.add(f"accept_of_{name}_gives_json", 200, get(STATS, ("Accept", accept), auth=CLERK))
cases.add("no_accept_gives_json", 200, get(auth=CLERK))
cases.add("two_accept_headers_are_one_list", 200, get(STATS, ("Accept", "image/png"), ("Accept", "application/json"), auth=CLERK))

NOTHING = {
    "xml": "application/xml",
    "plain_text": "text/plain",
    "images": "image/*",
    "an_empty_text": "",
    "blanks": "  ",
    "a_comma": ",",
    "a_star_alone": "*",
    "json_alone": "json",
    "blanks_around_the_slash": "application / json",
    "json_in_quotes": '"application/json"',
    "a_longer_json_type": "application/json-patch",
    "a_suffix_of_json": "application/vnd.api+json",
    "a_type_without_a_subtype": "application/",
    "a_subtype_without_a_type": "/json",
    "a_misspelt_type": "aplication/json",
    "a_semicolon_list": "application/xml; application/json",
}
for name, accept in NOTHING.items():
    cases.add(f"accept_of_{name}_is_406_to_staff", 406, get(STATS, ("Accept", accept), auth=CLERK))
for name in ("xml", "an_empty_text", "json_alone"):
    cases.add(f"accept_of_{name}_is_406_to_an_anonymous_caller", 406, get(EXPORT, ("Accept", NOTHING[name])))
    cases.add(f"a_post_with_accept_of_{name}_is_406", 406, get(EXPORT, ("Accept", NOTHING[name]), method="POST"))
cases.add("head_that_accepts_xml_is_406", 406, get(STATS, ("Accept", "application/xml"), method="HEAD"))
cases.add("options_that_accept_xml_are_406", 406, get(STATS, ("Accept", "application/xml"), method="OPTIONS"))


@cases(406)
def a_406_deletes_no_dead_cookie(w):
    return get(STATS, ("Accept", "application/xml"), cookie=w.cookie(w.clerk, expires_in=-1))


HTML = {
    "html": "text/html",
    "any_text": "text/*",
    "a_browsers_list": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "html_and_any_application": "text/html, application/*",
    "html_with_a_quality_of_zero": "text/html;q=0",
    "html_with_a_parameter_beside_json": "application/json, text/html;level=1",
}
for name, accept in HTML.items():
    cases.add(f"accept_of_{name}_gives_a_page_to_staff", 200, get(STATS, ("Accept", accept), auth=CLERK), OWN_PAGE)
    cases.add(f"accept_of_{name}_gives_a_page_to_an_anonymous_caller", 403, get(STATS, ("Accept", accept)), OWN_PAGE)
cases.add("a_page_is_a_405_for_post", 405, get(STATS, ("Accept", "text/html"), auth=CLERK, method="POST"), OWN_PAGE)
cases.add("a_page_is_made_for_format_api", 200, get(STATS + "?format=api", auth=CLERK), OWN_PAGE)
cases.add("a_page_of_the_export", 200, get(EXPORT, ("Accept", "text/html"), auth=CLERK), OWN_PAGE)
cases.add("a_page_of_options", 200, get(EXPORT, ("Accept", "text/html"), auth=CLERK, method="OPTIONS"), OWN_PAGE)
cases.add("a_page_for_a_plain_user", 403, get(EXPORT, ("Accept", "text/html"), auth=basic("plain")), OWN_PAGE)

INDENTS = {
    "two": "application/json; indent=2",
    "four": "application/json;indent=4",
    "eight": "application/json; indent=8",
    "nine": "application/json; indent=9",
    "zero": "application/json; indent=0",
    "minus_three": "application/json; indent=-3",
    "plus_two": "application/json; indent=+2",
    "a_huge_number": "application/json; indent=99999999999999999999",
    "not_a_number": "application/json; indent=two",
    "a_fraction": "application/json; indent=2.0",
    "nothing": "application/json; indent=",
    "quotes": 'application/json; indent="2"',
    "quoted_blanks": 'application/json; indent=" 2 "',
    "the_name_in_upper_case": "application/json; INDENT=2",
    "blanks_around_the_equals_sign": "application/json; indent = 2",
    "anything": "*/*; indent=3",
    "any_application": "application/*;indent=2",
    "another_parameter_first": "application/json; charset=utf-8; indent=2",
    "a_quality_first": "application/json; q=0.5; indent=2",
    "the_name_twice": "application/json; indent=2; indent=4",
    "single_quotes": "application/json; indent='2'",
    "leading_zeros": "application/json; indent=0002",
    "a_parameter_without_a_value": "application/json; indent",
}
for name, accept in INDENTS.items():
    cases.add(f"an_indent_of_{name}", 200, get(STATS, ("Accept", accept), auth=CLERK))
OTHER_INDENTS = {
    "an_underscore": "application/json; indent=1_0",
    "the_charset_form": "application/json; indent*=utf-8''4",
    "a_continuation": "application/json; indent*0=4",
}
for name, accept in OTHER_INDENTS.items():
    cases.add(f"an_indent_of_{name}", 200, get(STATS, ("Accept", accept), auth=CLERK), NO_INDENT)
cases.add("an_indent_applies_to_the_export", 200, get(EXPORT, ("Accept", "application/json; indent=2"), auth=CLERK))
cases.add("an_indent_applies_to_a_403", 403, get(EXPORT, ("Accept", "application/json; indent=2")))
cases.add("an_indent_applies_to_a_405", 405, get(EXPORT, ("Accept", "application/json; indent=2"), auth=CLERK, method="POST"))
cases.add("an_indent_of_a_less_specific_token_is_not_used", 200, get(STATS, ("Accept", "*/*; indent=2, application/json"), auth=CLERK))
cases.add("an_indent_of_the_more_specific_token_is_used", 200, get(STATS, ("Accept", "*/*, application/json; indent=2"), auth=CLERK))
cases.add("an_indent_of_a_refused_token_is_not_used", 406, get(STATS, ("Accept", "application/xml; indent=2"), auth=CLERK))

FORMATS_404 = ["xml", "JSON", "admin", "json%00", "json/", ".json", "html", "jsonp", "api.", "%20json", "json%20", "csv"]
for value in FORMATS_404:
    cases.add(f"format_{value}_is_404".replace("/", "slash").replace("%", "pct"), 404, get(f"{STATS}?format={value}", auth=CLERK))
cases.add("an_unknown_format_is_404_to_an_anonymous_caller", 404, get(f"{EXPORT}?format=xml"))
cases.add("an_unknown_format_is_404_for_post", 404, get(f"{EXPORT}?format=xml", method="POST"))
cases.add("head_of_an_unknown_format_is_404", 404, get(f"{EXPORT}?format=xml", method="HEAD"))
cases.add("an_unknown_format_with_an_indent", 404, get(f"{EXPORT}?format=xml", ("Accept", "application/json; indent=2")))
FORMATS_200 = {
    "json": "format=json",
    "json_encoded": "format=%6Ason",
    "empty": "format=",
    "without_an_equals_sign": "format",
    "the_last_of_two": "format=xml&format=json",
    "an_empty_last_one": "format=xml&format=",
    "in_upper_case": "FORMAT=xml",
    "another_name": "formats=xml",
    "a_name_that_is_encoded": "f%6Frmat=json",
    "after_a_semicolon": "a=b;format=xml",
    "among_others": "a=1&format=json&b=2",
    "after_empty_parameters": "&&format=json&&",
}
for name, query in FORMATS_200.items():
    cases.add(f"a_format_{name}_gives_json", 200, get(f"{STATS}?{query}", auth=CLERK))
cases.add("the_last_format_wins", 404, get(f"{STATS}?format=json&format=xml", auth=CLERK))
cases.add("a_format_whose_name_is_encoded_counts", 404, get(f"{STATS}?%66ormat=xml", auth=CLERK))
cases.add("format_json_against_accept_html_is_406", 406, get(f"{STATS}?format=json", ("Accept", "text/html"), auth=CLERK))
cases.add("format_api_against_accept_json_is_406", 406, get(f"{STATS}?format=api", ("Accept", "application/json"), auth=CLERK))
cases.add("format_json_keeps_the_indent", 200, get(f"{STATS}?format=json", ("Accept", "application/json; indent=2"), auth=CLERK))
cases.add("format_json_with_accept_of_anything", 200, get(f"{STATS}?format=json", ("Accept", "*/*"), auth=CLERK))

for name, header in {
    "accept_language": ("Accept-Language", "de"),
    "accept_charset": ("Accept-Charset", "iso-8859-1"),
    "accept_encoding": ("Accept-Encoding", "gzip, br"),
    "if_none_match": ("If-None-Match", '"of-another-body"'),
    "if_modified_since": ("If-Modified-Since", "Thu, 01 Jan 2099 00:00:00 GMT"),
    "range": ("Range", "bytes=0-3"),
    "origin": ("Origin", "https://evil.example"),
    "referer": ("Referer", "https://evil.example/"),
    "x_requested_with": ("X-Requested-With", "XMLHttpRequest"),
    "remote_user": ("Remote-User", "admin"),
    "x_forwarded_host": ("X-Forwarded-Host", "a_b"),
    "x_forwarded_proto": ("X-Forwarded-Proto", "https"),
    "x_forwarded_for": ("X-Forwarded-For", "10.0.0.1"),
    "cache_control": ("Cache-Control", "no-cache"),
    "content_type": ("Content-Type", "nonsense"),
}.items():
    cases.add(f"{name}_changes_nothing", 200, get(STATS, header, auth=CLERK))

for name, target in {"export": EXPORT, "stats": STATS}.items():
    known = ("If-None-Match", "*")
    cases.add(f"{name}_that_the_client_has_already", 200, get(target, known, auth=CLERK), NOT_MODIFIED)
    cases.add(f"{name}_of_an_anonymous_who_has_any", 403, get(target, known))


test_answers = cases.test()
