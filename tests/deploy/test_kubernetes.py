"""The Kubernetes manifests against Kubernetes' own schemas, and against each other and the program.

There is no cluster here: nothing was applied to one.
"""

import re
import subprocess
from urllib.parse import parse_qsl, urlsplit

import pytest
import tools
from described import variables
from machine import REPOSITORY, binary
from provide.environments import Unavailable

DIRECTORY = REPOSITORY / "deploy" / "kubernetes"
MANIFESTS = sorted(path.name for path in DIRECTORY.glob("*.yaml"))
DEPLOYMENTS = ["deployment.yaml", "django-pod.yaml"]
# The oldest that kubernetes-validate has beside the newest, which is its default.
VERSIONS = ["1.34", None]


@pytest.fixture(scope="module", autouse=True)
def checkers():
    try:
        return tools.programs()
    except Unavailable as error:
        pytest.skip(str(error))


def load(name):
    """The documents of a manifest, by kind."""
    return {document["kind"]: document for document in tools.documents(DIRECTORY / name)}


def sidecar(manifest):
    """The sidecar's container, and its pod's specification."""
    pod = load(manifest)["Deployment"]["spec"]["template"]["spec"]
    [container] = [one for one in pod["containers"] if one["name"] == "watchtower-sidecar"]
    return container, pod


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", MANIFESTS)
def test_the_schemas_take_it(checkers, name, version):
    command = [checkers / "kubernetes-validate", "--strict", DIRECTORY / name]
    command[2:2] = ["--kubernetes-version", version] if version else []
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_configuration_names_variables_that_there_are():
    known = {variable["name"]: variable for variable in variables(binary())}
    files = {f"{name}_FILE" for name, variable in known.items() if variable["file"]}
    assert set(load("configuration.yaml")["ConfigMap"]["data"]) <= set(known) | files


def test_the_files_that_it_names_are_keys_of_the_secret():
    kinds = load("configuration.yaml")
    for manifest in DEPLOYMENTS:
        container, _ = sidecar(manifest)
        [place] = [mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "secrets"]
        named = {value for name, value in kinds["ConfigMap"]["data"].items() if name.endswith("_FILE")}
        # The database's server is verified by a file among them.
        url = urlsplit(kinds["Secret"]["stringData"]["database-url"])
        options = dict(parse_qsl(url.query))
        assert options["sslmode"] == "verify-full"
        named.add(options["sslrootcert"])
        assert named == {f"{place}/{key}" for key in kinds["Secret"]["stringData"]}


def test_the_secret_holds_no_secret():
    secret = load("configuration.yaml")["Secret"]["stringData"]
    assert all("REPLACE-ME" in value or value == "[]" for value in secret.values())


@pytest.mark.parametrize("manifest", DEPLOYMENTS)
def test_it_may_do_nothing_that_it_need_not(manifest):
    """What the namespace level `restricted` asks of a container."""
    container, pod = sidecar(manifest)
    its = pod["securityContext"] | container["securityContext"]
    assert its["runAsNonRoot"] and its["runAsUser"] > 0
    assert its["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (its["allowPrivilegeEscalation"], its["readOnlyRootFilesystem"]) == (False, True)
    assert its["capabilities"] == {"drop": ["ALL"]}
    # The limit of its memory is for two heaps.
    assert container["env"] == [{"name": "MALLOC_ARENA_MAX", "value": "2"}]
    # Exports are spooled here, since the rest can't be written to.
    assert "/tmp" in [mount["mountPath"] for mount in container["volumeMounts"]]


@pytest.mark.parametrize("manifest", DEPLOYMENTS)
def test_it_is_given_the_time_to_stop(manifest):
    _, pod = sidecar(manifest)
    delay = int(load("configuration.yaml")["ConfigMap"]["data"]["SIDECAR_SHUTDOWN_DELAY"])
    assert pod["terminationGracePeriodSeconds"] > delay + 30


@pytest.mark.parametrize("manifest", DEPLOYMENTS)
def test_the_ports_are_those_it_listens_on(manifest):
    container, _ = sidecar(manifest)
    data = load("configuration.yaml")["ConfigMap"]["data"]
    main, ops = (int(data[name].rsplit(":", 1)[1]) for name in ("SIDECAR_BIND", "SIDECAR_OPS_BIND"))
    names = {port["containerPort"]: port["name"] for port in container["ports"]}
    assert set(names) == {main, ops}
    for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
        assert container[probe]["httpGet"] == {"path": path, "port": names[ops]}
    kinds = load(manifest)
    assert names[main] in [port["targetPort"] for port in kinds["Service"]["spec"]["ports"]]
    paths = kinds["Ingress"]["spec"]["rules"][0]["http"]["paths"]
    assert {path["path"]: path["backend"]["service"]["name"] for path in paths} == {
        "/api/admin": kinds["Service"]["metadata"]["name"], "/": "django",
    }


def test_what_belongs_to_the_deployment_finds_its_pods():
    kinds = load("deployment.yaml")
    labels = kinds["Deployment"]["spec"]["template"]["metadata"]["labels"]
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert kinds[kind]["spec"]["selector"]["matchLabels"] == labels
    assert kinds["Service"]["spec"]["selector"] == labels
    assert kinds["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"] == labels
    target = kinds["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", kinds["Deployment"]["metadata"]["name"])


def test_the_image_is_of_this_version():
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "Cargo.toml").read_text(), re.MULTILINE)[1]
    for manifest in DEPLOYMENTS:
        assert sidecar(manifest)[0]["image"].endswith(f"/watchtower-sidecar:{version}")
