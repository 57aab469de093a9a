"""What schemathesis cannot know from the document: how NDJSON is written and read, and rules between fields, with the
clock, or with what was sent before."""

import hashlib
import json

import schemathesis
from schemathesis import GenerationMode

LINES = '{"custom_id":"1","text":"I finally got the job!"}\n{"custom_id":"2","text":"Nobody came.","user_id":"ada"}\n'

PLAIN_OPTIONS = ("on_invalid", "priority", "store_input", "retention_seconds", "user_id")

# A public address needs no look-up; nothing is sent there, for no process that sends is started.
PUBLIC_URL = "https://93.184.215.14/hooks"


@schemathesis.serializer("application/x-ndjson")
def write_ndjson(context, value):
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode("utf-8")


@schemathesis.deserializer("application/x-ndjson")
def read_ndjson(context, response):
    """The schema is that of each line; api/contract.live.ts looks at all of them, this at the first. A file may hold
    anything: what is not JSON is compared as text. Of no lines there is nothing to compare: the document's example is
    taken for one."""
    text = response.content.decode("utf-8", "replace")
    if text.strip() == "":
        text = context.operation.definition.raw["responses"]["200"]["content"]["application/x-ndjson"]["example"]
    try:
        return json.loads(text.strip().split("\n")[0])
    except ValueError:
        return text


@schemathesis.hook
def filter_case(context, case):
    """A file may hold any bytes, so a value of another type is no bad body once it is written out."""
    return case.path != "/v1/files" or case.method != "POST" or isinstance(case.body, (str, bytes))


@schemathesis.hook
def before_call(context, case, kwargs):
    if isinstance(case.query, dict):
        mend_query(case.query)
    if isinstance(case.body, dict):
        mend_body(case.body)
    if is_good(case):
        mend_good(case)
    key = (case.headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and 0 < len(key) <= 200:
        # The same key with another request is refused, whatever the document says of each.
        told = json.dumps([case.method, case.formatted_path, case.query, case.body], default=str, sort_keys=True)
        case.headers["Idempotency-Key"] = key + hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()[:16]


def is_good(case):
    """Whether the case fits the document; others are broken on purpose, and stay so."""
    return case.meta is None or case.meta.generation.mode == GenerationMode.POSITIVE


def mend_query(query):
    """No document can say that two parameters exclude each other, or that a moment has not passed."""
    if "after" in query and "before" in query:
        del query["before"]
    for name in ("created_after", "created_before"):
        if is_moment(query.get(name)) and query[name] < "1971":
            query[name] = "2026-01-01T00:00:00Z"


def mend_body(body):
    if is_moment(body.get("not_before")):
        body["not_before"] = "2026-01-01T00:00:00Z"
    if is_moment(body.get("deadline_at")):
        body["deadline_at"] = "2100-01-01T00:00:00Z"
    for name, moment in (("since", "2026-01-01T00:00:00Z"), ("until", "2026-02-01T00:00:00Z")):
        if is_moment(body.get(name)):
            body[name] = moment
    for holder in (body, body.get("webhook")):
        if isinstance(holder, dict) and is_link(holder.get("url")):
            holder["url"] = PUBLIC_URL


def mend_good(case):
    """What a good request needs that its schema does not say."""
    remove_traps(case.body)
    if case.path == "/v1/batches" and case.method == "POST":
        if case.media_type == "application/x-ndjson":
            case.body = LINES
            # Beside lines the query holds the options, a kind among them, and JSON in some.
            named = {name: value for name, value in (case.query or {}).items() if name in PLAIN_OPTIONS}
            case.query = {**named, "kind": "emotion"}
        else:
            # Options stand in the query only beside lines.
            if case.query:
                case.query.clear()
        # Which options and models there are depends on the kind, and that on the server.
        for asked in (case.query, case.body):
            if isinstance(asked, dict) and "kind" in asked:
                asked["kind"] = "emotion"
                asked.pop("options", None)
                asked.pop("model", None)
    if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        # A header line holds no control characters.
        for name in [name for name in case.body if not (name.isascii() and name.isprintable() and name)]:
            del case.body[name]
    if case.path == "/v1/batches/{id}/results" and isinstance(case.query, dict):
        # Only an index that was read before is good.
        case.query.pop("after", None)


def remove_traps(value):
    """A name that reaches for a prototype is refused wherever it stands, in fields that are passed over too."""
    if isinstance(value, dict):
        value.pop("__proto__", None)
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            remove_traps(inner)


def is_moment(value):
    """Whether it begins as one; what is malformed on purpose stays."""
    return isinstance(value, str) and value[:4].isdigit() and value[4:5] == "-" and "T" in value


def is_link(value):
    return isinstance(value, str) and value.lower().startswith("https://") and len(value) <= 2048
