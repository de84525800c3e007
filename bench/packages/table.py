"""The packages that scripts/packages-by-mode tries: how each is installed and imported, and a small use that needs what makes it worth having.

A use stays on this machine and within the process: it opens no connection and reads no file but those of the package.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Package:
    """One row. `name` is what pip installs; `parts` are the distributions whose extension modules are its C part."""

    name: str
    imports: str
    use: str
    parts: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def owners(self) -> tuple[str, ...]:
        return self.parts or (self.name.partition("[")[0],)


CRYPTOGRAPHY = "from cryptography.fernet import Fernet"
ZIPPED = "assert {0}.decompress({0}.compress(b'text' * 99)) == b'text' * 99"

PACKAGES = [
    # Arrays and pictures.
    Package("numpy", "import numpy", "assert numpy.arange(4).sum() == 6"),
    Package("pandas", "import pandas", "assert pandas.DataFrame({'a': [1, 2]}).a.sum() == 3"),
    Package("scipy", "from scipy import linalg", "assert linalg.det([[1, 2], [3, 4]]) < 0"),
    Package(
        "scikit-learn",
        "from sklearn.linear_model import LinearRegression",
        "assert LinearRegression().fit([[1], [2]], [1, 2]).predict([[3]])[0] > 2",
    ),
    Package(
        "matplotlib",
        "from matplotlib.figure import Figure",
        # Letters in a PDF are fontTools' work, which has C code of its own.
        "import io\none = Figure()\none.text(0, 0, 'text')\nfor kind in ('png', 'pdf'):\n    one.savefig(io.BytesIO(), format=kind)",
    ),
    Package("contourpy", "import contourpy", "assert contourpy.contour_generator(z=[[0, 1], [1, 2]]).lines(1)"),
    Package("shapely", "from shapely import Point", "assert Point(0, 0).buffer(1).area > 3"),
    Package("pyproj", "from pyproj import Geod", "assert Geod(ellps='WGS84').inv(0, 0, 1, 1)[2] > 0"),
    Package("pyarrow", "import pyarrow", "assert pyarrow.array([1, 2]).sum().as_py() == 3"),
    Package("polars", "import polars", "assert polars.DataFrame({'a': [1, 2]})['a'].sum() == 3", ("polars-runtime-32", "polars")),
    Package("pillow", "from PIL import Image", "assert Image.new('RGB', (2, 2)).resize((1, 1)).size == (1, 1)"),
    Package("pikepdf", "import pikepdf", "assert len(pikepdf.new().pages) == 0"),
    Package("manifold3d", "from manifold3d import Manifold", "assert Manifold.cube([1, 1, 1]).volume() > 0.9"),
    Package("reportlab", "from reportlab.pdfgen import canvas", "import io\ncanvas.Canvas(io.BytesIO()).save()"),
    # Formats.
    Package("lxml", "from lxml import etree", "assert etree.fromstring('<a><b/></a>')[0].tag == 'b'"),
    Package("PyYAML", "import yaml", "assert yaml.safe_load('a: 1') == {'a': 1}"),
    Package(
        "ruamel.yaml",
        "from ruamel.yaml import YAML",
        "assert YAML(typ='safe').load('a: 1') == {'a': 1}",
        ("ruamel.yaml.clib",),
        ("ruamel.yaml.clib",),
    ),
    Package("orjson", "import orjson", "assert orjson.loads(orjson.dumps([1])) == [1]"),
    Package("ujson", "import ujson", "assert ujson.loads(ujson.dumps([1])) == [1]"),
    Package("simplejson", "import simplejson", "assert simplejson.loads(simplejson.dumps([1])) == [1]"),
    Package("python-rapidjson", "import rapidjson", "assert rapidjson.loads(rapidjson.dumps([1])) == [1]"),
    Package("jiter", "import jiter", "assert jiter.from_json(b'[1]') == [1]"),
    Package("msgpack", "import msgpack", "assert msgpack.unpackb(msgpack.packb([1])) == [1]"),
    Package("fastavro", "import fastavro", "assert fastavro.parse_schema({'type': 'array', 'items': 'int'})"),
    Package("protobuf", "from google.protobuf import struct_pb2", "value = struct_pb2.Value(number_value=1)\nassert value.SerializeToString()"),
    Package("nh3", "import nh3", "assert nh3.clean('<b>a</b>') == '<b>a</b>'"),
    Package("regex", "import regex", "assert regex.match(r'\\p{Lu}', 'A')"),
    Package("rapidfuzz", "from rapidfuzz import fuzz", "assert fuzz.ratio('abc', 'abc') == 100"),
    Package("charset-normalizer", "import charset_normalizer", "assert charset_normalizer.from_bytes(b'some text').best()"),
    # Compression and sums.
    Package("lz4", "import lz4.frame", ZIPPED.format("lz4.frame")),
    Package("zstandard", "import zstandard", ZIPPED.format("zstandard")),
    Package("brotli", "import brotli", ZIPPED.format("brotli")),
    Package("xxhash", "import xxhash", "assert xxhash.xxh64(b'a').hexdigest()"),
    Package("google-crc32c", "import google_crc32c", "assert google_crc32c.value(b'a')"),
    # Databases.
    Package("psycopg2-binary", "import psycopg2.extensions", "assert psycopg2.extensions.adapt(1).getquoted() == b'1'"),
    Package("psycopg[binary]", "import psycopg", "assert psycopg.conninfo.make_conninfo(host='a') == 'host=a'", ("psycopg-binary",)),
    Package("asyncpg", "import asyncpg", "from asyncpg.pgproto.types import Point\nassert Point(1, 2)[0] == 1"),
    Package("PyMySQL", "import pymysql", "assert pymysql.converters.escape_string('a') == 'a'"),
    Package("mysqlclient", "import MySQLdb", "assert MySQLdb.escape_string('a') == b'a'"),
    Package("pymongo", "import pymongo, bson", "assert bson.decode(bson.encode({'a': 1})) == {'a': 1}"),
    Package("redis", "import redis", "assert redis.Redis(host='localhost').connection_pool"),
    Package("hiredis", "import hiredis", "reader = hiredis.Reader()\nreader.feed(b'+OK\\r\\n')\nassert reader.gets() == b'OK'"),
    Package(
        "SQLAlchemy",
        "import sqlalchemy",
        "with sqlalchemy.create_engine('sqlite://').connect() as one:\n    assert one.execute(sqlalchemy.text('select 1')).scalar() == 1",
    ),
    # Servers, clients and events.
    Package("greenlet", "import greenlet", "assert greenlet.greenlet(lambda: 1).switch() == 1"),
    Package("gevent", "import gevent", "assert gevent.spawn(lambda: 1).get() == 1"),
    Package("grpcio", "import grpc", "grpc.insecure_channel('localhost:1').close()"),
    Package("uvloop", "import uvloop", "loop = uvloop.new_event_loop()\nloop.call_soon(loop.stop)\nloop.run_forever()\nloop.close()"),
    Package("aiohttp", "import aiohttp", "from aiohttp.http_parser import HttpRequestParser"),
    Package("httptools", "import httptools", "assert httptools.parse_url(b'http://a/b').path == b'/b'"),
    Package("tornado", "import tornado.web", "from tornado.util import _websocket_mask\nassert _websocket_mask(b'abcd', b'abcd') == bytes(4)"),
    Package("websockets", "import websockets", "from websockets.frames import Frame, Opcode\nassert Frame(Opcode.TEXT, b'a').serialize(mask=True)"),
    Package("multidict", "from multidict import CIMultiDict", "assert CIMultiDict(A='1')['a'] == '1'"),
    Package("yarl", "from yarl import URL", "assert URL('http://a/b').path == '/b'"),
    Package("frozenlist", "from frozenlist import FrozenList", "assert FrozenList([1])[0] == 1"),
    Package("pyzmq", "import zmq", "zmq.Context().term()"),
    Package("pycurl", "import pycurl", "pycurl.Curl().close()"),
    Package("watchfiles", "import watchfiles", "assert watchfiles.Change.added"),
    # Secrets.
    Package("cryptography", CRYPTOGRAPHY, "one = Fernet(Fernet.generate_key())\nassert one.decrypt(one.encrypt(b'a')) == b'a'"),
    Package("bcrypt", "import bcrypt", "assert bcrypt.checkpw(b'a', bcrypt.hashpw(b'a', bcrypt.gensalt(4)))"),
    Package(
        "argon2-cffi",
        "import argon2",
        "one = argon2.PasswordHasher(time_cost=1, memory_cost=64)\nassert one.verify(one.hash('a'), 'a')",
        ("argon2-cffi-bindings",),
    ),
    Package("cffi", "import cffi", "assert int(cffi.FFI().cast('int', 1)) == 1"),
    Package("PyNaCl", "import nacl.hash", "assert nacl.hash.sha256(b'a')"),
    Package("pycryptodome", "from Crypto.Cipher import AES", "assert AES.new(bytes(16), AES.MODE_CBC, bytes(16)).encrypt(bytes(16))"),
    # Parts of frameworks.
    Package("pydantic", "import pydantic", "class A(pydantic.BaseModel):\n    a: int\nassert A(a='1').a == 1", ("pydantic-core",)),
    Package("pydantic-core", "import pydantic_core", "assert pydantic_core.to_json([1]) == b'[1]'"),
    Package("rpds-py", "import rpds", "assert rpds.HashTrieMap(a=1)['a'] == 1"),
    Package("jsonschema", "import jsonschema", "jsonschema.validate(1, {'type': 'integer'})", ("rpds-py",)),
    Package("MarkupSafe", "import markupsafe", "assert markupsafe.escape('<') == '&lt;'"),
    Package("wrapt", "import wrapt", "assert wrapt.ObjectProxy([1])[0] == 1"),
    Package(
        "zope.interface",
        "from zope.interface import Interface, implementer",
        "class IA(Interface):\n    pass\n@implementer(IA)\nclass A:\n    pass\nassert IA.providedBy(A())",
    ),
    Package("BTrees", "from BTrees.OOBTree import OOBTree", "assert OOBTree({'a': 1})['a'] == 1"),
    Package("psutil", "import psutil", "assert psutil.Process().memory_info().rss"),
    Package("setproctitle", "import setproctitle", "assert setproctitle.getproctitle()"),
    Package("coverage", "import coverage", "from coverage.tracer import CTracer\nassert CTracer()"),
    # Without C code of their own.
    Package("Django", "import django.conf, django.template", "assert django.template.Engine().from_string('{{ a }}')"),
    Package("Flask", "import flask", "assert flask.Flask('a').test_client().get('/').status_code == 404", ("MarkupSafe",)),
    Package("Jinja2", "import jinja2", "assert jinja2.Template('{{ a }}').render(a=1) == '1'", ("MarkupSafe",)),
    Package("celery", "import celery", "def one():\n    return 1\nassert celery.Celery('a', set_as_current=False).task(one)() == 1"),
    Package("boto3", "import boto3", "assert 's3' in boto3.session.Session().get_available_services()"),
    Package("requests", "import requests", "assert requests.Request('GET', 'http://a/').prepare().url", ("charset-normalizer",)),
    Package("httpx", "import httpx", "httpx.Client().close()"),
    Package("openpyxl", "import openpyxl", "assert openpyxl.Workbook().active"),
    Package(
        "sentry-sdk",
        "import sentry_sdk",
        "sentry_sdk.init(dsn='http://a@localhost/1', transport=lambda event: None)\nassert sentry_sdk.capture_message('a')",
    ),
    Package(
        "opentelemetry-sdk",
        "from opentelemetry.sdk.trace import TracerProvider",
        "with TracerProvider().get_tracer('a').start_as_current_span('a') as span:\n    assert span.is_recording()",
    ),
]
