# http.server: server.py PORT ROOT
import hashlib
import http.server
import os
import socket
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/who":
            self.answer(self.client_address[0])
        else:
            super().do_GET()

    def do_POST(self):
        left = int(self.headers["Content-Length"])
        digest = hashlib.sha256()
        while left > 0:
            piece = self.rfile.read(min(left, 65536))
            if not piece:
                raise EOFError("the body is cut off")
            digest.update(piece)
            left -= len(piece)
        self.answer(digest.hexdigest())

    def answer(self, text):
        body = f"{text}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6


os.chdir(sys.argv[2])
Server(("::", int(sys.argv[1])), Handler).serve_forever()
