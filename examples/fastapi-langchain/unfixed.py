"""The application as people write it: everything in the handlers, a store for each request.

Run: DATABASE=DIR TEXTS=DIR uvicorn unfixed:app [--workers N]
"""

import os

from fastapi import FastAPI
from langchain_chroma import Chroma
from pydantic import BaseModel

from table import TableEmbeddings

app = FastAPI()
embeddings = TableEmbeddings(os.environ["TEXTS"])


class Article(BaseModel):
    id: str
    text: str
    source: str


def get_store():
    return Chroma("articles", embeddings, persist_directory=os.environ["DATABASE"])


@app.post("/ingest")
async def ingest(article: Article):
    store = get_store()
    store.add_texts([article.text], metadatas=[{"source": article.source}], ids=[article.id])
    return {"id": article.id}


@app.get("/search")
async def search(text: str, k: int = 4):
    found = get_store().similarity_search(text, k=k)
    return [{"id": each.id, "text": each.page_content} for each in found]
