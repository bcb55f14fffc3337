"""The program of the rig's gRPC server on the C core: see core-grpc.ts."""
import sys
import time
from concurrent import futures

import grpc


def varint(data, at):
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if data[at - 1] < 0x80:
            return number, at


def sleep_millis(request):
    """Field 2 of the request, among others that are numbers or texts."""
    at = 0
    while at < len(request):
        tag, at = varint(request, at)
        value, at = varint(request, at)
        if tag == 0x10:
            return value
        if tag & 7 == 2:
            at += value
    return 0


def unary(request, context):
    time.sleep(sleep_millis(request) / 1000)
    return b""


methods = {"Unary": grpc.unary_unary_rpc_method_handler(unary)}
server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("millpond.rig.Echo", methods),))
server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
server.start()
server.wait_for_termination()
