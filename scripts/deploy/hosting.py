"""Builds the operators' page and uploads it to CloudFront's bucket. Only with Console=on."""

import mimetypes
import subprocess

from stack import ROOT, Failure

BUILT = ROOT / "console/dist"
# Names of these contain a hash of their content, so they may be cached; the page itself and its settings may not.
KEPT = "public, max-age=31536000, immutable"
ASKED_AGAIN = "no-cache"


def refuse_china(stack, given):
    """Refuses Console=on in aws-cn before anything is deployed: CloudFront there lacks features that the page needs."""
    wanted = {**stack.deployed_parameters(), **given}.get("Console") == "on"
    if wanted and stack.in_china():
        raise Failure("Console=on is not for regions of aws-cn, where CloudFront has neither origin access control nor functions; see docs/operate/deploy.md")


def publish(stack):
    """Uploads the page, its files before itself: an old page never finds a new one's files missing."""
    outputs = stack.outputs()
    bucket = outputs.get("ConsoleBucketName")
    if bucket is None:
        return
    print("  building and publishing the operators' page ...", flush=True)
    done = subprocess.run(["scripts/dev/console.sh", "build"], cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode or not (BUILT / "index.html").exists():
        raise Failure(f"the operators' page cannot be built: {(done.stdout.strip().splitlines() or ['it said nothing'])[-1]}")
    storage = stack.client("s3")
    files = sorted((path for path in BUILT.rglob("*") if path.is_file()), key=lambda path: path.name == "index.html")
    for path in files:
        name = path.relative_to(BUILT).as_posix()
        put(storage, bucket, name, path.read_bytes(), KEPT if name.startswith("assets/") else ASKED_AGAIN)
    put(storage, bucket, "config.json", outputs["ConsoleConfig"].encode(), ASKED_AGAIN)
    print(f"  operators' page: {outputs['ConsoleUrl']}", flush=True)


def put(storage, bucket, name, body, keep):
    kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
    storage.put_object(Bucket=bucket, Key=f"console/{name}", Body=body, ContentType=kind, CacheControl=keep)
