"""A lock on the table of users that the sidecar's statements have to wait for."""

from contextlib import contextmanager


class Lock:
    """Django's user table, or all of SQLite's file, locked by another connection."""

    def __init__(self, scenario):
        self.scenario = scenario

    def take(self):
        self.connection = self.scenario.connect()
        cursor = self.connection.cursor()
        for statement in {
            "postgres": ["BEGIN", "LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE"],
            "mysql": ["LOCK TABLES auth_user WRITE"],
            "sqlite": ["BEGIN EXCLUSIVE"],
        }[self.scenario.kind]:
            cursor.execute(statement)

    def release(self):
        self.connection.close()


@contextmanager
def held(scenario):
    lock = Lock(scenario)
    lock.take()
    try:
        yield
    finally:
        lock.release()
