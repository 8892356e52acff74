"""An example session backend for Tagmint; docs/session-backend.md has the contract.

python3 session_backend.py USERS.json PORT [CERTIFICATE.pem KEY.pem]
"""

import hashlib, json, ssl, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

with open(sys.argv[1], encoding="utf-8") as file:
    USERS = json.load(file)  # SHA-256 of an auth token, in hex -> {"wallet", "expires_in", "attributes"}


class Backend(BaseHTTPRequestHandler):
    timeout = 10  # seconds for a client that sends nothing

    def do_GET(self):
        self.answer(200 if self.path == "/healthz" else 404, {})

    def do_POST(self):
        if self.path != "/session/create":
            return self.answer(404, {"error": "no such path"})
        try:
            body = self.rfile.read(min(int(self.headers["content-length"]), 65536))
            digest = hashlib.sha256(json.loads(body)["auth_token"].encode()).hexdigest()
        except (ValueError, TypeError, KeyError, AttributeError):
            return self.answer(400, {"error": 'the body must be {"auth_token": "…"}'})
        user = USERS.get(digest)
        self.answer(200, user) if user else self.answer(401, {"error": "the auth token is unknown"})

    def answer(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Backend)
if len(sys.argv) > 3:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
print(f"listening on port {server.server_port}", flush=True)
server.serve_forever()
