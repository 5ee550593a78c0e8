"""SAM CLI's packaging of the nested stacks: it uploads their templates, and names the uploads in the main one."""

import shutil

import yaml

from stack import ROOT

SAM = ROOT / ".local/deploy/sam/bin/sam"
NESTED = ["observe/template.yaml", "console/template.yaml"]
BUCKET = "rehearsal-packages"


class Long(yaml.SafeLoader):
    """Reads CloudFormation's short forms (`!Ref`) as the long ones, which SAM CLI writes."""


def long_form(loader, tag, node):
    kinds = {yaml.ScalarNode: "str", yaml.SequenceNode: "seq", yaml.MappingNode: "map"}
    value = loader.construct_object(type(node)(f"tag:yaml.org,2002:{kinds[type(node)]}", node.value), deep=True)
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in ("Ref", "Condition") else f"Fn::{tag}": value}


Long.add_multi_constructor("!", long_form)


def read(text):
    return yaml.load(text, Long)  # noqa: S506, a SafeLoader


def without_sams_own(template):
    """Without the name that SAM CLI notes in each resource."""
    for resource in template["Resources"].values():
        if list(resource.get("Metadata", {})) == ["SamResourceId"]:
            del resource["Metadata"]
    return template


def copy(folder):
    """The sources of the templates, with a small file for the code: what is uploaded of it is not looked at here."""
    shutil.rmtree(folder, ignore_errors=True)
    for name in ["template.yaml", *NESTED]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "events", folder / "events")
    (folder / "code").mkdir()
    (folder / "code/bootstrap").write_text("not run\n")
    lines = (folder / "template.yaml").read_text().splitlines(keepends=True)
    code = [number for number, line in enumerate(lines) if line.strip().startswith("CodeUri:")]
    for number in code:
        lines[number] = f"{lines[number].split('CodeUri:')[0]}CodeUri: code\n"
    (folder / "template.yaml").write_text("".join(lines))


def packages(rehearsal):
    """Runs `sam package` on the templates as they are, and compares what it uploads with what is checked in."""
    console, folder = rehearsal.console, rehearsal.directory / "package"
    copy(folder)
    bucket = rehearsal.stack.client("s3")
    bucket.create_bucket(Bucket=BUCKET)
    packaged = folder / "packaged.yaml"
    rehearsal.must(SAM, "package", "--template-file", folder / "template.yaml", "--s3-bucket", BUCKET, "--output-template-file", packaged)
    resources = read(packaged.read_text())["Resources"]
    stacks = {name: one["Properties"] for name, one in resources.items() if one["Type"] == "AWS::CloudFormation::Stack"}
    console.claims("the two nested stacks are in what SAM CLI packages", sorted(stacks) == ["ConsoleHosting", "Observation"], sorted(stacks))
    sources = {name: read((ROOT / name).read_text()) for name in NESTED}
    for name, properties in sorted(stacks.items()):
        url = properties["TemplateURL"]
        console.claims(f"{name}: its template is an object of the bucket", f"/{BUCKET}/" in url, url)
        uploaded = without_sams_own(read(bucket.get_object(Bucket=BUCKET, Key=url.rsplit("/", 1)[1])["Body"].read()))
        source = [path for path, template in sources.items() if template == uploaded]
        console.claims(f"{name}: what is uploaded is a template that is checked in", len(source) == 1, url)
        declared = uploaded.get("Parameters", {})
        needed = {parameter for parameter, about in declared.items() if "Default" not in about}
        given = set(properties.get("Parameters", {}))
        console.claims(f"{name}: it is given {len(given)} of the {len(declared)} parameters of {source[0]}, every one that has no default", needed <= given <= set(declared), (needed, given))
