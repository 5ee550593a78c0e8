"""CloudFront and WAF in front of the HTTP API, with Shield=on: a stack of its own, because a web ACL of a distribution has to be in
us-east-1. It is named after the region that it stands before: services of several regions may have the same name."""

from urllib.parse import urlsplit

from botocore.exceptions import ClientError, WaiterError

from stack import ROOT, Failure

TEMPLATE = ROOT / "shield/template.yaml"
REGION = "us-east-1"
# Of the service's stack: with Shield=on they are for the distribution.
PASSED_ON = ("DomainName", "CertificateArn")


def effective(stack, given):
    """The parameters after the deployment: those that CloudFormation keeps, and those that are given now."""
    return {**stack.deployed_parameters(), **given}


def refuse(stack, given):
    """Refuses parameters that the shield does not support, before anything is deployed."""
    wanted = effective(stack, given)
    if wanted.get("Shield") != "on":
        return
    if stack.in_china():
        raise Failure("Shield=on is not for regions of aws-cn, whose CloudFront is another service; see docs/operate/deploy.md")
    certificate = wanted.get("CertificateArn", "")
    if certificate and f":acm:{REGION}:" not in certificate:
        raise Failure(f"with Shield=on the certificate of DomainName has to be in {REGION}, where CloudFront looks for it; CertificateArn is {certificate}")


def name_of(stack):
    return f"{stack.name}-{stack.session.region_name}-shield"


def publish(stack):
    """Makes or updates the shield of a stack that has one; names one that is left behind."""
    name, cloudformation = name_of(stack), stack.client("cloudformation", REGION)
    exists = found(cloudformation, name)
    if stack.deployed_parameters().get("Shield") != "on":
        if exists:
            print(f"  note: the stack {name} in {REGION} is of no use with Shield=off: aws cloudformation delete-stack --region {REGION} --stack-name {name}", flush=True)
        return
    if exists and exists.get("StackStatus") == "ROLLBACK_COMPLETE":
        raise Failure(f"the stack {name} in {REGION} was never made whole, and cannot be updated; delete it: aws cloudformation delete-stack --region {REGION} --stack-name {name}")
    print("  CloudFront and WAF in front of the API ...", flush=True)
    kept = stack.deployed_parameters()
    values = {"Prefix": f"{stack.name}-{stack.session.region_name}", "Origin": urlsplit(stack.outputs()["ApiUrl"]).hostname, **{one: kept.get(one, "") for one in PASSED_ON}}
    what = {"StackName": name, "TemplateBody": TEMPLATE.read_text(), "Parameters": [{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()]}
    try:
        (cloudformation.update_stack if exists else cloudformation.create_stack)(**what)
        cloudformation.get_waiter("stack_update_complete" if exists else "stack_create_complete").wait(StackName=name)
    except ClientError as error:
        if "No updates are to be performed" not in str(error):
            raise
    except WaiterError as error:
        raise Failure(f"the stack {name} in {REGION} was not deployed; its events say why: aws cloudformation describe-stack-events --region {REGION} --stack-name {name}") from error
    outputs = {one["OutputKey"]: one["OutputValue"] for one in found(cloudformation, name)["Outputs"]}
    print(f"  clients call https://{values['DomainName'] or outputs['DomainTarget']}; the domain's record points to {outputs['DomainTarget']}", flush=True)


def found(cloudformation, name):
    """The stack, if there is one."""
    try:
        return cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if "does not exist" in str(error):
            return None
        raise
