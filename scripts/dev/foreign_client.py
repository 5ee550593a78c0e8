"""Holds the WeChat stub of `local` against wechatpy, a client of WeChat that shares no code with this service.

Each call of the stub is made by wechatpy's own transport, so its bodies are read, its errcodes raised and its refused tokens
replaced as with the real API. `local wechat-event` pushes to a listener here, and wechatpy's crypto verifies and opens the
message. wechatpy has no call of its own for getUserRiskRank and version 2 of msg_sec_check: those are posted by its client."""

import base64
import http.server
import json
import pathlib
import secrets
import subprocess
import tempfile
import threading
import urllib.parse

from wechatpy import WeChatClient
from wechatpy.client.api.wxa import WeChatWxa
from wechatpy.crypto import WeChatCrypto
from wechatpy.exceptions import APILimitedException, InvalidAppIdException, InvalidSignatureException, WeChatClientException

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCAL = ROOT / "target/debug/local"
APP = "wx00000000000000de"
TEMPLATE = "hD-ixGOhYmUfjOnI8MCzQMPshzGVeux_2vzyvQu7O68"
checked = 0


def check(claim, holds):
    global checked
    assert holds, claim
    checked += 1


def refused(errcode, call, *arguments, kind=WeChatClientException, **named):
    try:
        call(*arguments, **named)
    except kind as error:
        check(f"{error.errcode} is {errcode}", error.errcode == errcode)
        check(f"an errmsg with a rid: {error.errmsg}", "rid: " in error.errmsg)
    else:
        raise AssertionError(f"{errcode} was expected")


class Client(WeChatClient):
    """wechatpy with the stable token, which it does not know: its own call for a token has a fixed host."""

    tokens = 0

    def fetch_access_token(self):
        self.tokens += 1
        body = {"grant_type": "client_credential", "appid": self.appid, "secret": self.secret}
        answer = self._http.post(self.API_BASE_URL + "cgi-bin/stable_token", json=body).json()
        self.session.set(self.access_token_key, answer["access_token"], answer["expires_in"])
        return answer


def logins(client):
    session = client.wxa.code_to_session("dev-alice.1")
    check("an openid of the usual length", len(session["openid"]) == 28)
    check("a session key of 16 bytes", len(base64.b64decode(session["session_key"])) == 16)
    refused(40163, client.wxa.code_to_session, "dev-alice.1")
    refused(40029, client.wxa.code_to_session, "made-up")
    refused(40226, client.wxa.code_to_session, "dev-blocked")
    refused(45011, client.wxa.code_to_session, "dev-limited")
    check("the same user again", client.wxa.code_to_session("dev-alice.2")["openid"] == session["openid"])
    return session["openid"]


def tokens(client, order):
    first, second = client.fetch_access_token(), client.fetch_access_token()
    check("normal mode gives every caller the same token", first["access_token"] == second["access_token"])
    check("for two hours at most", 0 < second["expires_in"] <= 7200)
    order("rotate", {})
    before = client.tokens
    client.post("wxa/msg_sec_check", data={"content": "tea", "version": 2, "scene": 2, "openid": client.openid})
    check("a refused token (40001) is replaced by wechatpy itself", client.tokens == before + 1)


def messages(client, order):
    value = {"thing1": {"value": "任务"}, "phrase2": {"value": "已完成"}}
    send = lambda data, user=client.openid, page="pages/job/job": client.wxa.send_subscribe_message(user, TEMPLATE, data, page)
    refused(43101, send, value)
    order("accept", {"user": "alice", "template_id": TEMPLATE})
    refused(47003, send, {"thing1": {"value": "字" * 21}})
    refused(40003, send, value, user="nobody")
    refused(41030, send, value, page="/pages/job/job")
    order("answers", {"call": "send", "answer": "43108"})
    refused(43108, send, value)
    check("taken", send(value)["errcode"] == 0)
    refused(43101, send, value)


