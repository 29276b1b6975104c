"""Holds rendered manifests against the schemas of Kubernetes and of the Prometheus operator.

Its arguments are versions of Kubernetes, with commas, and files. It prints an object: for each file what is wrong in it.
Fields that a schema does not know are wrong.
"""

import json
import sys

import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator import v1 as operator

OPERATOR = {"ServiceMonitor": operator.ServiceMonitor, "PrometheusRule": operator.PrometheusRule}


def unknown(given, understood, path):
    """What was given and got lost when it was read: the operator's models skip what they do not know."""
    if isinstance(given, dict) and isinstance(understood, dict):
        for key, value in given.items():
            yield from unknown(value, understood[key], f"{path}.{key}") if key in understood else [f"{path}.{key}"]
    elif isinstance(given, list) and isinstance(understood, list):
        for index, value in enumerate(given):
            yield from unknown(value, understood[index], f"{path}[{index}]")
    elif given != understood and str(given) != str(understood):
        yield path


def of_the_operator(manifest):
    model = OPERATOR.get(manifest["kind"])
    if model is None:
        yield f"no schema for {manifest['kind']}"
        return
    try:
        read = model.model_validate(manifest)
    except ValueError as error:
        yield " ".join(str(error).split())
        return
    understood = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    for path in unknown(manifest, understood, ""):
        yield f"{path} is not in the schema"


def of_kubernetes(manifest, version):
    try:
        kubernetes_validate.validate(manifest, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{version}: {'.'.join(map(str, error.path))}: {error.message.splitlines()[0][:300]}"
    except kubernetes_validate.SchemaNotFoundError as error:
        yield f"{version}: {error.message}"


def violations(manifest, versions):
    if manifest["apiVersion"].startswith("monitoring.coreos.com/"):
        yield from of_the_operator(manifest)
        return
    for version in versions:
        yield from of_kubernetes(manifest, version)


def of_file(path, versions):
    with open(path) as file:
        manifests = list(yaml.safe_load_all(file))
    return [
        f"{manifest['kind']} {manifest['metadata']['name']}: {violation}"
        for manifest in manifests
        for violation in violations(manifest, versions)
    ]


json.dump({path: of_file(path, sys.argv[1].split(",")) for path in sys.argv[2:]}, sys.stdout)
