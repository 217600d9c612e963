"""The same as s3_speed with boto3: s3_peer.py put|get BUCKET PREFIX OBJECTS BYTES THREADS; prints seconds."""
import concurrent.futures
import os
import sys
import time

import boto3
import botocore.config

mode, bucket, prefix, objects, size, threads = *sys.argv[1:4], *map(int, sys.argv[4:7])
s3 = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL_S3"], region_name=os.environ["AWS_REGION"],
                  config=botocore.config.Config(max_pool_connections=threads))
data = bytes((i * 2654435761 & 0xffffffff) >> 13 & 255 for i in range(1 << 16)) * (size // (1 << 16))


def work(i):
    key = f"{prefix}/{i}"
    if mode == "put":
        s3.put_object(Bucket=bucket, Key=key, Body=data, IfNoneMatch="*")
    elif s3.get_object(Bucket=bucket, Key=key)["Body"].read() != data:
        sys.exit("other bytes than were put")


begun = time.monotonic()
with concurrent.futures.ThreadPoolExecutor(threads) as pool:
    list(pool.map(work, range(objects)))
print(f"{time.monotonic() - begun:.6f}")
