"""Listens at URL until each of the named kinds of events has come, and holds each event against the document."""

import json
import sys
import urllib.request

import jsonschema_rs

url, wanted = sys.argv[1], set(sys.argv[2:])
with urllib.request.urlopen(f"{url}/api/v1/openapi.json", timeout=10) as answer:
    components = json.load(answer)["components"]
schema = {"$ref": "#/components/schemas/Happened", "components": components}
validator = jsonschema_rs.Draft202012Validator(schema)
assert not validator.is_valid({"time": "2025-11-25T16:00:00Z", "type": "surprise"}), "the schema says nothing"

stream = urllib.request.urlopen(f"{url}/api/v1/events?connections=true", timeout=30)
assert stream.headers["content-type"] == "text/event-stream", stream.headers
print("listening", flush=True)
name = None
for line in stream:
    field, _, value = line.decode().rstrip("\n").partition(": ")
    if field == "event":
        name = value
    elif field == "data":
        happened = json.loads(value)
        validator.validate(happened)
        assert happened["type"] == name, (name, happened)
        wanted.discard(name)
        if not wanted:
            break
print("all came", flush=True)