def texts(client, order):
    def find(text, **other):
        body = {"content": text, "version": 2, "scene": 2, "openid": client.openid} | other
        return client.post("wxa/msg_sec_check", data=body)

    found = lambda text: tuple(find(text)["result"][name] for name in ("suggest", "label"))
    check("nothing found", found("two coffees") == ("pass", 100))
    check("a marker", found("risky-20006") == ("risky", 20006))
    check("2,500 characters, an emoji at the end", found("字" * 2499 + "👍") == ("pass", 100))
    refused(44002, client.wxa.check_text_security, "the retired first version")
    refused(40129, find, "tea", scene=9)
    refused(40003, find, "tea", openid="nobody")
    order("answers", {"call": "check", "answer": "45009"})
    refused(45009, find, "tea", kind=APILimitedException)


def risk(client, order):
    def rank(**other):
        body = {"appid": APP, "openid": client.openid, "scene": 0, "client_ip": "203.0.113.9"} | other
        return client.post("wxa/getuserriskrank", data=body)

    check("no risk", rank()["risk_rank"] == 0)
    order("risk", {"user": "alice", "rank": 4})
    check("the rank that was set", rank()["risk_rank"] == 4)
    refused(43104, rank, appid="wx-other")
    refused(47001, rank, client_ip="no address")
    order("answers", {"call": "risk", "answer": "61010"})
    refused(61010, rank)


class Pushed(http.server.BaseHTTPRequestHandler):
    """Takes a pushed message."""

    messages = []

    def do_POST(self):
        query = {name: values[0] for name, values in urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query).items()}
        self.messages.append((query, self.rfile.read(int(self.headers["content-length"])).decode()))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


def events(home, openid):
    token, key = secrets.token_hex(8), base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
    data = home / "data"
    data.mkdir()
    settings = {"tokens": [token], "encoding_aes_keys": [key]}
    (data / "secrets.json").write_text(json.dumps({"wechat": {"events": settings}}), encoding="utf-8")
    server = http.server.HTTPServer(("127.0.0.1", 0), Pushed)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for kind, form in [("cancel", "json"), ("accept", "xml"), ("media", "json")]:
        subprocess.run([LOCAL, "wechat-event", kind, "--format", form, "--data", data, "--url", f"http://127.0.0.1:{server.server_port}"],
                       check=True, cwd=ROOT, stdout=subprocess.DEVNULL)
        query, body = Pushed.messages.pop()
        envelope = json.loads(body) if form == "json" else body
        opened = lambda app=APP, token=token, signature=query["msg_signature"]: WeChatCrypto(token, key, app).decrypt_message(
            envelope, signature, query["timestamp"], query["nonce"])
        message = opened()
        check(f"{kind} is about the user", openid in message and "CreateTime" in message)
        for wrong, fault in [({"token": "other"}, InvalidSignatureException), ({"signature": "0" * 40}, InvalidSignatureException),
                             ({"app": "wx-other"}, InvalidAppIdException)]:
            try:
                opened(**wrong)
            except fault:
                check(fault.__name__, True)
            else:
                raise AssertionError(f"{wrong} was accepted")
    server.shutdown()


def main():
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        secret = secrets.token_hex(16)
        (home / "app-secret").write_text(secret, encoding="utf-8")
        stub = subprocess.Popen([LOCAL, "wechat-stub", "--port", "0", "--app-id", APP, "--app-secret-file", home / "app-secret"],
                                stdout=subprocess.PIPE, text=True, cwd=ROOT)
        try:
            url = stub.stdout.readline().split("Ready on ")[1].split(",")[0]
            Client.API_BASE_URL = WeChatWxa.API_BASE_URL = url + "/"
            client = Client(APP, secret)
            # A proxy of this machine is none for loopback.
            client._http.trust_env = False
            order = lambda path, body: client._http.post(f"{url}/stub/{path}", json=body).raise_for_status()
            client.openid = logins(client)
            for part in (tokens, messages, texts, risk):
                part(client, order)
            events(home, client.openid)
        finally:
            stub.terminate()
            stub.wait()
    print(f"wechatpy and the WeChat stub agree: {checked} checks")


main()
