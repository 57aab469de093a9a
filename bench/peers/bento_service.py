"""BentoML with its adaptive batching: no queue that survives a crash, no database.

    bentoml serve bento_service:Emotions --working-dir bench/peers --port 8000

Settings: a worker process a core, batches of up to 64 texts. A text may wait up to 20 s before the
answer is 503; with 1 s, some of 64 clients were refused on a busy machine. The texts of all
requests form one batch, and run as model.py says.
"""

import bentoml

from model import Model


@bentoml.service(
    workers=2,
    traffic={"timeout": 60, "max_concurrency": 256},
    logging={"access": {"enabled": False}},
)
class Emotions:
    def __init__(self) -> None:
        self.model = Model()

    @bentoml.api(batchable=True, max_batch_size=64, max_latency_ms=20_000)
    def analyze(self, texts: list[str]) -> list[dict]:
        return self.model.analyze(texts)
