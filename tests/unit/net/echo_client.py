#!/usr/bin/python3
"""Calls the echo server with grpcio (C-core) over mutual TLS: echo_client.py PATH_OF_ECHO_SERVER.

Ends with 0 when every check holds, 77 when grpcio is not installed."""
import signal
import struct
import subprocess
import sys
import tempfile
import time

try:
    import grpc
except ImportError:
    print("grpcio is not installed")
    sys.exit(77)

BIG = [("grpc.max_receive_message_length", 16 << 20)]


def read(directory, name):
    with open(f"{directory}/{name}.pem", "rb") as file:
        return file.read()


def channel(port, directory, holder="client"):
    key = read(directory, holder + ".key") if holder else None
    chain = read(directory, holder) if holder else None
    credentials = grpc.ssl_channel_credentials(read(directory, "ca"), key, chain)
    return grpc.secure_channel(f"localhost:{port}", credentials, options=BIG)


def status_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error
    raise AssertionError("the call should have failed")


def check_calls(ch):
    unary = ch.unary_unary("/test.Echo/Unary")
    assert unary(b"hello", timeout=5) == b"hello"
    assert unary(b"", timeout=5) == b""
    block = bytes(range(256)) * 4096
    assert unary(block, timeout=5) == block
    edge = b"x" * (4 << 20)
    assert unary(edge, timeout=10) == edge
    error = status_of(lambda: unary(edge + b"x", timeout=10))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    error = status_of(lambda: ch.unary_unary("/test.Echo/Nothing")(b"", timeout=5))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    error = status_of(lambda: ch.unary_unary("/test.Echo/Fail")(b"\x09", timeout=5))
    assert error.code() == grpc.StatusCode.FAILED_PRECONDITION, error
    assert error.details() == "100% \u00e9t\u00e9\n2", repr(error.details())
    trailers = dict(error.trailing_metadata())
    assert trailers["concordat-reason"] == "TEST_REASON", trailers
    assert trailers["concordat-retry"] == "never", trailers
    who = ch.unary_unary("/test.Echo/Who")(b"", timeout=5, metadata=[("x-test", "a b")])
    assert who == b"ville/client/c1 x-test a b", who
    error = status_of(lambda: unary(b"", timeout=5, metadata=[("x-refuse", "1")]))
    assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
    error = status_of(lambda: unary(b"", timeout=5, metadata=[("x-large", "y" * 17000)]))
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
    error = status_of(lambda: unary(b"z" * 1000, timeout=5, compression=grpc.Compression.Gzip))
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error


def check_time(ch):
    error = status_of(lambda: ch.unary_unary("/test.Echo/Never")(b"", timeout=0.3))
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    future = ch.unary_unary("/test.Echo/Never").future(b"", timeout=30)
    time.sleep(0.1)
    future.cancel()
    later = ch.unary_unary("/test.Echo/Later")
    assert later(struct.pack(">I", 50) + b"x", timeout=5)[4:] == b"x"


def check_streams(ch):
    stream = ch.unary_stream("/test.Echo/Stream")
    assert [len(m) for m in stream(struct.pack(">II", 1000, 3000), timeout=20)] == [3000] * 1000
    assert list(stream(struct.pack(">II", 0, 0), timeout=5)) == []
    endless = ch.unary_stream("/test.Echo/Endless")(b"", timeout=20)
    for _, message in zip(range(100), endless):
        assert len(message) == 1000
    endless.cancel()
    chat = ch.stream_stream("/test.Echo/Chat")
    said = [b"%d" % i for i in range(50)]
    assert list(chat(iter(said), timeout=10)) == said


def check_many(ch):
    later = ch.unary_unary("/test.Echo/Later")
    futures = [later.future(struct.pack(">II", 100, i), timeout=20) for i in range(1000)]
    for i, future in enumerate(futures):
        assert future.result() == struct.pack(">II", 100, i)


def check_strangers(port, directory):
    for holder in (None, "foreign"):
        ch = channel(port, directory, holder)
        error = status_of(lambda: ch.unary_unary("/test.Echo/Unary")(b"", timeout=5))
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error
        ch.close()


def check_drain(server, ch):
    """SIGTERM with 100 calls in flight: all of them are answered."""
    later = ch.unary_unary("/test.Echo/Later")
    assert later(struct.pack(">I", 1), timeout=5)
    futures = [later.future(struct.pack(">II", 700, i), timeout=20) for i in range(100)]
    time.sleep(0.2)
    server.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    error = status_of(lambda: later(struct.pack(">I", 1), timeout=2))
    assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED), error
    for i, future in enumerate(futures):
        assert future.result() == struct.pack(">II", 700, i)
    assert server.wait(timeout=10) == 0


def main():
    with tempfile.TemporaryDirectory() as directory:
        server = subprocess.Popen([sys.argv[1], directory], stdout=subprocess.PIPE, text=True)
        try:
            port = int(server.stdout.readline())
            ch = channel(port, directory)
            for check in (check_calls, check_time, check_streams, check_many):
                start = time.time()
                check(ch)
                print(f"{check.__name__}: ok, {time.time() - start:.2f} s")
            check_strangers(port, directory)
            print("check_strangers: ok")
            check_drain(server, ch)
            print("check_drain: ok;", server.stdout.read().strip())
        finally:
            server.kill()


if __name__ == "__main__":
    main()
