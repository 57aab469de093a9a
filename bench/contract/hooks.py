"""What schemathesis cannot know from the document: how NDJSON is read, and rules between fields or with the clock."""

import json

import schemathesis


@schemathesis.deserializer("application/x-ndjson")
def read_ndjson(context, response):
    """The schema is that of each line; api/contract.live.ts looks at all of them, this at the first."""
    lines = response.content.decode("utf-8").splitlines()
    return json.loads(lines[0])


@schemathesis.hook
def before_call(context, case, kwargs):
    """No document can say that two parameters exclude each other, or that a moment has not passed."""
    if isinstance(case.query, dict):
        if "after" in case.query and "before" in case.query:
            del case.query["before"]
        for name in ("created_after", "created_before"):
            if is_moment(case.query.get(name)) and case.query[name] < "1971":
                case.query[name] = "2026-01-01T00:00:00Z"
    if isinstance(case.body, dict):
        if is_moment(case.body.get("not_before")):
            case.body["not_before"] = "2026-01-01T00:00:00Z"
        if is_moment(case.body.get("deadline_at")):
            case.body["deadline_at"] = "2100-01-01T00:00:00Z"


def is_moment(value):
    """Whether it begins as one; what is malformed on purpose stays."""
    return isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-" and "T" in value
