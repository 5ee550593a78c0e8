"""Expands template.yaml for each stage, lints the result, and checks and prints the rights of each function.

Run by lint-template.sh, which installs what this imports. Ends with a sentence that names the fault."""

import json
import logging
import os
import pathlib
import re
import subprocess
import sys

os.environ.setdefault("AWS_DEFAULT_REGION", "eu-west-1")  # the translator requires a region; no request is sent
logging.disable(logging.WARNING)

import deployer_policy  # noqa: E402
from samtranslator.model.exceptions import InvalidDocumentException  # noqa: E402
from samtranslator.translator.transform import transform  # noqa: E402
from samtranslator.yaml_helper import yaml_parse  # noqa: E402

TEMPLATE = pathlib.Path("template.yaml")
CONSOLE = pathlib.Path("console/template.yaml")
OBSERVE = pathlib.Path("observe/template.yaml")
PAGE = pathlib.Path("docs/operate/roles.md")
POLICY = "docs/operate/deployer-policy-{}.json"
OUT = pathlib.Path(".local/template-lint")
STAGES = ["test", "staging", "prod"]
CANARY = {"staging", "prod"}
# Statements that may name every resource, because IAM supports no narrower one for these actions, and the condition that they need.
UNBOUND = {"Traces": "Traced", "Network": "InVpc", "Charts": None}
# What a resource may end in: the streams of one log group, the objects of one bucket, the versions of one function, the
# deployments of one stack.
BELOW = re.compile(
    r"log-group:\$\{\w+\}:log-stream:\*|\$\{\w+\.Arn\}/\*"
    r"|function:\$\{AWS::StackName\}-[a-z-]+:\*|deploymentgroup:\$\{AWS::StackName\}-\*"
)


def stop(sentence):
    sys.exit(f"lint-template: {sentence}")


class NoManagedPolicies:
    """The translator needs AWS's list of managed policies; no function here uses one."""

    def load(self):
        return {}


def expand(stage):
    template = yaml_parse(TEMPLATE.read_text())
    # Placeholder for the value that `sam package` inserts.
    template["Globals"]["Function"].pop("CodeUri", None)
    for resource in template["Resources"].values():
        if resource["Type"] == "AWS::Serverless::Function":
            resource["Properties"]["CodeUri"] = "s3://bucket/key"
        if resource["Type"] == "AWS::Lambda::Function":
            resource["Properties"]["Code"] = {"S3Bucket": "bucket", "S3Key": "key"}
        if resource["Type"] == "AWS::CloudFormation::Stack":
            resource["Properties"]["TemplateURL"] = "https://bucket.s3.amazonaws.com/key"
    if stage in CANARY:
        # The transform writes unconditional references to them, and here the condition holds.
        del template["Conditions"]["Gradual"]
        for resource in template["Resources"].values():
            if resource.get("Condition") == "Gradual":
                del resource["Condition"]
    try:
        return transform(template, {"Stage": stage}, NoManagedPolicies())
    except InvalidDocumentException as fault:
        stop(f"the SAM translator refuses {TEMPLATE} for stage {stage}: {'; '.join(c.message for c in fault.causes)}")


def of_type(template, kind):
    return {name: one["Properties"] for name, one in template["Resources"].items() if one["Type"] == kind}


def lint(templates):
    """One region at a time: with two, the linter tries every mixture of them within one text."""
    # Stages that expand to the same are linted once.
    files = {}
    for stage, template in templates.items():
        file = OUT / f"expanded-{stage}.json"
        file.write_text(json.dumps(template, indent=1))
        files.setdefault(json.dumps(template, sort_keys=True), file)
    everywhere = [*files.values(), OBSERVE]
    # The operators' page is for the partition that has all of CloudFront, and its shield is there in one region.
    for region, linted in {"eu-west-1": [*everywhere, CONSOLE], "cn-north-1": everywhere, "us-east-1": [deployer_policy.SHIELD]}.items():
        program = pathlib.Path(sys.executable).parent / "cfn-lint"
        done = subprocess.run([program, *linted, "--regions", region], capture_output=True, text=True)
        if done.returncode:
            print(done.stdout + done.stderr, file=sys.stderr)
            first = (done.stdout.strip().splitlines() or ["no output"])[0][:160]
            stop(f"cfn-lint is not content with the templates in {region}: {first}")


