"""LitServe with its batching: no queue that survives a crash, no database.

    python bench/peers/lit_server.py --port 8000

Settings: a worker process a core, batches of up to 16 requests within 5 ms, as its documentation
shows for throughput; access log off. The texts of the requests of a batch run as model.py says.
"""

import argparse

import litserve as ls

from model import Model


class Emotions(ls.LitAPI):
    def setup(self, device: str) -> None:
        self.model = Model()

    def decode_request(self, request: dict) -> list[str]:
        return request["texts"]

    def batch(self, inputs: list[list[str]]) -> list[list[str]]:
        return inputs

    def predict(self, inputs: list[list[str]]) -> list[list[dict]]:
        results = iter(self.model.analyze([text for texts in inputs for text in texts]))
        return [[next(results) for _ in texts] for texts in inputs]

    def unbatch(self, output: list[list[dict]]) -> list[list[dict]]:
        return output

    def encode_response(self, output: list[dict]) -> dict:
        return {"items": output}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    api = Emotions(max_batch_size=16, batch_timeout=0.005, api_path="/analyze")
    server = ls.LitServer(api, accelerator="cpu", devices=1, workers_per_device=2)
    server.run(host="127.0.0.1", port=port, log_level="warning", generate_client_file=False)
