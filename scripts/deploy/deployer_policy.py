"""What a deployer may do: derived from the types of the expanded template, whose schemas say which actions CloudFormation
needs for each, and from what SAM CLI and scripts/deploy ask for themselves. docs/operate/deployer-policy-*.json is what comes out."""

import json
import pathlib
import re

import cfnlint
from samtranslator.yaml_helper import yaml_parse

SCHEMAS = pathlib.Path(cfnlint.__file__).parent / "data/schemas"
# A second stack, with Shield=on.
SHIELD = pathlib.Path("shield/template.yaml")
SERVICES = {"apigatewayv2": "apigateway"}
ARN = "arn:PARTITION:{}:REGION:ACCOUNT:{}"
# Named by the schemas for features that this template does not use, or giving access to stored data: no deployment needs them.
WITHHELD = re.compile(
    r"dynamodb:(Scan|Query|\w*Item|(?!Describe)\w*Kinesis\w*|ImportTable|DescribeImport|\w*Replica|(?!Get)\w*ResourcePolicy|\w*ReplicaAutoScaling)$"
    r"|secretsmanager:(GetSecretValue|GetRandomPassword|\w*Regions?\w*)$"
    r"|lambda:(\w*ProvisionedConcurrency\w*|(?!GetFunction)\w*CodeSigning\w*|\w*CapacityProvider\w*|\w*RuntimeAlias|(?!Get)\w*RuntimeManagement\w*|\w*Scaling\w*|\w*Layer\w*|InvokeFunction|InvokeAsync)$"
    r"|s3:(\w*(Analytics|CORS|Cors|Inventory|Metrics|Notification|Replication|Website|Accelerate|Acl|Logging|IntelligentTiering|Metadata|Abac)\w*|DeleteObject|GetObject|REST\.\S+)$"
    r"|logs:(\w*(DataProtection|Index|Bearer|Kms)\w*)$"
    r"|sns:(\w*DataProtection\w*)$"
    r"|codedeploy:(RegisterOnPremisesInstance)$"
    r"|cloudfront:(\w*(ConnectionGroup|VpcOrigin|StagingConfig)\w*)$"
    r"|iam:(\w*PermissionsBoundary|CreateServiceLinkedRole)$"
)
# The resources of each service that bear the stack's name, as CloudFormation and the template name them.
WHERE = {
    "lambda": [ARN.format("lambda", "function:STACK-*"), ARN.format("lambda", "event-source-mapping:*")],
    "dynamodb": [ARN.format("dynamodb", "table/STACK-*")],
    "sqs": [ARN.format("sqs", "STACK-*")],
    "sns": [ARN.format("sns", "STACK-*")],
    "events": [ARN.format("events", "rule/STACK-*")],
    "codedeploy": [ARN.format("codedeploy", place) for place in ("application:STACK-*", "deploymentgroup:STACK-*/*", "deploymentconfig:*")],
    "cloudwatch": [ARN.format("cloudwatch", "alarm:STACK-*"), ARN.format("cloudwatch", "insight-rule/STACK-*"), "arn:PARTITION:cloudwatch::ACCOUNT:dashboard/STACK-*"],
    "logs": [ARN.format("logs", f"log-group:/aws/{place}/STACK-*") for place in ("lambda", "vendedlogs")],
    "iam": ["arn:PARTITION:iam::ACCOUNT:role/STACK-*"],
    "s3": ["arn:PARTITION:s3:::STACK-*"],
    "apigateway": [f"arn:PARTITION:apigateway:REGION::/{place}" for place in ("apis", "apis/*", "domainnames", "domainnames/*", "tags/*")],
    "cloudformation": [ARN.format("cloudformation", "stack/STACK-*/*")],
    # With Shield=on. The managed rule sets are none of its own, and the schema asks for them all the same.
    "wafv2": [f"arn:PARTITION:wafv2:us-east-1:ACCOUNT:global/{place}" for place in ("webacl/STACK-*", "managedruleset/*")],
}  # fmt: skip
# Actions that IAM takes for no single resource: lists, and what API Gateway needs to write its log.
EVERYWHERE = re.compile(
    r"(logs:(Describe\w+|CreateLogDelivery|\w*ResourcePolic\w+|\w+LogDelivery)|cloudwatch:(DescribeAlarms|DescribeInsightRules|PutInsightRule)"
    r"|lambda:(CreateEventSourceMapping|GetAccountSettings|ListEventSourceMappings)|ec2:Describe\w+|cloudformation:ValidateTemplate|sns:Unsubscribe)$"
)
MANAGED = "aws-sam-cli-managed-default"
# Calls of SAM CLI, scripts/deploy and the console's upload in addition to CloudFormation's.
BY_HAND = [
    ("Stack", ["Describe*", "Get*", "List*", "CreateChangeSet", "ExecuteChangeSet", "DeleteChangeSet", "CreateStack", "UpdateStack", "DeleteStack", "CancelUpdateStack", "ContinueUpdateRollback", "TagResource", "UpdateTerminationProtection"],
     "cloudformation", [ARN.format("cloudformation", f"stack/{name}/*") for name in ("STACK", MANAGED)]),
    ("NestedStacks", ["DescribeStackEvents"], "cloudformation", WHERE["cloudformation"]),
    ("ShieldStack", ["CreateStack", "UpdateStack", "DeleteStack", "DescribeStacks", "DescribeStackEvents"], "cloudformation", ["arn:PARTITION:cloudformation:us-east-1:ACCOUNT:stack/STACK-*-shield/*"]),
    ("Transform", ["CreateChangeSet"], "cloudformation", ["arn:PARTITION:cloudformation:REGION:aws:transform/Serverless-2016-10-31"]),
    ("PackagesAndConsole", ["CreateBucket", "Get*", "ListBucket", "PutBucketPolicy", "PutBucketPublicAccessBlock", "PutBucketTagging", "PutBucketVersioning", "PutEncryptionConfiguration", "PutObject"],
     "s3", [f"arn:PARTITION:s3:::{MANAGED}*"]),
    ("ConsoleFiles", ["PutObject"], "s3", ["arn:PARTITION:s3:::STACK-console*/console/*"]),
    ("Check", ["InvokeFunction"], "lambda", [ARN.format("lambda", "function:STACK-status:live")]),
    ("Look", ["GetAccountSettings"], "lambda", ["*"]),
    ("Rollback", ["ListDeployments", "BatchGetDeployments", "GetDeployment", "StopDeployment"], "codedeploy", WHERE["codedeploy"][:2]),
]  # fmt: skip


