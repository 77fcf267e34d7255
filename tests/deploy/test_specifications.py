"""Files that cannot be run here are held to their schemas, and pages to what they promise."""

import configparser
import importlib.util
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

jsonschema = pytest.importorskip("jsonschema")
yaml = pytest.importorskip("yaml")

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FOLDERS = ("hosts", "slurm", "kubernetes", "container", "compose")


def load(path: Path) -> dict:
    return yaml.load(path.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def check(spec, schema) -> None:
    """Raise ValidationError where a file does not follow a schema, whose own form is not looked at: that is slow."""
    jsonschema.validators.validator_for(schema)(schema).validate(spec)


@cache
def resource(name: str) -> dict:
    """The operator's own definition of a resource, from its package."""
    found = importlib.util.find_spec("dask_kubernetes")
    if found is None:
        pytest.skip("needs the package dask-kubernetes")
    folder = Path(found.origin).parent / "operator" / "deployment" / "helm" / "dask-kubernetes-operator" / "crds"
    [version] = [v for v in load(folder / f"{name}.yaml")["spec"]["versions"] if v["name"] == "v1"]
    return closed(version["schema"]["openAPIV3Schema"])


def closed(schema):
    """A schema in which an object has no other properties than those listed, as the server prunes them."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    schema = {key: closed(value) for key, value in schema.items()}
    if schema.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    listed = isinstance(schema.get("properties"), dict) and "type" in schema
    if listed and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    return schema


@pytest.mark.parametrize("name", ["cluster.yaml", "gpu.yaml"])
def test_clusters_follow_the_operators_definition(name):
    spec, schema = load(DEPLOY / "kubernetes" / name), resource("daskcluster")
    head = {key: {"type": ["string", "object"]} for key in ("apiVersion", "kind", "metadata")}
    schema["properties"] = {**schema["properties"], **head}
    check(spec, schema)
    service = spec["spec"]["scheduler"]["service"]
    assert service["selector"]["dask.org/cluster-name"] == spec["metadata"]["name"]
    broken = {**spec, "spec": {**spec["spec"], "workers": 3}}
    with pytest.raises(jsonschema.ValidationError):
        check(broken, schema)


def test_the_autoscaler_follows_the_operators_definition():
    spec = load(DEPLOY / "kubernetes" / "autoscaler.yaml")
    schema = resource("daskautoscaler")["properties"]["spec"]
    check(spec["spec"], schema)
    assert spec["spec"]["cluster"] == load(DEPLOY / "kubernetes" / "cluster.yaml")["metadata"]["name"]


def test_the_pod_of_the_job_follows_the_definition_of_pods():
    job = load(DEPLOY / "kubernetes" / "run.yaml")
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "Job")
    assert set(job["spec"]) == {"backoffLimit", "template"}
    pod = resource("daskcluster")["properties"]["spec"]["properties"]["worker"]["properties"]["spec"]
    check(job["spec"]["template"]["spec"], pod)


COMPOSE = {
    "type": "object",
    "additionalProperties": False,
    "patternProperties": {"^x-": {}},
    "required": ["services"],
    "properties": {
        "name": {"type": "string"},
        "services": {
            "additionalProperties": {
                "type": "object",
                "additionalProperties": False,
                "required": ["image", "command", "user"],
                "properties": {
                    "image": {"type": "string"},
                    "user": {"type": "string", "pattern": r"^\$\{\w+:-\d+\}:\$\{\w+:-\d+\}$"},
                    "restart": {"enum": ["no", "always", "on-failure", "unless-stopped"]},
                    "volumes": {"type": "array", "items": {"type": "string"}},
                    "command": {"type": "array", "items": {"type": "string"}},
                    "entrypoint": {"type": "array", "items": {"type": "string"}},
                    "environment": {"additionalProperties": {"type": "string"}},
                    "ports": {"items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
                    "depends_on": {"items": {"type": "string"}},
                    "profiles": {"items": {"type": "string"}},
                    "deploy": {"properties": {"replicas": {"type": "integer"}}, "additionalProperties": False},
                },
            }
        },
    },
}
"""What of the compose specification is used here; ports are published on loopback only."""


def test_the_compose_file_is_well_formed_and_publishes_on_loopback_only():
    spec = load(DEPLOY / "compose" / "compose.yaml")
    check(spec, COMPOSE)
    for service in spec["services"].values():
        assert set(service.get("depends_on", [])) <= set(spec["services"])


def test_pods_that_mount_the_claim_may_write_there_as_the_user_of_the_image():
    claim = load(DEPLOY / "kubernetes" / "claim.yaml")
    assert (claim["apiVersion"], claim["kind"]) == ("v1", "PersistentVolumeClaim")
    assert set(claim["spec"]) == {"accessModes", "resources"} and claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert set(claim["spec"]["resources"]["requests"]) == {"storage"}
    [user] = re.findall(r"useradd --uid (\d+)", (DEPLOY / "container" / "Dockerfile").read_text())
    clusters = [load(DEPLOY / "kubernetes" / name)["spec"]["worker"]["spec"] for name in ("cluster.yaml", "gpu.yaml")]
    for pod in (*clusters, load(DEPLOY / "kubernetes" / "run.yaml")["spec"]["template"]["spec"]):
        [volume] = pod["volumes"]
        assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
        assert {pod["securityContext"][name] for name in ("runAsUser", "runAsGroup", "fsGroup")} == {int(user)}


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.service")), ids=lambda p: p.name)
def test_units_restart_what_they_start(path, tmp_path):
    unit = configparser.ConfigParser(strict=True, interpolation=None)
    unit.optionxform = str
    unit.read_string(path.read_text())
    assert set(unit) == {"DEFAULT", "Unit", "Service", "Install"}
    assert unit["Service"]["Restart"] == "always" and int(unit["Service"]["RestartSec"]) > 0
    script = unit["Service"]["ExecStart"].split()[1]
    assert (ROOT / script.removeprefix("/opt/tilesim/")).is_file()
    if shutil.which("systemd-analyze") is None:
        return
    # As it would be where its program, script and user are there.
    lines = (line for line in path.read_text().splitlines() if not line.startswith("User="))
    (tmp_path / path.name).write_text("\n".join(lines).replace("/opt/tilesim", str(ROOT)))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", tmp_path / path.name], capture_output=True, text=True, check=False
    )
    assert path.name not in done.stderr and done.returncode == 0, done.stderr


def test_settings_of_jobqueue_are_ones_that_it_knows():
    found = importlib.util.find_spec("dask_jobqueue")
    if found is None:
        pytest.skip("needs the package dask-jobqueue")
    known = load(Path(found.origin).parent / "jobqueue.yaml")["jobqueue"]["slurm"]
    mine = load(DEPLOY / "slurm" / "jobqueue.yaml")["jobqueue"]["slurm"]
    assert set(mine) <= set(known)


def test_what_the_image_copies_is_there_and_not_ignored():
    text = (DEPLOY / "container" / "Dockerfile").read_text()
    kept = (DEPLOY / "container" / "Dockerfile.dockerignore").read_text().split()
    assert re.search(r"^FROM python:", text, re.MULTILINE) and re.search(r"^USER tilesim", text, re.MULTILINE)
    for words in re.findall(r"^COPY (.*)$", text, re.MULTILINE):
        for source in words.split()[:-1] if not words.startswith("--from") else ():
            assert (ROOT / source).exists() and f"!{source}" in kept


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.sh")) + sorted(DEPLOY.rglob("*.sbatch")), ids=lambda p: p.name)
def test_scripts_are_well_formed(path):
    shell = path.read_text().splitlines()[0].rpartition("/")[2]
    subprocess.run([shell, "-n", str(path)], check=True)


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_page_says_what_is_started_how_to_check_and_how_to_stop(folder):
    page = (DEPLOY / folder / "README.md").read_text()
    assert re.findall(r"^## (.*)$", page, re.MULTILINE) == ["What it starts", "Check", "Stop"]
    assert f"({folder}/README.md)" in (DEPLOY / "README.md").read_text()
