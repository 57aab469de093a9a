"""FastAPI with the model in its process: no queue, no database, nothing survives a crash.

    uvicorn plain_fastapi:app --app-dir bench/peers --workers 2 --loop uvloop --http httptools

Settings: one process a core, uvloop and httptools as uvicorn's documentation has it; the endpoint
is a plain function, which FastAPI runs in its thread pool, so that the loop stays free.
"""

from fastapi import FastAPI
from pydantic import BaseModel

from model import Model

app = FastAPI()
model = Model()


class Request(BaseModel):
    texts: list[str]


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/analyze")
def analyze(request: Request) -> dict:
    return {"items": model.analyze(request.texts)}
