"""What a figure depends on: machine, kernel, file system, versions, the build."""
import json
import os
import platform
import re
import subprocess
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Trouble(Exception):
    """What makes a figure worthless; ends the program with code 1."""


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def mount_of(path):
    """The file system that holds a path: type, device, options."""
    best = ("", "unknown", "", "")
    for line in read("/proc/mounts").splitlines():
        device, point, kind, options = line.split()[:4]
        inside = os.path.realpath(path).startswith(point.rstrip("/") + "/") or point == "/"
        if inside and len(point) >= len(best[0]):
            best = (point, kind, device, options)
    return {"type": best[1], "device": best[2], "options": best[3]}


def sync_us(folder, count=200):
    """Median and 99th percentile of writing 4 KiB and fdatasync, in us: what a commit waits for."""
    path = os.path.join(folder, "sync-probe")
    times = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        os.write(descriptor, bytes(4096 * count))
        os.fsync(descriptor)
        for i in range(count):
            os.pwrite(descriptor, os.urandom(4096), 4096 * i)
            began = time.perf_counter_ns()
            os.fdatasync(descriptor)
            times.append(time.perf_counter_ns() - began)
    finally:
        os.close(descriptor)
        os.unlink(path)
    times.sort()
    return {"p50": times[count // 2] // 1000, "p99": times[count * 99 // 100] // 1000}


def machine(folder):
    cpu = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    memory = int(re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.M).group(1))
    return {"cpu": cpu.group(1) if cpu else platform.machine(), "cores": os.cpu_count(),
            "memory_mb": memory // 1024, "kernel": platform.release(),
            "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
            "file_system": mount_of(folder), "fdatasync_4k_us": sync_us(folder),
            "load_average": round(os.getloadavg()[0], 1)}


def package_version(*names):
    for name in names:
        try:
            done = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name],
                                  capture_output=True, text=True)
        except OSError:
            return "unknown"
        if done.returncode == 0 and done.stdout:
            return done.stdout
    return "unknown"


def build_options(build):
    wanted = {"buildtype", "optimization", "b_sanitize", "b_ndebug", "b_lto"}
    try:
        options = json.loads(read(os.path.join(build, "meson-info", "intro-buildoptions.json")))
    except OSError:
        return {}
    return {o["name"]: o["value"] for o in options if o["name"] in wanted}


def git_revision():
    done = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def versions(bench, build):
    done = subprocess.run([bench.cli, "version"], capture_output=True, text=True)
    return {"concordat": done.stdout.strip() or "unknown", "revision": git_revision(),
            "build": build_options(build),
            "libraft": package_version("libraft-dev"),
            "rocksdb": package_version("librocksdb-dev"),
            "openssl": package_version("libssl-dev", "libssl3"),
            "nghttp2": package_version("libnghttp2-dev"),
            "libev": package_version("libev-dev")}


