# SPDX-License-Identifier: MIT
"""An emulated PC that boots a hypervisor and domain 0: the QEMU command, and watching it run.

Machine describes the PC. Session starts it, keeps everything it writes to its serial port, waits
for lines, types, and in the end says how it stopped. QEMU's own exit code cannot tell power-off
from reset, so the answer comes from its SHUTDOWN event over QMP; a reset whose log names a triple
fault is reported as that.
"""

import dataclasses
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# How a run can end.
POWER_OFF = "powered off"
RESET = "reset"
TRIPLE_FAULT = "triple fault"
RUNNING = "still running"
STOPPED = "standing still"
DIED = "emulator died"

OVMF = "/usr/share/ovmf/OVMF.fd"

# What the reference cannot do in this emulator, and Argon can: SMAP kills domain 0's kernel (QEMU
# reads the stack of an IRET with supervisor rights at any privilege), and MWAIT while idle faults.
XEN_CPU_LESS = ",-smap,-smep,-monitor"
XEN_ARGS = "cpuidle=0"


def is_reference(hv):
    """Whether the hypervisor image is Debian's Xen (by its file name)."""
    return os.path.basename(hv).startswith("xen")


@dataclasses.dataclass
class Machine:
    """One PC. Paths are relative to the repository, or absolute, and without commas or spaces."""

    hv: str = "build/argon"
    hv_args: str = ""
    kernel: str = "build/dom0/vmlinuz"  # "" for a boot without any module
    kernel_args: str = ""
    initrd: str = "build/dom0/initrd.img"  # "" for none
    cpu: str = "EPYC"
    machine: str = "q35"
    memory: str = "2G"
    smp: int = 1
    disks: tuple = ()  # of (bus, path), bus one of virtio, ahci, nvme; writes are thrown away
    nics: tuple = ()  # of models, virtio-net or e1000e; number n is on 10.0.(n + 2).0/24
    keyboard: bool = False
    cdrom: str = ""  # boots this instead of the hypervisor image
    stick: bool = False  # the cdrom image is on a USB stick instead
    uefi: bool = False
    extra: tuple = ()

    def command(self, qmp_fd, log, terminal):
        """The QEMU command line. The serial port is standard input and output."""
        cpu, hv_args = self.cpu, self.hv_args
        if is_reference(self.hv):
            cpu += XEN_CPU_LESS
            hv_args += " " + XEN_ARGS
        argv = ["qemu-system-x86_64", "-accel", "tcg", "-M", self.machine, "-cpu", cpu,
                "-m", self.memory, "-smp", str(self.smp), "-no-reboot", "-nodefaults",
                "-vga", "std", "-display", "none",
                "-d", "cpu_reset", "-D", log,
                "-chardev", f"socket,id=qmp,fd={qmp_fd}", "-mon", "chardev=qmp,mode=control"]
        if terminal:
            # Control-A belongs to the hypervisor's console, so QEMU's own key is Control-].
            argv += ["-chardev", "stdio,id=com,mux=on,signal=off", "-echr", "0x1d",
                     "-mon", "chardev=com"]
        else:
            argv += ["-chardev", "stdio,id=com,signal=off"]
        argv += ["-serial", "chardev:com"]
        if self.uefi:
            argv += ["-bios", OVMF]
        argv += self._boot(hv_args) + self._devices()
        return argv + list(self.extra)

    def _boot(self, hv_args):
        if self.cdrom and self.stick:
            return ["-device", "qemu-xhci,id=boot", "-device", "usb-storage,bus=boot.0,drive=boot",
                    "-drive", f"id=boot,file={self.cdrom},format=raw,if=none,readonly=on"]
        if self.cdrom:
            return ["-cdrom", self.cdrom]
        argv = ["-kernel", self.hv, "-append", " ".join(hv_args.split())]
        modules = []
        if self.kernel:
            arguments = self.kernel_args.replace(",", ",,")
            modules.append(f"{self.kernel} {arguments}".strip())
        if self.initrd:
            modules.append(self.initrd)
        return argv + (["-initrd", ",".join(modules)] if modules else [])

    def _devices(self):
        argv = []
        ahci = 0
        for number, (bus, path) in enumerate(self.disks):
            name = f"disk{number}"
            argv += ["-drive", f"id={name},file={path},format=raw,if=none,snapshot=on"]
            if bus == "virtio":
                argv += ["-device", f"virtio-blk-pci,drive={name}"]
            elif bus == "nvme":
                argv += ["-device", f"nvme,drive={name},serial={name}"]
            elif bus == "ahci":
                if not ahci:
                    argv += ["-device", "ich9-ahci,id=sata"]
                argv += ["-device", f"ide-hd,drive={name},bus=sata.{ahci}"]
                ahci += 1
            else:
                raise ValueError(f"no such disk bus: {bus}")
        for number, model in enumerate(self.nics):
            net = f"10.0.{number + 2}"
            argv += ["-netdev", f"user,id=net{number},net={net}.0/24,host={net}.2",
                     "-device", f"{model},netdev=net{number},romfile="]
        if self.keyboard:
            argv += ["-device", "qemu-xhci", "-device", "usb-kbd"]
        return argv


