"""The same application with the four known fixes.

1. One store for the life of the process.
2. Calls that block run in four threads.
3. A Chroma server, so that all workers share one index.
4. Writes go through a queue: one call for all that have come.

Run: SERVER_PORT=PORT TEXTS=DIR uvicorn fixed:app [--workers N]
"""

import asyncio
import concurrent.futures
import contextlib
import os

import chromadb
from fastapi import FastAPI
from langchain_chroma import Chroma
from pydantic import BaseModel

from table import TableEmbeddings

BATCH_MAX = 100

client = chromadb.HttpClient(host="127.0.0.1", port=int(os.environ["SERVER_PORT"]))
store = Chroma("articles", TableEmbeddings(os.environ["TEXTS"]), client=client)
threads = concurrent.futures.ThreadPoolExecutor(4)
queue = asyncio.Queue()


class Article(BaseModel):
    id: str
    text: str
    source: str


async def write_queued():
    """Forever: take what waits, write it with one call, tell each who waits for it."""
    loop = asyncio.get_running_loop()
    while True:
        batch = [await queue.get()]
        while len(batch) < BATCH_MAX and not queue.empty():
            batch.append(queue.get_nowait())
        try:
            await loop.run_in_executor(threads, add, [article for article, _ in batch])
        except Exception as error:
            for _, written in batch:
                written.cancelled() or written.set_exception(error)
        else:
            for _, written in batch:
                written.cancelled() or written.set_result(None)


def add(articles):
    store.add_texts(
        [article.text for article in articles],
        metadatas=[{"source": article.source} for article in articles],
        ids=[article.id for article in articles],
    )


@contextlib.asynccontextmanager
async def lifespan(_):
    writer = asyncio.create_task(write_queued())
    yield
    writer.cancel()


app = FastAPI(lifespan=lifespan)


@app.post("/ingest")
async def ingest(article: Article):
    written = asyncio.get_running_loop().create_future()
    await queue.put((article, written))
    await written
    return {"id": article.id}


@app.get("/search")
async def search(text: str, k: int = 4):
    loop = asyncio.get_running_loop()
    found = await loop.run_in_executor(threads, lambda: store.similarity_search(text, k=k))
    return [{"id": each.id, "text": each.page_content} for each in found]