def check_alarms():
    done = subprocess.run([sys.executable, "observe/generate.py", "--check"], capture_output=True, text=True)
    if done.returncode:
        stop(done.stderr.strip().splitlines()[-1])


def listed(value):
    return value if isinstance(value, list) else [value]


def statements(role):
    """Each statement of a role, with the condition that it stands under."""
    for policy in role.get("Policies", []):
        for statement in listed(policy["PolicyDocument"]["Statement"]):
            if "Fn::If" in statement:
                yield statement["Fn::If"][1], statement["Fn::If"][0]
            else:
                yield statement, None


def check_rights(stage, template):
    roles = of_type(template, "AWS::IAM::Role")
    owner = {}
    for function, properties in of_type(template, "AWS::Lambda::Function").items():
        role = properties["Role"].get("Fn::GetAtt", [None])[0]
        if role not in roles:
            stop(f"{function} has no role of the template")
        if owner.setdefault(role, function) != function:
            stop(f"{function} and {owner[role]} share the role {role}")
        if roles[role].get("ManagedPolicyArns"):
            stop(f"{role} has managed policies; their rights are not in the template")
        for statement, condition in statements(roles[role]):
            place = f"{role}, statement {statement.get('Sid', 'without a Sid')}"
            if statement["Effect"] == "Deny":
                continue
            if statement["Effect"] != "Allow":
                stop(f"{place}: Effect is neither Allow nor Deny")
            if "NotAction" in statement or "NotResource" in statement:
                stop(f"{place}: grants all but something")
            for action in listed(statement["Action"]):
                if "*" in action:
                    stop(f"{place}: the action {action} holds a *")
            for resource in listed(statement["Resource"]):
                text = rendered(resource)
                unbound = text == "*" and statement["Sid"] in UNBOUND and UNBOUND[statement["Sid"]] == condition
                if "*" in text and not unbound and not BELOW.fullmatch(text):
                    stop(f"{place}: the resource {text} holds a *")
    groups = of_type(template, "AWS::CodeDeploy::DeploymentGroup")
    aliases = of_type(template, "AWS::Lambda::Alias")
    if bool(groups) != (stage in CANARY) or (groups and len(groups) != len(aliases)):
        stop(f"stage {stage} has {len(groups)} deployment groups for {len(aliases)} functions")


def rendered(value):
    """A resource as a reader would name it: without partition, region and account."""
    if isinstance(value, str):
        return re.sub(r"^arn:\$\{AWS::Partition\}:[a-z-]+:\$\{AWS::Region\}:\$\{AWS::AccountId\}:", "", value)
    (kind, of), = value.items()
    if kind == "Ref":
        return of
    if kind == "Fn::GetAtt":
        return of[0] if of[1] == "Arn" else ".".join(of)
    if kind == "Fn::If":
        return f"{rendered(of[2])}, or {rendered(of[1])} if {of[0]}"
    if kind == "Fn::Sub":
        if isinstance(of, str):
            return rendered(of)
        text = rendered(of[0])
        for name, inner in of[1].items():
            text = text.replace("${%s}" % name, "${%s}" % rendered(inner))
        return text
    return json.dumps(value)


def when(statement, condition):
    """The condition of a statement, in words."""
    for tests in statement.get("Condition", {}).values():
        for key, values in tests.items():
            return f"`{key}` is {' or '.join(f'`{one}`' for one in listed(values))}"
    return f"`{condition}`" if condition else "always"


