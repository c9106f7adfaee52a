"""The part of watchtower-sidecar's wheel that is Python: `python -m watchtower_sidecar settings`."""
