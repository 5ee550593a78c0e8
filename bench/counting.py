"""A proxy before the engines that counts requests and write units. It signs each request anew, because the engines take
only what is signed for their own address. Nothing that is timed goes through it."""
import collections, http.client, http.server, json, threading, urllib.parse

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_POST(self):
        proxy, body = self.server, self.rfile.read(int(self.headers["content-length"]))
        target = self.headers["x-amz-target"]
        proxy.requests[target.rpartition(".")[2]] += 1
        table = target.startswith("DynamoDB")
        if table:
            body = json.dumps(json.loads(body) | {"ReturnConsumedCapacity": "TOTAL"}).encode()
        body = body.replace(proxy.url.encode(), proxy.engine.encode())
        headers = {"content-type": self.headers["content-type"], "x-amz-target": target}
        request = AWSRequest(method="POST", url=proxy.engine + "/", data=body, headers=headers)
        SigV4Auth(proxy.credentials, "dynamodb" if table else "sqs", proxy.region).add_auth(request)
        engine = http.client.HTTPConnection(urllib.parse.urlsplit(proxy.engine).netloc)
        engine.request("POST", "/", body, dict(request.headers))
        response = engine.getresponse()
        answer = response.read()
        engine.close()
        if table and response.status == 200:
            consumed = json.loads(answer).get("ConsumedCapacity", [])
            for one in consumed if isinstance(consumed, list) else [consumed]:
                proxy.units["read" if "Get" in target or "Query" in target else "write"] += one.get("CapacityUnits", 0)
        self.send_response(response.status)
        self.send_header("content-type", response.headers["content-type"] or headers["content-type"])
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()


class Proxy(http.server.ThreadingHTTPServer):
    """Before one engine."""

    daemon_threads = True

    def __init__(self, engine, env, requests, units):
        self.engine, self.region, self.requests, self.units = engine.rstrip("/"), env["AWS_REGION"], requests, units
        self.credentials = Credentials(env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"])
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Counted:
    """An environment in which what a function asks of table and queue is counted."""

    def __init__(self, env):
        self.requests, self.units = collections.Counter(), collections.Counter()
        table = Proxy(env["AWS_ENDPOINT_URL_DYNAMODB"], env, self.requests, self.units)
        queue = Proxy(env["AWS_ENDPOINT_URL_SQS"], env, self.requests, self.units)
        self.env = env | {"AWS_ENDPOINT_URL_DYNAMODB": table.url, "AWS_ENDPOINT_URL_SQS": queue.url,
                          "QUEUE_URL": env["QUEUE_URL"].replace(queue.engine, queue.url)}

    def clear(self):
        self.requests.clear()
        self.units.clear()
