"""The Celery worker: a task's texts through the model, its results into Postgres.

    celery --app celery_tasks --workdir bench/peers worker --pool prefork --concurrency 2

Settings, from Celery's optimizing guide: prefork with a process a core, a high prefetch for short
tasks, no result backend (the results are in Postgres), no events, no gossip. acks_late, since a
task that a crash interrupts must run again, as in Soma. The texts travel in the task, which saves
a SELECT; in Soma they are only in Postgres.
"""

import json
import os

import psycopg
from celery import Celery
from celery.signals import worker_process_init

from model import Model

app = Celery("peer", broker=os.environ["PEER_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)
in_process: dict = {}


@worker_process_init.connect
def start(**_: object) -> None:
    in_process["model"] = Model()
    in_process["database"] = psycopg.connect(os.environ["PEER_DATABASE_URL"], autocommit=True)


@app.task
def analyze(ids: list[int], texts: list[str]) -> None:
    results = [json.dumps(result) for result in in_process["model"].analyze(texts)]
    in_process["database"].execute(
        "UPDATE peer_texts SET result = new.result FROM unnest(%s::bigint[], %s::json[])"
        " AS new(id, result) WHERE peer_texts.id = new.id",
        (ids, results),
    )
