"""A test alone with itself: namespaces of its own for network, mounts and processes.

enter() runs the program again inside; whatever it makes there (network places, mounts, processes)
goes away with it, also when it is killed. Where the machine does not allow this, enter() says why.
"""
import contextlib
import errno
import fcntl
import os
import shutil
import struct
import subprocess
import sys
import time

MARK = "CONCORDAT_ISOLATED"
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
HOME = "/proc/self/ns/net"
MTU = "9000"
EXT4_IOC_SHUTDOWN = 0x8004587D  # _IOR('X', 125, __u32), Linux since 4.20
SHUTDOWN_NOLOGFLUSH = 2         # as if the power went: nothing more is written, the journal neither


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise OSError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def enter():
    """Does not return when it works, but runs the program again; inside it returns "". Else: why."""
    if os.environ.get(MARK) == "1":
        run("ip", "link", "set", "lo", "up")
        run("mount", "-t", "tmpfs", "tmpfs", "/run")
        os.mkdir("/run/netns")
        return ""
    for tool in ("unshare", "ip", "mount"):
        if not shutil.which(tool):
            return f"{tool} is not installed"
    probe = subprocess.run([*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/run"],
                           capture_output=True, text=True)
    if probe.returncode != 0:
        return f"no namespaces: {probe.stderr.strip()}"
    sys.stdout.flush()
    os.execvpe("unshare", [*UNSHARE, sys.executable, *sys.argv], dict(os.environ, **{MARK: "1"}))
    return "unreachable"


# ---- the network ----

class Net:
    """A network namespace for each node, this program's own for the clients, and between them the
    wire (wire.c), which obeys."""

    def __init__(self, program, names, seed):
        self.names = [*names, "clients"]
        self.addresses = {n: f"10.77.0.{i + 1}" for i, n in enumerate(self.names)}
        if not os.path.exists("/dev/net/tun"):
            raise OSError("there is no /dev/net/tun")
        for name in names:
            run("ip", "netns", "add", name)
        places = {n: f"/run/netns/{n}" for n in names} | {"clients": HOME}
        self.process = subprocess.Popen(
            [program, str(seed), *(f"{n}={places[n]}={a}" for n, a in self.addresses.items())],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        if self.process.stdout.readline() != "ready\n":
            raise OSError("the wire between the namespaces does not start")
        for name, address in self.addresses.items():
            within = [] if name == "clients" else ["-n", name]
            run("ip", *within, "link", "set", "lo", "up")
            run("ip", *within, "addr", "add", address + "/24", "dev", "wire0")
            run("ip", *within, "link", "set", "wire0", "mtu", MTU, "up")

    def within(self, name):
        return ["nsenter", f"--net=/run/netns/{name}"]

    def set(self, source, target, loss=0, delay_ms=0, jitter_ms=0):
        """loss: of 1000 packets. One way."""
        self.process.stdin.write(f"{source} {target} {loss} {delay_ms * 1000} {jitter_ms * 1000}\n")
        if self.process.stdout.readline() != "ok\n":
            raise OSError("the wire has died")

    def heal(self):
        for source in self.names:
            for target in self.names:
                if source != target:
                    self.set(source, target)


# ---- disks ----

def small_disk(folder, megabytes):
    """A file system of its own for a folder, in memory: it can be filled."""
    os.makedirs(folder, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", folder)


def fill(folder, leave_bytes):
    """Leaves about so many bytes free in the folder's file system, though its node goes on writing:
    what it took since we looked we cannot have, so we look again."""
    with open(os.path.join(folder, "filler"), "wb") as f:
        taken = 0
        for _ in range(1000):
            facts = os.statvfs(folder)
            size = facts.f_bavail * facts.f_frsize - leave_bytes
            if size <= 0:
                return
            try:
                os.posix_fallocate(f.fileno(), taken, size)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                continue
            taken += size
    raise OSError(f"{folder} cannot be filled")


def free(folder):
    with contextlib.suppress(FileNotFoundError):
        os.remove(os.path.join(folder, "filler"))


class PowerDisk:
    """An ext4 in a file whose power can be cut: what was not synced is gone, as after a real cut."""

    def __init__(self, image, folder, megabytes):
        self.image, self.folder = image, folder
        with open(image, "wb") as f:
            f.truncate(megabytes << 20)
        run("mkfs.ext4", "-q", "-F", image)
        os.makedirs(folder, exist_ok=True)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop", self.image, self.folder)

    def cut(self):
        fd = os.open(self.folder, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack("I", SHUTDOWN_NOLOGFLUSH))
        finally:
            os.close(fd)

    def power_on(self):
        """After cut, when its processes were killed: their last threads may take a moment more."""
        deadline = time.monotonic() + 30
        while subprocess.run(["umount", self.folder], capture_output=True).returncode != 0:
            if time.monotonic() > deadline:
                run("umount", self.folder)
            time.sleep(0.05)
        self.mount()
