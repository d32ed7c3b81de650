# Copyright (c) Crossmesh maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP/1.1 that says by which name it was asked, takes its time, or fails; runs inside a pod's network, by its path."""

from __future__ import annotations

import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# Seconds; longer than any timeout that a test sets, shorter than any that it waits for.
SLOW = 4.0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    failures = 0
    lock = threading.Lock()

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(SLOW)
        if self.path == "/fails":
            with self.lock:
                Handler.failures += 1
            self._answer(503, "not now")
        elif self.path == "/tried":
            with self.lock:
                text, Handler.failures = str(self.failures), 0
            self._answer(200, text)
        else:
            self._answer(200, f"{self.headers['Host']} {self.request_version}")

    def _answer(self, status: int, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
