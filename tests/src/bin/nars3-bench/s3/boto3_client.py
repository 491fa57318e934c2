"""What `nars3-s3-client` does, by boto3: the same arguments, the seconds on standard error.

put|get ENDPOINT REGION BUCKET CONNECTIONS COUNT BYTES
up|down ENDPOINT REGION BUCKET CONNECTIONS PART FILE
list    ENDPOINT REGION BUCKET
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

operation, endpoint, region, bucket, *rest = sys.argv[1:]
config = Config(
    region_name=region,
    max_pool_connections=int(rest[0]) if rest else 1,
    s3={"addressing_style": "path"},
)
client = boto3.client("s3", endpoint_url="http://" + endpoint, config=config)


def each(request):
    connections, count, size = map(int, rest)
    body = b"x" * size
    with ThreadPoolExecutor(connections) as pool:
        for length in pool.map(lambda number: request(f"small/{number:05}", body), range(count)):
            assert length == size, length


def put(key, body):
    client.put_object(Bucket=bucket, Key=key, Body=body)
    return len(body)


def get(key, _body):
    return len(client.get_object(Bucket=bucket, Key=key)["Body"].read())


def in_parts():
    connections, part = int(rest[0]), int(rest[1])
    return TransferConfig(multipart_chunksize=part, multipart_threshold=part, max_concurrency=connections)


started = time.monotonic()
if operation == "put":
    each(put)
elif operation == "get":
    each(get)
elif operation == "up":
    client.upload_file(rest[2], bucket, "large", Config=in_parts())
elif operation == "down":
    client.download_file(bucket, "large", rest[2], Config=in_parts())
elif operation == "list":
    pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    # MinIO may end with a page that has none.
    print(sum(len(page.get("Contents", [])) for page in pages), "keys", file=sys.stderr)
else:
    raise SystemExit(f"no operation {operation}")
print(time.monotonic() - started, file=sys.stderr)
