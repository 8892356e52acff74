"""The way from a token to S3 with boto3. Prints what the own object holds and how the foreign one is refused, as JSON."""

import json
import os
import sys

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, region, role, bucket, own, foreign = sys.argv[1:]
options = {"endpoint_url": endpoint, "region_name": region}
sts = boto3.client("sts", config=Config(signature_version=UNSIGNED), **options)
answer = sts.assume_role_with_web_identity(RoleArn=role, RoleSessionName="boto3", WebIdentityToken=os.environ["TOKEN"])
keys = answer["Credentials"]
s3 = boto3.client(
    "s3",
    aws_access_key_id=keys["AccessKeyId"],
    aws_secret_access_key=keys["SecretAccessKey"],
    aws_session_token=keys["SessionToken"],
    config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
    **options,
)
result = {"own": s3.get_object(Bucket=bucket, Key=f"{own}/mail.txt")["Body"].read().decode()}
try:
    s3.get_object(Bucket=bucket, Key=f"{foreign}/mail.txt")
    result["foreign"] = "accepted"
except ClientError as error:
    result["foreign"] = error.response["Error"]["Code"]
print(json.dumps(result))
