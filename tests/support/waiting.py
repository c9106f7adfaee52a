"""Waiting for what takes a moment, with a limit."""

import time


def await_true(condition, seconds, what):
    """Polls until the condition holds, or fails after `seconds`. `what`: what is awaited, or a function that says so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what() if callable(what) else what}"
        time.sleep(0.05)
