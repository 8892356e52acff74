#!/usr/bin/env python3
"""Writes operations.txt from the service models of botocore (PyPI): python3 refresh.py > operations.txt"""

import re

import botocore
import botocore.loaders

print(f"""\
# The operations of S3, and the actions of STS and IAM, by the service models of botocore {botocore.__version__} (Apache License 2.0).
# Made by refresh.py; don't edit.

# s3 OPERATION METHOD root|bucket|object SELECTORS PARAMETERS HEADERS
# Selectors and headers: what a request of this operation has besides method and path. Parameters: what its query can have, too.""")


def model(service):
    return botocore.loaders.Loader().load_service_model(service, "service-2")


def words(names):
    return ",".join(sorted(names)) or "-"


s3 = model("s3")
for name, operation in sorted(s3["operations"].items()):
    if operation.get("deprecated"):
        continue
    http = operation["http"]
    path, _, query = http["requestUri"].partition("?")
    kind = {"/": "root", "/{Bucket}": "bucket", "/{Bucket}/{Key+}": "object"}.get(path, "bucket")
    shape = s3["shapes"].get(operation.get("input", {}).get("shape"), {"members": {}})
    selectors, parameters, headers = set(filter(None, query.split("&"))), set(), set()
    for member, field in shape["members"].items():
        required = member in shape.get("required", [])
        if field.get("location") == "querystring":
            (selectors if required else parameters).add(field["locationName"])
        # What S3 has to be told, but for the copy's source and the like, is no header that makes the operation another one.
        elif field.get("location") == "header" and required and re.search("-source$|-route$|-token$", field["locationName"]):
            headers.add(field["locationName"])
    print("s3", name, http["method"], kind, words(selectors), words(parameters), words(headers))

for service in ("sts", "iam"):
    print(f"\n# {service} ACTION")
    for name in sorted(model(service)["operations"]):
        print(service, name)
