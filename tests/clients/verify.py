"""Verifies a token as a relying party would: discovery, key set, signature, claims. Arguments: ISSUER AUDIENCE; stdin: the token."""

import json
import sys
import urllib.request

from joserfc import errors, jwt
from joserfc.jwk import KeySet


def fetch(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


issuer, audience = sys.argv[1:]
token = sys.stdin.read().strip()
document = fetch(f"{issuer}/.well-known/openid-configuration")
keys = KeySet.import_key_set(fetch(document["jwks_uri"]))
algorithms = document["id_token_signing_alg_values_supported"]
rules = jwt.JWTClaimsRegistry(
    iss={"essential": True, "value": issuer},
    aud={"essential": True, "value": audience},
    exp={"essential": True},
    iat={"essential": True},
    sub={"essential": True},
)


def verify(text):
    decoded = jwt.decode(text, keys, algorithms=algorithms)
    rules.validate(decoded.claims)
    return decoded


good = verify(token)
head, body, signature = token.split(".")
try:
    verify(".".join([head, body, ("B" if signature[0] == "A" else "A") + signature[1:]]))
    altered = "accepted"
except errors.JoseError as error:
    altered = error.error
print(json.dumps({"header": good.header, "claims": good.claims, "altered": altered}))
