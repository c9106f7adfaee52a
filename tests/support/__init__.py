"""What tests/run provides before the tests: Python environments, database servers, certificates."""
