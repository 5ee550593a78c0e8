"""The first deployment, with what newcomers get wrong."""

import emulator
from stack import SECRETS

DEPLOY_LOG = ".local/deploy/deploy.log"
RUN = ".local/rehearse/run"
# Nothing listens there.
NOBODY = "http://127.0.0.1:9"


def start(rehearsal):
    world = rehearsal.world
    world.start_emulator()
    rehearsal.console.shows(f"emulator of AWS on {world.endpoint}, loopback only, with the roles' policies in force")
    seconds = world.start_gateway()
    rehearsal.console.shows(f"OpenClaw gateway with journal on {world.gateway_url}, ready after {seconds} s")
    world.start_wechat()
    rehearsal.console.shows(f"stand-in for WeChat's login on {world.wechat_url}")


def wrong_parameters(rehearsal):
    code, said = rehearsal.deploy(OpenclawURL=rehearsal.world.gateway_url)
    rehearsal.refused(code, said, "OpenclawURL")
    code, said = rehearsal.deploy(OpenclawBaseUrl="ftp://gateway")
    rehearsal.refused(code, said, "OpenclawBaseUrl")


def without_secrets(rehearsal):
    emulator.adapt(rehearsal)
    code, said = rehearsal.deploy("--built", OpenclawBaseUrl=NOBODY)
    rehearsal.refused(code, said, "secret of edge-auth")


def with_secrets(rehearsal):
    outputs, documents = rehearsal.stack.outputs(), rehearsal.directory / "secrets"
    given = ["--wechat-app-secret-file", rehearsal.world.app_secret, "--gateway-token-file", rehearsal.world.gateway_token]
    rehearsal.local("secrets", "new", *given, "--out", documents)
    options = [part for role, output in SECRETS.items() for part in (f"--{role}-secret", outputs[output])]
    rehearsal.local("secrets", "put", "--from", documents, *options)
    for document in documents.iterdir():
        document.unlink()
    code, said = rehearsal.command("scripts/deploy.sh", "test", "--check")
    rehearsal.refused(code, said, "OpenclawBaseUrl", NOBODY)


def ready(rehearsal):
    code, said = rehearsal.deploy("--built")
    rehearsal.console.claims("it is ready, with a heartbeat from after the deployment", code == 0, said)
    rehearsal.console.shows(f"versions behind `live`: {rehearsal.versions()}")


STEPS = [
    ("Start the emulator, a real gateway and a stand-in for WeChat's login", RUN, start),
    ("Build; deploy with a wrong parameter, which is refused by name", DEPLOY_LOG, wrong_parameters),
    ("Deploy without secrets, and with a gateway URL where nobody answers", DEPLOY_LOG, without_secrets),
    ("Fill the three secrets; the check names the gateway", DEPLOY_LOG, with_secrets),
    ("Deploy the right gateway URL, and wait until the service is ready", DEPLOY_LOG, ready),
]
