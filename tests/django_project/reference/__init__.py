"""The reference Django project: what the sidecar is measured against."""