# What API Gateway asks of the deployer to let an HTTP API write its access log:
# https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging.html
ACCESS_LOG = {f"logs:{name}" for name in ("*LogDelivery", "ListLogDeliveries", "DescribeLogGroups", "DescribeResourcePolicies", "PutResourcePolicy")}
# The first custom domain of an account makes API Gateway's own role.
DOMAINS = "ops.apigateway.amazonaws.com"


# A managed policy may have 6,144 characters that are not white space; some are around the statements.
MOST = 6_090
LONGEST = {"PARTITION": "aws-cn", "REGION": "ap-southeast-1", "ACCOUNT": "123456789012", "STACK": "openclaw-miniprogram-staging"}


def permissions(kind):
    """The actions that CloudFormation's schema of a type lists."""
    places = json.loads((SCHEMAS / "providers/us-east-1.json").read_text())
    if kind not in places:
        return set()
    handlers = json.loads((SCHEMAS / f"resources/{places[kind]}.json").read_text()).get("handlers", {})
    return {action for name, handler in handlers.items() if name != "list" for action in handler.get("permissions", [])}


def actions(templates):
    """Actions by service, each of a type's own service: what a type asks of others it does for what this template leaves out."""
    found = {}
    kinds = {one["Type"] for template in templates for one in template["Resources"].values()}
    for kind in kinds:
        service = SERVICES.get(kind.split("::")[1].lower(), kind.split("::")[1].lower())
        for action in permissions(kind):
            if action.split(":")[0] == service and not WITHHELD.search(action):
                found.setdefault(service, set()).add(action)
    return found


def statement(sid, names, places, condition=None):
    one = {"Sid": sid, "Effect": "Allow", "Action": sorted(names), "Resource": places[0] if len(places) == 1 else places}
    return one | ({"Condition": condition} if condition else {})


def length(statements):
    """Length as IAM counts it, with the longest names in place of the placeholders."""
    text = re.sub(r"\s", "", json.dumps(statements))
    for name, longest in LONGEST.items():
        text = text.replace(name, longest)
    return len(text)


def documents(templates):
    """The policies: each statement is in the first that has room for it. PARTITION, REGION, ACCOUNT and STACK stand for one's own."""
    parts = [[]]
    for one in statements(templates):
        part = next((part for part in parts if length([*part, one]) <= MOST), None)
        if part is None:
            parts.append(part := [])
        part.append(one)
    return [json.dumps({"Version": "2012-10-17", "Statement": part}, indent=1) + "\n" for part in parts]


def statements(templates):
    templates = [*templates, yaml_parse(SHIELD.read_text())]
    found = actions(templates)
    secrets = sorted({name for template in templates for name, one in template["Resources"].items() if one["Type"] == "AWS::SecretsManager::Secret"})
    where = WHERE | {"secretsmanager": [ARN.format("secretsmanager", f"secret:{name}-*") for name in secrets]}
    # CloudFront is one for all regions, and names most of its resources by random ids.
    where["cloudfront"] = ["*"]
    out, everywhere = [], set()
    for service in sorted(found):
        here = {action for action in found[service] if not EVERYWHERE.match(action)}
        everywhere |= found[service] - here
        if here:
            out.append(statement(service.capitalize(), here, where[service]))
    # For the transform's functions in subnets.
    everywhere |= {f"ec2:Describe{what}" for what in ("SecurityGroups", "Subnets", "Vpcs", "NetworkInterfaces")}
    out.append(statement("Everywhere", everywhere | ACCESS_LOG, ["*"]))
    passed = {"StringLike": {"iam:PassedToService": ["lambda.amazonaws.com", "codedeploy.*"]}}
    out.append(statement("PassRole", ["iam:PassRole"], WHERE["iam"], passed))
    linked = {"StringEquals": {"iam:AWSServiceName": DOMAINS}}
    out.append(statement("DomainRole", ["iam:CreateServiceLinkedRole"], [f"arn:PARTITION:iam::ACCOUNT:role/aws-service-role/{DOMAINS}/*"], linked))
    for sid, names, service, places in BY_HAND:
        out.append(statement(sid, [f"{service}:{name}" for name in names], places))
    return out
