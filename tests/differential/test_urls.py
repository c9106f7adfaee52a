"""URLs: which spellings match, APPEND_SLASH, the query, hosts and what stands on the wire."""

from differential.cases import Cases, Variant
from differential.differences import ILLEGAL_TARGET, MALFORMED_HTTP, NO_TECHNICAL_PAGE, PAGE_AT_THE_MOUNT, WAY_TO_THE_PAGE
from support.passwords import basic
from support.wire import EXPORT, STATS, Request, get

cases = Cases()
CLERK = basic("clerk")

MATCH = {
    "an_encoded_letter": "/api/%61dmin/export-stats/",
    "an_encoded_hyphen": "/api/admin/export%2Dstats/",
    "an_encoded_hyphen_in_lower_case": "/api/admin/export%2dstats/",
    "an_encoded_slash": "/api/admin%2Fexport-stats/",
    "an_encoded_last_slash": "/api/admin/export-stats%2F",
    "every_letter_encoded": "".join(f"%{ord(c):02x}" if c != "/" else c for c in STATS),
    "a_query": STATS + "?a=b",
    "an_empty_query": STATS + "?",
    "a_question_mark_in_the_query": STATS + "?a?b",
    "the_absolute_form": "http://other.example" + STATS,
}
for name, target in MATCH.items():
    cases.add(f"a_target_with_{name}_matches", 200, get(target, auth=CLERK))

NO_MATCH = {
    "upper_case": "/API/admin/export-stats/",
    "a_double_slash": "/api/admin//export-stats/",
    "a_double_slash_at_the_end": STATS + "/",
    "a_dot_segment": "/api/admin/./export-stats/",
    "a_dot_dot_segment": "/api/x/../admin/export-stats/",
    "an_encoded_dot_dot": "/api/x/%2e%2e/admin/export-stats/",
    "a_semicolon": "/api/admin/export-stats/;x",
    "a_newline": "/api/admin/export-stats/%0a",
    "a_nul": "/api/admin/export-stats/%00",
    "a_byte_that_is_not_utf_8": "/api/admin/export-stats/%ff",
    "a_format_suffix": "/api/admin/export-stats.json/",
    "a_further_segment": STATS + "x/",
    "a_double_encoding": "/api/admin/export%252Dstats/",
    "another_view": "/api/admin/export-all/",
    "a_blank": "/api/admin/export-stats%20/",
    "the_root": "/",
    "a_prefix": "/x/api/admin/export-stats/",
}
for name, target in NO_MATCH.items():
    cases.add(f"a_target_with_{name}_is_404", 404, get(target, auth=CLERK), older_text=("4.0",))
cases.add("the_mount_alone_is_a_page", 404, get("/api/admin/", auth=CLERK), PAGE_AT_THE_MOUNT)
cases.add("the_mount_without_a_slash_leads_to_the_page", 404, get("/api/admin"), WAY_TO_THE_PAGE)
cases.add("a_404_is_the_same_for_an_anonymous_caller", 404, get("/api/admin/export-all/"), older_text=("4.0",))
cases.add("a_404_is_the_same_for_post", 404, get("/api/admin/export-all/", method="POST"), older_text=("4.0",))
cases.add("head_of_an_unknown_url_is_404", 404, get("/api/admin/export-all/", method="HEAD"), older_text=("4.0",))
cases.add("options_of_an_unknown_url_is_404", 404, get("/api/admin/export-all/", method="OPTIONS"), older_text=("4.0",))
cases.add("an_unknown_url_does_not_negotiate", 404, get("/api/admin/export-all/", ("Accept", "a/b")), older_text=("4.0",))
cases.add("an_unknown_url_without_a_slash_is_404", 404, get("/api/admin/export-all"), older_text=("4.0",))


@cases(404, older_text=("4.0",))
def a_404_deletes_no_dead_cookie(w):
    return get("/api/admin/export-all/", cookie=w.cookie(w.clerk, expires_in=-1))


# Before 6.0 Django's redirect has no Content-Length.
REDIRECT = {"older_text": ("4.0", "4.2")}
SLASHLESS = "/api/admin/export-users"
for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "FOO"):
    cases.add(f"a_missing_slash_redirects_a_{method.lower()}", 301, get(SLASHLESS, method=method))
for name, target in {
    "a_query": SLASHLESS + "?a=b&c=%20d",
    "an_unknown_format": SLASHLESS + "?format=xml",
    "an_empty_query": SLASHLESS + "?",
    "an_encoded_letter": "/api/%61dmin/export-users",
    "an_encoded_slash": "/api/admin%2Fexport-users",
    "utf_8_in_the_query": SLASHLESS + "?q=%C3%A9",
    "the_absolute_form": "http://other.example" + SLASHLESS,
    "brackets_in_the_query": SLASHLESS + "?a[]=1&b={2}",
    "an_apostrophe_in_the_query": SLASHLESS + "?a='b'",
}.items():
    cases.add(f"a_missing_slash_with_{name}_redirects", 301, get(target))
cases.add("a_raw_quote_in_the_query", 301, get(SLASHLESS + '?a="<>'), ILLEGAL_TARGET)
cases.add("a_missing_slash_redirects_whatever_is_accepted", 301, get(SLASHLESS, ("Accept", "a/b")))
cases.add("a_missing_slash_redirects_staff_too", 301, get(SLASHLESS, auth=CLERK))
cases.add("two_slashes_first_are_not_redirected", 404, get("//api/admin/export-users"), older_text=("4.0",))
cases.add("two_slashes_first_are_not_found", 404, get("//api/admin/export-users/"), older_text=("4.0",))


