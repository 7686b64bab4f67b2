# SPDX-License-Identifier: MIT
"""The host's side of the tour: disks and a web server with known contents, and the verdict.

Each of three disks (virtio, AHCI, NVMe) holds an ext4 file system with one random file; a server on
the host's loopback offers a fresh random file. Domain 0 gets the first half of each SHA-256 on its
command line, as argon.tour=virtio:SUM,ahci:SUM,nvme:SUM,http:SUM,port:NUMBER, checks what it reads
against it (tools/dom0/tour), and ends with the line "tour: verdict: pass" or "fail".
"""

import dataclasses
import fcntl
import hashlib
import http.server
import json
import os
import shutil
import subprocess
import tempfile
import threading

import machine

DIRECTORY = os.path.join(machine.ROOT, "build", "tour")
BUSES = ("virtio", "ahci", "nvme")
FILE_BYTES = 3 << 20
HTTP_BYTES = 1 << 20


def digest(data):
    return hashlib.sha256(data).hexdigest()[:32]


def disks():
    """Makes the three disk images if they are not there. Returns {bus: (path, checksum)}."""
    os.makedirs(DIRECTORY, exist_ok=True)
    index = os.path.join(DIRECTORY, "index.json")
    with open(os.path.join(DIRECTORY, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(index):
            made = {bus: make_disk(bus) for bus in BUSES}
            with open(index + ".new", "w") as file:
                json.dump(made, file)
            os.rename(index + ".new", index)
        with open(index) as file:
            return json.load(file)


def make_disk(bus):
    data = os.urandom(FILE_BYTES)
    path = os.path.join("build", "tour", f"{bus}.img")
    with tempfile.TemporaryDirectory(dir=DIRECTORY) as tree:
        with open(os.path.join(tree, "data"), "wb") as file:
            file.write(data)
        new = os.path.join(machine.ROOT, path)
        if os.path.exists(new):
            os.unlink(new)
        mke2fs = shutil.which("mke2fs") or "/sbin/mke2fs"
        subprocess.run([mke2fs, "-q", "-t", "ext4", "-L", f"tour-{bus}", "-d", tree, new, "24M"],
                       check=True)
    return path, digest(data)


class Server:
    """A web server on the loopback that has one file, /data, and counts who fetched it whole. What is
    posted is answered by its SHA-256."""

    def __init__(self, size=HTTP_BYTES):
        self.data = os.urandom(size)
        self.checksum = hashlib.sha256(self.data).hexdigest()
        self.fetched = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if self.path != "/data":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(outer.data)))
                self.end_headers()
                self.wfile.write(outer.data)
                outer.fetched += 1

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(hashlib.sha256(body).hexdigest().encode())

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def take(pc, timeout, echo=None):
    """Boots pc with the tour's disks and network added. Returns "" or what was wrong."""
    known = disks()
    with Server() as server:
        facts = [f"{bus}:{known[bus][1]}" for bus in BUSES]
        facts += [f"http:{digest(server.data)}", f"port:{server.port}"]
        pc = dataclasses.replace(
            pc, disks=pc.disks + tuple((bus, known[bus][0]) for bus in BUSES),
            nics=("virtio-net-pci", "e1000e"), keyboard=True,
            kernel_args=f"{pc.kernel_args} argon.tour={','.join(facts)}")
        with machine.Session(pc, echo=echo) as session:
            ending = session.wait_end(timeout)
            return complaint(session, ending, server.fetched)


def complaint(session, ending, fetched):
    if "tour: verdict: pass" not in session.output:
        wrong = [line for line in session.output.splitlines() if line.startswith("tour: FAIL")]
        verdict = "; ".join(wrong) or "domain 0 gave no verdict"
        return f"{verdict} ({ending}) {session.errors()}".strip()
    if ending != machine.POWER_OFF:
        return f"the tour was right, but then: {ending} {session.errors()}".strip()
    if fetched != 2:
        return f"domain 0 says it fetched the file twice, the server counts {fetched}"
    return ""