class Session:
    """A running Machine. Use as a context manager: leaving it ends the emulator."""

    def __init__(self, machine, terminal=False, echo=None):
        """With terminal, the serial port is this terminal; else it is kept, and each piece is
        given to echo(text) as it comes."""
        self.machine = machine
        self.output = ""
        self._echo = echo
        self._changed = threading.Condition()
        self._replies = []
        self._looked, self._halts = 0.0, 0  # when stopped() last looked; halts seen in a row
        self._shutdown = None  # the reason of QMP's SHUTDOWN event
        self._scratch = tempfile.TemporaryDirectory(prefix="argon-")
        self._log = os.path.join(self._scratch.name, "log")
        self._errors = open(os.path.join(self._scratch.name, "errors"), "w+", errors="replace")
        ours, theirs = socket.socketpair()
        argv = machine.command(theirs.fileno(), self._log, terminal)
        pipe = None if terminal else subprocess.PIPE
        self.started = time.monotonic()
        self.process = subprocess.Popen(argv, cwd=ROOT, stdin=pipe, stdout=pipe,
                                        stderr=self._errors, pass_fds=[theirs.fileno()])
        theirs.close()
        self._socket = ours
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        if not terminal:
            self._threads.append(threading.Thread(target=self._read, daemon=True))
        for thread in self._threads:
            thread.start()
        self._write_qmp({"execute": "qmp_capabilities"})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()
        self._errors.close()
        self._scratch.cleanup()

    def _read(self):
        descriptor = self.process.stdout.fileno()
        while True:
            data = os.read(descriptor, 65536)
            if not data:
                break
            text = data.decode("utf-8", "replace").replace("\r", "")
            if self._echo:
                self._echo(text)
            with self._changed:
                self.output += text
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def _listen(self):
        """Reads QMP: events and replies, one JSON object a line."""
        try:
            for line in self._socket.makefile("r", encoding="utf-8"):
                message = json.loads(line)
                with self._changed:
                    if message.get("event") == "SHUTDOWN":
                        self._shutdown = message["data"]["reason"]
                    elif "return" in message or "error" in message:
                        self._replies.append(message)
                    self._changed.notify_all()
        except (OSError, ValueError):
            pass

    def _write_qmp(self, message):
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            pass

    def monitor(self, line, timeout=10):
        """The answer of QEMU's human monitor to a command line, or "" when it has gone."""
        with self._changed:
            before = len(self._replies)
        self._write_qmp({"execute": "human-monitor-command",
                         "arguments": {"command-line": line}})
        with self._changed:
            self._changed.wait_for(lambda: len(self._replies) > before, timeout)
            last = self._replies[-1] if len(self._replies) > before else {}
        answer = last.get("return", "")
        return answer if isinstance(answer, str) else ""

    def type(self, text):
        """Sends text to the serial port."""
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, pattern, timeout, start=0):
        """Waits until the output from character start on has a match, or the machine has stopped.
        Returns the match or None."""
        compiled = re.compile(pattern, re.IGNORECASE | re.MULTILINE)
        deadline = time.monotonic() + timeout
        while True:
            ended = self.process.poll() is not None and not self._threads[1].is_alive()
            ended = ended or self.stopped()
            with self._changed:
                found = compiled.search(self.output, start)
                left = deadline - time.monotonic()
                if found or left <= 0 or ended:
                    return found
                self._changed.wait(min(left, 0.5))

    def wait(self, timeout=None):
        """Waits for the emulator to end, and says how the machine stopped."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return RUNNING
        for thread in self._threads:
            thread.join(5)
        if self.process.returncode != 0 or self._shutdown is None:
            return DIED
        if self._shutdown == "guest-reset":
            with open(self._log, errors="replace") as log:
                return TRIPLE_FAULT if "Triple fault" in log.read() else RESET
        return POWER_OFF if self._shutdown == "guest-shutdown" else DIED

    def wait_end(self, timeout):
        """As wait, but a machine that stands still is not waited for: that is STOPPED."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            ending = self.wait(1)
            if ending != RUNNING:
                return ending
            if self.stopped():
                return STOPPED
        return RUNNING

    def stopped(self):
        """Whether CPU 0 was found halted three times in a row, one second apart."""
        now = time.monotonic()
        if now - self._looked >= 1:
            self._looked = now
            self._halts = self._halts + 1 if self.halted() else 0
        return self._halts >= 3

    def halted(self):
        """Whether CPU 0 sits in HLT with interrupts off: a machine that has been stopped."""
        registers = self.monitor("info registers")
        flags = re.search(r"[ER]FL=([0-9a-f]+)", registers)
        return "HLT=1" in registers and flags and not int(flags.group(1), 16) & 0x200

    def errors(self):
        """What QEMU itself had to say, without its list of features that it does not emulate."""
        self._errors.flush()
        with open(self._errors.name, errors="replace") as file:
            lines = [line for line in file if "doesn't support requested feature" not in line]
        return "".join(lines)


def say(text):
    """Writes to standard output at once."""
    sys.stdout.write(text)
    sys.stdout.flush()
