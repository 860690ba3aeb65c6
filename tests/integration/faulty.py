"""The test build of the node (tests/faulty): started in a lab, its faults turned on and off."""
import os
import time

import harness


def directory(bench, name):
    path = os.path.join(bench.folder, "faults-" + name)
    os.makedirs(path, exist_ok=True)
    return path


def set_fault(bench, name, fault, word=None):
    """Turns a fault of a node on, or off without a word."""
    path = os.path.join(directory(bench, name), fault)
    if word is None:
        os.unlink(path)
        return
    with open(path + ".new", "w", encoding="utf-8") as f:
        f.write(word)
    os.rename(path + ".new", path)


def start(bench, name):
    """Starts a node with the test build, with the faults that are set."""
    product = bench.lab.facts["concordatd"]
    os.environ["CONCORDAT_FAULTS"] = directory(bench, name)
    bench.lab.facts["concordatd"] = os.path.join(bench.build, "tests", "faulty", "concordatd_faulty")
    try:
        bench.start(name)
    finally:
        bench.lab.facts["concordatd"] = product
        del os.environ["CONCORDAT_FAULTS"]
        bench.lab.save()


def up(bench, fault, word):
    """A lab of nodes that are all the test build from their first start, with one fault set."""
    build = os.path.join(bench.folder, "build")
    os.makedirs(os.path.join(build, "server"))
    os.symlink(os.path.abspath(os.path.join(bench.build, "tests", "faulty", "concordatd_faulty")),
               os.path.join(build, "server", "concordatd"))
    for name in ("cli", "bench", "meson-info"):
        os.symlink(os.path.abspath(os.path.join(bench.build, name)), os.path.join(build, name))
    bench.build = build
    os.environ["CONCORDAT_FAULTS"] = directory(bench, "all")
    set_fault(bench, "all", fault, word)
    bench.up(3)


def replace(bench, names):
    """These nodes become the test build, one after the other."""
    for name in names:
        bench.kill(name, 15)
        start(bench, name)
        bench.wait_well()


def exit_code(bench, name, seconds=30):
    """Waits for the end of a node that this program started; its exit code, negative for a signal."""
    node = bench.lab.node(name)
    deadline = time.time() + seconds
    while time.time() < deadline:
        pid, status = os.waitpid(node["pid"], os.WNOHANG)
        if pid != 0:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    raise AssertionError(f"{name} did not stop in {seconds} s")


def needs(bench):
    if not os.path.exists(os.path.join(bench.build, "tests", "faulty", "concordatd_faulty")):
        raise harness.Skip("the test build of the node is not there")
