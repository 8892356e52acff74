"""Who a prod issuer talks to, on the stage: its session backend (a real one would ask the chain), and the CI platforms' key sets."""

import base64
import http.server
import json
import os
import ssl
import sys

WALLET = "0x7a6ed1c0ffee5eed00000000000000000000d00d"
MODULUS = base64.urlsafe_b64encode(b"\xc1" + os.urandom(254) + b"\x01").decode().rstrip("=")
KEYS = {"keys": [{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": "platform", "n": MODULUS, "e": "AQAB"}]}


class Others(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        issuer = "https://" + self.headers["host"]
        discovery = {"issuer": issuer, "jwks_uri": issuer + "/jwks"}
        self.answer(200, {"/healthz": {"status": "ok"}, "/jwks": KEYS}.get(self.path, discovery))

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if asked.get("auth_token") != "federation-proof":
            return self.answer(401, {"error": "refused"})
        return self.answer(200, {"session": "s-1", "wallet": WALLET, "expires_in": 3600})

    def answer(self, status, body):
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass


context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[1], sys.argv[2])
server = http.server.ThreadingHTTPServer(("52.58.0.20", 443), Others)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
