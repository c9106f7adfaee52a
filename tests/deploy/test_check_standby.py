"""`watchtower-sidecar check` with a real primary and its streaming standby."""

import pytest

from deploy.replication import Replication
from support.servers import check


@pytest.fixture(scope="module")
def replication():
    with Replication() as made:
        yield made


def test_a_standby_is_a_good_replica_and_its_lag_is_told(replication):
    primary, standby = replication.role_url(replication.primary), replication.role_url(replication.standby)
    replication.catch_up()
    code, findings = check(primary, DATABASE_READ_URL=standby)
    assert code == 0, findings
    assert findings["replica.lag"][0]["text"] == "the standby has followed everything"
    assert findings["replica.users.table"][0]["level"] == "ok"
    assert not findings["database.standby"]

    replication.execute("SELECT pg_wal_replay_pause()", replication.standby)
    try:
        replication.execute("UPDATE auth_user SET first_name = 'Grace' WHERE id > 1000")
        code, findings = check(primary, DATABASE_READ_URL=standby)
        assert code == 0
        assert " bytes behind" in findings["replica.lag"][0]["text"]
    finally:
        replication.execute("SELECT pg_wal_replay_resume()", replication.standby)


def test_check_warns_of_a_standby_as_the_primary(replication):
    standby = replication.role_url(replication.standby)
    code, findings = check(standby)
    assert code == 0
    assert findings["database.standby"][0]["level"] == "warning"
    code, findings = check(standby, SIDECAR_LOGIN="on")
    assert code == 1
    assert findings["database.standby"][0]["level"] == "error"
    # libpq chooses the one that can be written.
    both = replication.role_url(replication.standby, replication.primary, attributes="read-write")
    code, findings = check(both)
    assert code == 0 and not findings["database.standby"]
