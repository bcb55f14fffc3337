"""A client of gRPC's C core, to see that the rig's server behaves for others as it does for @grpc/grpc-js."""
import json
import sys

import grpc


def varint(number):
    parts = bytearray()
    while number > 0x7F:
        parts.append((number & 0x7F) | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def request(text="", sleep_millis=0, fail_code=0):
    data = text.encode()
    message = b"\x0a" + varint(len(data)) + data if data else b""
    if sleep_millis:
        message += b"\x10" + varint(sleep_millis)
    if fail_code:
        message += b"\x18" + varint(fail_code)
    return message


def text_of(reply):
    return reply[2 : 2 + reply[1]].decode() if reply[:1] == b"\x0a" else ""


def say(**what):
    print(json.dumps(what), flush=True)


channel = grpc.insecure_channel(sys.argv[1])
unary = channel.unary_unary("/millpond.rig.Echo/Unary")
health = channel.unary_unary("/grpc.health.v1.Health/Check")

say(echo=text_of(unary(request("from Python"), timeout=5)))
try:
    unary(request(fail_code=5), timeout=5)
except grpc.RpcError as error:
    say(failed=error.code().name)
say(health=health(b"", timeout=5)[1])
for future in [unary.future(request(sleep_millis=50), timeout=5) for _ in range(7)]:
    future.result()
say(burst=7)
slow = unary.future(request("slow", 600), timeout=5)
sys.stdin.readline()  # the server has drained its connections
say(next=text_of(unary(request("next"), timeout=5)))
say(slow=text_of(slow.result()))
channel.close()
