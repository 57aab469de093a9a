"""FastAPI in front of Celery: a request is a committed row of Postgres and a task, then 202.

    uvicorn celery_api:app --app-dir bench/peers --loop uvloop --http httptools

Settings: psycopg's asynchronous pool; one INSERT for the texts of a request, committed before the
answer, so that a 202 is as durable as Soma's. Handing the task over blocks, so it runs in a thread.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from psycopg_pool import AsyncConnectionPool
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool

from celery_tasks import analyze

TABLE = """
CREATE TABLE IF NOT EXISTS peer_texts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text NOT NULL, result json
)"""
INSERT = "INSERT INTO peer_texts (text) SELECT unnest(%s::text[]) RETURNING id"
pool = AsyncConnectionPool(
    os.environ["PEER_DATABASE_URL"], max_size=8, open=False, kwargs={"autocommit": True}
)


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    await pool.open(wait=True)
    async with pool.connection() as connection:
        await connection.execute(TABLE)
    yield
    await pool.close()


app = FastAPI(lifespan=lifespan)


class Request(BaseModel):
    texts: list[str]


@app.get("/health")
async def health() -> dict:
    return {"status": "ok"}


@app.post("/analyze", status_code=202)
async def submit(request: Request) -> dict:
    async with pool.connection() as connection:
        cursor = await connection.execute(INSERT, (request.texts,))
        ids = [row[0] for row in await cursor.fetchall()]
    await run_in_threadpool(analyze.delay, ids, request.texts)
    return {"ids": ids}


@app.get("/stored")
async def stored() -> dict:
    async with pool.connection() as connection:
        cursor = await connection.execute("SELECT count(result) FROM peer_texts")
        return {"stored": (await cursor.fetchone())[0]}