@cases(301)
def a_redirect_deletes_no_dead_cookie(w):
    return get(SLASHLESS, cookie=w.cookie(w.clerk, expires_in=-1))


cases.add("a_thousand_parameters_are_read", 200, get(STATS + "?" + "&".join(["a=1"] * 1000), auth=CLERK))
cases.add(
    "more_than_a_thousand_parameters_are_400", 400, get(STATS + "?" + "&".join(["a"] * 1001), auth=CLERK),
    older={"4.0": 500, "4.2": 500},
)

HOSTS_GOOD = {
    "upper_case": "TESTSERVER", "a_port": "testserver:8000", "any_digits_as_a_port": "testserver:999999",
    "a_trailing_dot": "testserver.", "ipv6": "[::1]", "ipv6_with_a_port": "[::1]:80", "ipv4": "127.0.0.1",
    "a_hyphen": "a-b", "dots": "a..b", "a_port_of_zero": "testserver:0", "a_domain": "www.example.com",
}
for name, host in HOSTS_GOOD.items():
    cases.add(f"a_host_with_{name}_is_good", 200, get(STATS, auth=CLERK, host=host))
HOSTS_BAD = {
    "nothing": "", "a_colon_at_the_end": "testserver:", "an_underscore": "a_b", "a_blank": "a b", "a_user": "user@h",
    "a_path": "h/x", "a_dot_alone": ".", "a_star": "*", "letters_as_a_port": "testserver:http",
    "ipv6_without_brackets": "::1", "an_open_bracket": "[::1", "a_comma": "a,b", "a_quote": 'a"b', "a_byte_above_ascii": b"\xe9",
    "an_encoded_letter": "%74est", "two_ports": "testserver:1:2", "a_question_mark": "a?b", "a_scheme": "http://testserver",
}
for name, host in HOSTS_BAD.items():
    cases.add(f"a_host_with_{name}_is_400", 400, get(STATS, auth=CLERK, host=host), older_text=("4.0",))
cases.add("a_bad_host_precedes_a_404", 400, get("/nowhere/", host="a_b"), older_text=("4.0",))
cases.add("a_bad_host_precedes_a_redirect", 400, get(SLASHLESS, host="a_b"), older_text=("4.0",))
cases.add("a_bad_host_precedes_a_406", 400, get(STATS, ("Accept", "a/b"), host="a_b"), older_text=("4.0",))
cases.add("head_with_a_bad_host_is_400", 400, get(STATS, host="a_b", method="HEAD"), older_text=("4.0",))


@cases(400, older_text=("4.0",))
def a_bad_host_deletes_no_dead_cookie(w):
    return get(host="a_b", cookie=w.cookie(w.clerk, expires_in=-1))


cases.add("http_1_0_is_answered_in_http_1_0", 200, get(auth=CLERK, version="HTTP/1.0"))
cases.add("http_1_0_without_a_host_is_answered", 200, get(auth=CLERK, version="HTTP/1.0", host=None))
cases.add("http_1_0_is_redirected", 301, get(SLASHLESS, version="HTTP/1.0"))
cases.add("http_1_0_exports", 200, get(EXPORT, auth=CLERK, version="HTTP/1.0"))
cases.add("the_absolute_form_with_a_bad_host_is_still_about_the_host_header", 400, get("http://good.example" + STATS, host="a_b"), older_text=("4.0",))
cases.add("the_absolute_form_may_name_a_bad_host", 200, get("http://a_b" + STATS, auth=CLERK))

RAW = {
    "two_hosts": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n",
    "a_folded_header": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\nConnection: close\r\n\r\n",
    "a_blank_before_the_colon": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nX : a\r\nConnection: close\r\n\r\n",
    "two_content_lengths": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nab",
    "a_length_and_chunks": b"POST /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
    "a_negative_length": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\nConnection: close\r\n\r\n",
    "a_nul_in_a_header": b"GET /api/admin/export-stats/ HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\nConnection: close\r\n\r\n",
    "no_version": b"GET /api/admin/export-stats/\r\n\r\n",
}
for name, raw in RAW.items():
    cases.add(f"malformed_http_with_{name}_is_refused", 400, Request(raw=raw), MALFORMED_HTTP)

# DEBUG.
DEBUGGING = Variant("debug", settings={"DEBUG": True})
cases.add("with_debug_a_missing_slash_redirects_a_get", 301, get(SLASHLESS), variant=DEBUGGING)
cases.add("with_debug_a_missing_slash_redirects_a_head", 301, get(SLASHLESS, method="HEAD"), variant=DEBUGGING)
for method in ("POST", "PUT", "PATCH"):
    cases.add(f"with_debug_a_missing_slash_is_an_error_for_{method.lower()}", 500, get(SLASHLESS, method=method), NO_TECHNICAL_PAGE, variant=DEBUGGING)
cases.add("with_debug_an_unknown_url_is_404", 404, get("/api/admin/x/"), NO_TECHNICAL_PAGE, variant=DEBUGGING)
cases.add("with_debug_a_bad_host_is_400", 400, get(host="a_b"), NO_TECHNICAL_PAGE, variant=DEBUGGING)
cases.add("with_debug_staff_is_answered", 200, get(EXPORT, auth=CLERK), variant=DEBUGGING)
cases.add("with_debug_an_anonymous_caller_is_refused", 403, get(EXPORT), variant=DEBUGGING)


test_answers = cases.test()
