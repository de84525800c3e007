"""FastAPI through a2wsgi: models, a form with a file, a raw body and a stream."""

import hashlib

from a2wsgi import ASGIMiddleware
from fastapi import FastAPI, File, Form, Request, UploadFile
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()


class Order(BaseModel):
    name: str
    amount: int
    remarks: list[str] = []


@app.post("/orders", status_code=201)
def order(order: Order):
    return {"name": order.name, "amount": order.amount, "remarks": len(order.remarks)}


@app.post("/papers")
async def paper(note: str = Form(), paper: UploadFile = File()):
    return {"note": note, "name": paper.filename, "sha256": hashlib.sha256(await paper.read()).hexdigest()}


@app.put("/raw")
async def raw(request: Request):
    digest, size = hashlib.sha256(), 0
    async for block in request.stream():
        digest.update(block)
        size += len(block)
    return {"size": size, "length": request.headers.get("content-length"), "sha256": digest.hexdigest()}


@app.get("/stream")
def stream():
    return StreamingResponse((f"line {number}\n" for number in range(100)), media_type="text/plain")


application = ASGIMiddleware(app)
