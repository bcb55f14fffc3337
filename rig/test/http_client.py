"""Talks to the rig's HTTP server with requests, as a cross-check: what it says is a line of JSON."""
import json
import sys

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

origin, certificate = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else True
retry = Retry(total=3, backoff_factor=0.01, status_forcelist=[503], allowed_methods=["GET"])
session = requests.Session()
session.mount("http://", HTTPAdapter(max_retries=retry, pool_connections=2, pool_maxsize=2))
session.mount("https://", HTTPAdapter(max_retries=retry, pool_connections=2, pool_maxsize=2))
get = lambda path, **more: session.get(origin + path, timeout=10, verify=certificate, **more)

said = {"echo": session.post(origin + "/echo", data="from Python", timeout=10, verify=certificate).json()["body"]}
said["bytes"] = len(get("/bytes?n=100000").content)
said["trickle"] = get("/trickle?pieces=3&millis=5").text
said["retried"] = get("/status?code=503&times=2", headers={"x-request-id": "retried"}).status_code
# The server closes without having said so; the next request finds out.
said["closed"] = [get("/close?how=fin").status_code for _ in range(3)]
try:
    get("/drop?when=body&how=reset")
    said["dropped"] = "no error"
except requests.exceptions.ConnectionError:
    said["dropped"] = "ConnectionError"
except requests.exceptions.ChunkedEncodingError:
    said["dropped"] = "ConnectionError"
try:
    requests.get(origin + "/slow", timeout=0.2, verify=certificate)
    said["slow"] = "no error"
except requests.exceptions.ReadTimeout:
    said["slow"] = "ReadTimeout"
print(json.dumps(said))
