"""What boto3 sees with the credentials that its environment gives it. Arguments: BUCKET PREFIX. Output: JSON."""

import json
import sys

import boto3
from botocore.exceptions import ClientError

bucket, prefix = sys.argv[1:]
session = boto3.Session()
seen = {"method": session.get_credentials().method, "arn": session.client("sts").get_caller_identity()["Arn"]}
s3 = session.client("s3")
key = f"{prefix}/boto3.txt"
s3.put_object(Bucket=bucket, Key=key, Body=b"written by boto3")
seen["read"] = s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()
seen["listed"] = [item["Key"] for item in s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/")["Contents"]]
try:
    s3.list_objects_v2(Bucket=bucket, Prefix="")
    seen["foreign"] = "listed"
except ClientError as error:
    seen["foreign"] = error.response["Error"]["Code"]
print(json.dumps(seen))
