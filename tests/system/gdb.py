# SPDX-License-Identifier: MIT
"""As much of a debugger as tests need, over QEMU's gdb stub: stop at an address, look at and change
registers, go on. The protocol: "Remote Serial Protocol" in gdb's manual.
"""

import socket
import time

RSP, RIP = 7, 16  # numbers of registers, as gdb counts them on x86-64


class Stub:
    """A connection; it stops the machine until go_to() or leave()."""

    def __init__(self, path, seconds=10):
        """path: of the socket that options() named."""
        deadline = time.monotonic() + seconds
        self._socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self._socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        self._data = b""
        self.ask("qXfer:features:read:target.xml:0,1000")  # else single registers are not offered

    @staticmethod
    def options(path):
        """What QEMU needs to be told."""
        return ("-chardev", f"socket,id=gdb,path={path},server=on,wait=off", "-gdb", "chardev:gdb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()

    def _packet(self, seconds):
        """The next packet: $text#sum, between acknowledgements."""
        deadline = time.monotonic() + seconds
        while True:
            start = self._data.find(b"$")
            end = self._data.find(b"#", start)
            if 0 <= start < end and len(self._data) >= end + 3:
                text = self._data[start + 1:end].decode()
                self._data = self._data[end + 3:]
                self._socket.sendall(b"+")
                return text
            self._socket.settimeout(max(deadline - time.monotonic(), 0.01))
            piece = self._socket.recv(4096)
            if not piece:
                raise OSError("the stub hung up")
            self._data += piece

    def _send(self, text):
        self._socket.sendall(f"${text}#{sum(text.encode()) % 256:02x}".encode())

    def ask(self, text):
        """The answer to a packet; not what is told unasked of the stop that connecting was."""
        self._send(text)
        while True:
            answer = self._packet(10)
            if not answer.startswith("T"):
                return answer

    def go_to(self, address, seconds=60):
        """Runs on until any processor is at address, which then is the chosen one."""
        if self.ask(f"Z1,{address:x},1") != "OK":
            raise OSError("no breakpoint")
        self._send("c")
        why = self._packet(seconds)
        if self.ask(f"z1,{address:x},1") != "OK":
            raise OSError("the breakpoint stays")
        return why

    def register(self, number):
        return int.from_bytes(bytes.fromhex(self.ask(f"p{number:x}")), "little")

    def set_register(self, number, value):
        if self.ask(f"P{number:x}={value.to_bytes(8, 'little').hex()}") != "OK":
            raise OSError("the register stays")

    def leave(self):
        """The machine runs on alone."""
        self.ask("D")