def page(templates):
    """docs/operate/roles.md."""
    prod = templates["prod"]
    roles = of_type(prod, "AWS::IAM::Role")
    lines = [
        "# What each function may do", "",
        "Written by `scripts/deploy/lint-template.sh --roles` from the expanded template; `make lint-template` fails when it is out of",
        "date. The test target `template` runs the service and compares these rights with the calls that it makes: no right",
        "is missing, and no unused right is granted. Resources are named without partition, region and account.", "",
        "No action contains a `*`. Seven kinds of resource do, because IAM has no narrower one: the streams below a function's own",
        "log group; the objects of the checkpoints' bucket; the metrics of CloudWatch for the operators' charts; the",
        "versions of a function and the deployments of the stack, for the check of a new version; the",
        "traces of X-Ray, only with `Tracing=on`; the network interfaces of a function, only with `SubnetIds`.", "",
    ]
    for function, properties in of_type(prod, "AWS::Lambda::Function").items():
        role = properties["Role"]["Fn::GetAtt"][0]
        lines += [f"## {function}", "", f"{properties['Description']} Role `{role}`.", "",
                  "| statement | actions | resource | when |", "|---|---|---|---|"]
        for statement, condition in statements(roles[role]):
            actions = ", ".join(f"`{action}`" for action in listed(statement["Action"]))
            resources = ", ".join(f"`{rendered(one)}`" for one in listed(statement["Resource"]))
            actions = f"**never** {actions}" if statement["Effect"] == "Deny" else actions
            lines.append(f"| {statement['Sid']} | {actions} | {resources} | {when(statement, condition)} |")
        lines.append("")
    lines += ["## Who may call a function", "", "| function | caller | of |", "|---|---|---|"]
    for permission in of_type(prod, "AWS::Lambda::Permission").values():
        target = permission["FunctionName"]["Ref"].replace("Aliaslive", ", alias `live`")
        lines.append(f"| {target} | `{permission['Principal']}` | `{rendered(permission['SourceArn'])}` |")
    lines.append("| Worker, alias `live` | Lambda's own event source | `Queue` |")
    rest = {name: role for name, role in roles.items() if role.get("ManagedPolicyArns")}
    lines += ["", "## Roles of other services", ""]
    for name, role in rest.items():
        service = role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"]["Service"]
        arns = ", ".join(f"`{rendered(one)}`" for one in role["ManagedPolicyArns"])
        lines.append(f"- `{name}`: assumed by {', '.join(f'`{rendered(one)}`' for one in listed(service))} to shift traffic between versions,"
                     f" in the stages {' and '.join(sorted(CANARY))}; AWS's own policy {arns}"
                     f"{own(role)}.")
    return "\n".join(lines) + "\n"


def own(role):
    """The rights of such a role in addition to AWS's own policy."""
    rights = [f"`{action}` on `{rendered(one['Resource'])}`" for one, _ in statements(role) for action in listed(one["Action"])]
    return f", and {', '.join(rights)}" if rights else ""


def main():
    check_alarms()
    templates = {stage: expand(stage) for stage in STAGES}
    for stage, template in templates.items():
        check_rights(stage, template)
    lint(templates)
    text = page(templates)
    # The nested templates are deployed as they are, without a transform.
    policies = deployer_policy.documents([*templates.values(), *(yaml_parse(file.read_text()) for file in (CONSOLE, OBSERVE))])
    written = {pathlib.Path(POLICY.format(number)): policy for number, policy in enumerate(policies, 1)}
    for file, right in {PAGE: text, **written}.items():
        if "--roles" in sys.argv[1:]:
            file.write_text(right)
        elif not file.exists() or file.read_text() != right:
            stop(f"{file} is not what the expanded template asks for; write it anew with scripts/deploy/lint-template.sh --roles")
    print(text[text.index("## "):])
    print(f"lint-template: {', '.join(STAGES)} expand, cfn-lint finds nothing, {PAGE} is true")


if __name__ == "__main__":
    main()
