"""The database is away: a request that needs no database is answered as always; any other gets 503, never a refusal."""

import os

import pytest

from differential import compare
from differential.cases import Variant
from differential.differences import AS_DJANGO, DATABASE_AWAY
from support.passwords import basic
from support.wire import EXPORT, ask, get

# A separate database: no other case may find it gone.
AWAY = Variant("away", model={"table": "users_away"})


def test_a_missing_database_is_an_outage_only_for_those_who_need_it(bench):
    if bench.database != "sqlite":
        pytest.skip("a file is moved away")
    scenario = bench.scenario(AWAY)
    paths = [database.url.removeprefix("sqlite:///") for database in scenario.databases]
    for path in paths:
        os.rename(path, path + ".away")
    try:
        for request, difference in (
            (get(EXPORT), AS_DJANGO),
            (get(EXPORT, cookie="sessionid=short"), AS_DJANGO),
            (get(EXPORT, auth="Basic a b c"), AS_DJANGO),
            (get(EXPORT, method="POST"), AS_DJANGO),
            (get(EXPORT, method="HEAD"), AS_DJANGO),
            (get(EXPORT, ("Accept", "application/json; indent=2")), AS_DJANGO),
            (get(EXPORT, cookie="sessionid=abcdefghijkl"), DATABASE_AWAY),
            (get(EXPORT, cookie="sessionid=abcdefghijkl", auth="Basic a b c"), DATABASE_AWAY),
            (get(EXPORT, auth=basic("clerk")), DATABASE_AWAY),
            (get(EXPORT, auth=basic("nobody"), method="OPTIONS"), DATABASE_AWAY),
        ):
            django = ask(scenario.pair.django.port, request)
            assert django.status == (500 if difference is DATABASE_AWAY else 403)
            if scenario.pair.sidecar is None:
                continue
            sidecar = ask(scenario.pair.sidecar.port, request)
            found = compare.differences(django, sidecar, difference)
            assert not found, found
            assert (sidecar.one("Retry-After") is not None) == (sidecar.status == 503)
    finally:
        for path in paths:
            os.replace(path + ".away", path)
    for server in filter(None, (scenario.pair.django, scenario.pair.sidecar)):
        assert ask(server.port, get(EXPORT, auth=basic("clerk"))).status == 200
