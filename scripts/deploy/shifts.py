"""CodeDeploy's deployments of a function: the running one, and the outcomes of the others."""

import re
from dataclasses import dataclass

from stack import FUNCTIONS

RUNNING = {"Created", "Queued", "InProgress", "Baking", "Ready"}
FAILED = {"Failed", "Stopped"}
# The revision of a deployment is an AppSpec as text, in JSON or in YAML.
VERSIONS = re.compile(r"\b(CurrentVersion|TargetVersion)\"?\s*:\s*[\"']?(\d+)")
# Maximum of BatchGetDeployments.
BATCH = 25


@dataclass(frozen=True)
class Shift:
    """One deployment: from one version to another."""

    id: str
    status: str
    current: int | None
    target: int | None


def of(stack, role):
    """The deployments of a function, newest first. There are none where the stage has no canary."""
    applications = stack.resources("AWS::CodeDeploy::Application")
    group = stack.resources("AWS::CodeDeploy::DeploymentGroup").get(FUNCTIONS[role].removesuffix("Function") + "DeploymentGroup")
    if not applications or not group:
        return []
    (application,) = applications.values()
    client = stack.client("codedeploy")
    pages = client.get_paginator("list_deployments").paginate(applicationName=application, deploymentGroupName=group)
    ids = [one for page in pages for one in page["deployments"]]
    found = []
    for start in range(0, len(ids), BATCH):
        found += client.batch_get_deployments(deploymentIds=ids[start : start + BATCH])["deploymentsInfo"]
    found.sort(key=lambda info: info["createTime"], reverse=True)
    return [shift(info) for info in found]


def shift(info):
    revision = info.get("revision") or {}
    text = (revision.get("string") or revision.get("appSpecContent") or {}).get("content") or ""
    versions = dict(VERSIONS.findall(text))
    current, target = (int(versions[name]) if name in versions else None for name in ("CurrentVersion", "TargetVersion"))
    return Shift(info["deploymentId"], info["status"], current, target)


def stop(stack, deployment):
    """Ends a running deployment; CodeDeploy itself puts the alias back to where it was."""
    stack.client("codedeploy").stop_deployment(deploymentId=deployment, autoRollbackEnabled=True)
