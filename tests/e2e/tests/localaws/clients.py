"""What boto3 sees at `tagmint localaws`, as one JSON object on stdout: name -> result or error code.

Arguments: endpoint, region, issuer without scheme, own prefix, foreign prefix.
Environment: ADMIN_KEY, ADMIN_SECRET, TOKEN (of the own prefix), UNTAGGED (without the wallet's tag).
"""

import json
import os
import sys
import urllib.error
import urllib.request

import boto3
from botocore import xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

ENDPOINT, REGION, PROVIDER, OWN, FOREIGN = sys.argv[1:]
ACCOUNT = "000000000000"
ROLE = "agentkeys-data-role-test"
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/{ROLE}"
PROVIDER_ARN = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{PROVIDER}"
BUCKET = "agentkeys-mail-test"
TAG = "agentkeys_user_wallet"
seen = {}


def client(service, keys=None, version=None):
    keys = keys or {"AccessKeyId": os.environ["ADMIN_KEY"], "SecretAccessKey": os.environ["ADMIN_SECRET"]}
    return boto3.client(
        service,
        endpoint_url=ENDPOINT,
        region_name=REGION,
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys.get("SessionToken"),
        config=Config(signature_version=version, s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )


def see(name, call, **arguments):
    """Records the answer's interesting part, or the code of the refusal."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        seen[name] = error.response["Error"]["Code"]
        seen[f"{name} (message)"] = error.response["Error"].get("Message")
        return None
    seen[name] = "ok"
    return answer


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


iam, s3, sts = client("iam"), client("s3"), client("sts")

# Setting up, as an administrator does.
trust = policy({
    "Effect": "Allow",
    "Principal": {"Federated": PROVIDER_ARN},
    "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession", "sts:SetSourceIdentity"],
    "Condition": {
        "StringEquals": {f"{PROVIDER}:aud": "sts.amazonaws.com"},
        "Null": {f"aws:RequestTag/{TAG}": "false"},
    },
})
bucket_policy = policy(
    {
        "Sid": "ListOwn",
        "Effect": "Allow",
        "Principal": {"AWS": ROLE_ARN},
        "Action": "s3:ListBucket",
        "Resource": f"arn:aws:s3:::{BUCKET}",
        "Condition": {"StringLike": {"s3:prefix": f"${{aws:PrincipalTag/{TAG}}}/*"}},
    },
    {
        "Sid": "ReadAndWriteOwn",
        "Effect": "Allow",
        "Principal": {"AWS": ROLE_ARN},
        "Action": ["s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
        "Resource": f"arn:aws:s3:::{BUCKET}/${{aws:PrincipalTag/{TAG}}}/*",
    },
)
see("create provider", iam.create_open_id_connect_provider, Url=f"https://{PROVIDER}", ClientIDList=["sts.amazonaws.com"])
see("create provider again", iam.create_open_id_connect_provider, Url=f"https://{PROVIDER}")
provider = iam.get_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER_ARN)
seen["provider"] = [provider["Url"], provider["ClientIDList"]]
see("provider of the internet with a port", iam.create_open_id_connect_provider, Url="https://id.example.com:8443")
see("create bucket", s3.create_bucket, Bucket=BUCKET)
see("bucket policy of a missing role", s3.put_bucket_policy, Bucket=BUCKET, Policy=bucket_policy)
see("create role", iam.create_role, RoleName=ROLE, AssumeRolePolicyDocument=trust, Tags=[{"Key": "Team", "Value": "mail"}])
role = iam.get_role(RoleName=ROLE)["Role"]
seen["role"] = [role["Arn"], role["AssumeRolePolicyDocument"] == json.loads(trust), role["Tags"]]
see("get missing role", iam.get_role, RoleName="missing")
see("malformed trust policy", iam.update_assume_role_policy, RoleName=ROLE, PolicyDocument="{}")
see("put bucket policy", s3.put_bucket_policy, Bucket=BUCKET, Policy=bucket_policy)
seen["bucket policy"] = json.loads(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]) == json.loads(bucket_policy)
see("public bucket policy", s3.put_bucket_policy, Bucket=BUCKET, Policy=policy(
    {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/*"}))
for prefix in (OWN, FOREIGN):
    s3.put_object(Bucket=BUCKET, Key=f"{prefix}/mail.txt", Body=f"mail of {prefix}".encode())

# The token's way in.
token = os.environ["TOKEN"]
anonymous = boto3.client("sts", endpoint_url=ENDPOINT, region_name=REGION, aws_access_key_id="x", aws_secret_access_key="y")


def assume(name, token, role_arn=ROLE_ARN, **arguments):
    return see(name, anonymous.assume_role_with_web_identity, RoleArn=role_arn, RoleSessionName="e2e",
               WebIdentityToken=token, **arguments)


assume("untagged token", os.environ["UNTAGGED"])
iam.remove_client_id_from_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER_ARN, ClientID="sts.amazonaws.com")
assume("audience that is not registered", token)
iam.add_client_id_to_open_id_connect_provider(OpenIDConnectProviderArn=PROVIDER_ARN, ClientID="sts.amazonaws.com")
assume("tampered token", token[:-6] + ("AAAAAA" if not token.endswith("AAAAAA") else "BBBBBB"))
assume("role that the token does not name", token, role_arn=f"arn:aws:iam::{ACCOUNT}:role/other")
assume("too long", token, DurationSeconds=7200)
session = assume("assume", token)
seen["session"] = [session["AssumedRoleUser"]["Arn"], session["Audience"], session["SubjectFromWebIdentityToken"]]
keys = session["Credentials"]
seen["key form"] = [keys["AccessKeyId"][:4], len(keys["AccessKeyId"]), len(keys["SecretAccessKey"])]

# The session.
own, mine = client("s3", keys), client("sts", keys)
seen["caller"] = mine.get_caller_identity()["Arn"]
listed = see("list own", own.list_objects_v2, Bucket=BUCKET, Prefix=f"{OWN}/")
seen["listed"] = [found["Key"] for found in listed["Contents"]]
seen["read own"] = own.get_object(Bucket=BUCKET, Key=f"{OWN}/mail.txt")["Body"].read().decode()
see("write own", own.put_object, Bucket=BUCKET, Key=f"{OWN}/new.txt", Body=b"x")
see("copy own", own.copy_object, Bucket=BUCKET, Key=f"{OWN}/copy.txt", CopySource={"Bucket": BUCKET, "Key": f"{OWN}/new.txt"})
see("delete own", own.delete_object, Bucket=BUCKET, Key=f"{OWN}/copy.txt")
see("missing own", own.get_object, Bucket=BUCKET, Key=f"{OWN}/missing.txt")
see("missing for the administrator", s3.get_object, Bucket=BUCKET, Key=f"{OWN}/missing.txt")
see("list foreign", own.list_objects_v2, Bucket=BUCKET, Prefix=f"{FOREIGN}/")
see("list bare", own.list_objects_v2, Bucket=BUCKET)
see("list without slash", own.list_objects_v2, Bucket=BUCKET, Prefix=OWN)
see("read foreign", own.get_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
see("head foreign", own.head_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
see("read foreign by dots", own.get_object, Bucket=BUCKET, Key=f"{OWN}/../{FOREIGN}/mail.txt")
see("write foreign", own.put_object, Bucket=BUCKET, Key=f"{FOREIGN}/new.txt", Body=b"x")
see("delete foreign", own.delete_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
see("copy from foreign", own.copy_object, Bucket=BUCKET, Key=f"{OWN}/stolen.txt",
    CopySource={"Bucket": BUCKET, "Key": f"{FOREIGN}/mail.txt"})
see("copy to foreign", own.copy_object, Bucket=BUCKET, Key=f"{FOREIGN}/new.txt",
    CopySource={"Bucket": BUCKET, "Key": f"{OWN}/new.txt"})
many = own.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": f"{OWN}/new.txt"}, {"Key": f"{FOREIGN}/mail.txt"}]})
seen["delete many"] = [[found["Key"] for found in many["Deleted"]], [found["Code"] for found in many["Errors"]]]
see("change the policy", own.put_bucket_policy, Bucket=BUCKET, Policy=bucket_policy)
see("iam by the session", client("iam", keys).list_roles)
see("another bucket", own.list_objects_v2, Bucket="no-such-bucket")

# Credentials that are wrong.
see("wrong secret", client("s3", {**keys, "SecretAccessKey": "x" * 40}).list_buckets)
see("wrong secret for sts", client("sts", {**keys, "SecretAccessKey": "x" * 40}).get_caller_identity)
see("without its token", client("s3", {**keys, "SessionToken": None}).list_buckets)
see("another's token", client("s3", {**keys, "SessionToken": "x" * 100}).list_buckets)
see("another's token for sts", client("sts", {**keys, "SessionToken": "x" * 100}).get_caller_identity)
see("unknown key", client("s3", {"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x" * 40}).list_buckets)


def status(request):
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code


v4 = client("s3", keys, "s3v4")
seen["unsigned"] = status(f"{ENDPOINT}/{BUCKET}/{OWN}/mail.txt")
presigned = v4.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"{OWN}/mail.txt"}, ExpiresIn=60)
seen["presigned"] = status(presigned)
foreign = v4.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"{FOREIGN}/mail.txt"}, ExpiresIn=60)
seen["presigned foreign"] = status(foreign)
old = own.generate_presigned_url("get_object", Params={"Bucket": BUCKET, "Key": f"{OWN}/mail.txt"}, ExpiresIn=60)
seen["presigned with version 2"] = status(old)
seen["presigned changed"] = status(presigned.replace(OWN, FOREIGN))

# A session policy cuts down; a role policy adds, past the bucket policy.
narrow = assume("narrow", token, Policy=policy({"Effect": "Allow", "Action": "s3:ListBucket", "Resource": "*"}))["Credentials"]
see("read with a narrow session", client("s3", narrow).get_object, Bucket=BUCKET, Key=f"{OWN}/mail.txt")
see("list with a narrow session", client("s3", narrow).list_objects_v2, Bucket=BUCKET, Prefix=f"{OWN}/")
iam.put_role_policy(RoleName=ROLE, PolicyName="broad", PolicyDocument=policy(
    {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}))
see("read foreign by the role's policy", own.get_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
iam.delete_role_policy(RoleName=ROLE, PolicyName="broad")
see("read foreign again", own.get_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
iam.attach_role_policy(RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
see("read foreign by an attached policy", own.get_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
iam.detach_role_policy(RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")

# On to the next role: the transitive tag goes along and cannot be changed.
chained_trust = policy({"Effect": "Allow", "Principal": {"AWS": ROLE_ARN}, "Action": ["sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"],
                        "Condition": {"StringEquals": {f"aws:RequestTag/{TAG}": OWN}}})
iam.create_role(RoleName="next", AssumeRolePolicyDocument=chained_trust)
iam.put_role_policy(RoleName="next", PolicyName="own", PolicyDocument=policy(
    {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{BUCKET}/${{aws:PrincipalTag/{TAG}}}/*"}))
NEXT = f"arn:aws:iam::{ACCOUNT}:role/next"
chained = see("chain", mine.assume_role, RoleArn=NEXT, RoleSessionName="chained")["Credentials"]
see("chained reads own", client("s3", chained).get_object, Bucket=BUCKET, Key=f"{OWN}/mail.txt")
see("chained reads foreign", client("s3", chained).get_object, Bucket=BUCKET, Key=f"{FOREIGN}/mail.txt")
see("chain with another tag", mine.assume_role, RoleArn=NEXT, RoleSessionName="chained", Tags=[{"Key": TAG, "Value": FOREIGN}])
see("chain for too long", mine.assume_role, RoleArn=NEXT, RoleSessionName="chained", DurationSeconds=7200)
see("chain as somebody else", mine.assume_role, RoleArn=NEXT, RoleSessionName="chained", SourceIdentity="somebody")
see("administrator is not trusted", sts.assume_role, RoleArn=ROLE_ARN, RoleSessionName="admin")

# Versions, parts, tags.
s3.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
first = s3.put_object(Bucket=BUCKET, Key=f"{OWN}/versioned", Body=b"one")["VersionId"]
s3.put_object(Bucket=BUCKET, Key=f"{OWN}/versioned", Body=b"two", Tagging="kind=test")
mark = s3.delete_object(Bucket=BUCKET, Key=f"{OWN}/versioned")
seen["marked"] = mark["DeleteMarker"]
seen["old version"] = own.get_object(Bucket=BUCKET, Key=f"{OWN}/versioned", VersionId=first)["Body"].read().decode()
versions = s3.list_object_versions(Bucket=BUCKET, Prefix=f"{OWN}/versioned")
seen["versions"] = [len(versions["Versions"]), len(versions["DeleteMarkers"])]
see("deleted", s3.get_object, Bucket=BUCKET, Key=f"{OWN}/versioned")
see("delete a version without the permission", own.delete_object, Bucket=BUCKET, Key=f"{OWN}/versioned", VersionId=first)
seen["tags"] = s3.get_object_tagging(Bucket=BUCKET, Key=f"{OWN}/versioned", VersionId=versions["Versions"][0]["VersionId"])["TagSet"]
part = b"p" * (5 * 1024 * 1024)
upload = own.create_multipart_upload(Bucket=BUCKET, Key=f"{OWN}/large")["UploadId"]
etags = [own.upload_part(Bucket=BUCKET, Key=f"{OWN}/large", UploadId=upload, PartNumber=number, Body=body)["ETag"]
         for number, body in ((1, part), (2, b"end"))]
own.complete_multipart_upload(Bucket=BUCKET, Key=f"{OWN}/large", UploadId=upload, MultipartUpload={
    "Parts": [{"PartNumber": number + 1, "ETag": etag} for number, etag in enumerate(etags)]})
large = own.get_object(Bucket=BUCKET, Key=f"{OWN}/large")
seen["large"] = [large["ContentLength"], large["Body"].read() == part + b"end", large["ETag"][-3:]]
ranged = own.get_object(Bucket=BUCKET, Key=f"{OWN}/large", Range="bytes=5242880-")
seen["range"] = [ranged["Body"].read().decode(), ranged["ContentRange"], ranged["ResponseMetadata"]["HTTPStatusCode"]]
see("large to foreign", own.create_multipart_upload, Bucket=BUCKET, Key=f"{FOREIGN}/large")
strange = f"{OWN}/a b+c&d/ü?#%/..//x"
see("strange key", own.put_object, Bucket=BUCKET, Key=strange, Body=b"strange", Metadata={"note": "yes"})
seen["strange"] = own.head_object(Bucket=BUCKET, Key=strange)["Metadata"]
seen["strange listed"] = strange in [found["Key"] for found in own.list_objects_v2(Bucket=BUCKET, Prefix=f"{OWN}/")["Contents"]]
see("wrong digest", own.put_object, Bucket=BUCKET, Key=f"{OWN}/digest", Body=b"x", ContentMD5="AAAAAAAAAAAAAAAAAAAAAA==")
see("only if new", own.put_object, Bucket=BUCKET, Key=f"{OWN}/mail.txt", Body=b"x", IfNoneMatch="*")

# What is not there says so.
see("not implemented in iam", iam.create_user, UserName="x")
see("not implemented in s3", s3.put_bucket_website, Bucket=BUCKET, WebsiteConfiguration={"IndexDocument": {"Suffix": "i"}})
see("no cors", s3.get_bucket_cors, Bucket=BUCKET)
see("bucket not empty", s3.delete_bucket, Bucket=BUCKET)

# Whatever operations this boto3 has: each is done or refused, and none does something else to what is there.
CANARY = "canary-bucket"
s3.create_bucket(Bucket=CANARY)
s3.put_object(Bucket=CANARY, Key="canary", Body=b"here")
MAY_CHANGE = {"CreateBucket", "DeleteBucket", "PutObject", "CopyObject", "DeleteObject", "DeleteObjects"}


def argument(shape, name):
    """The least that the model takes."""
    known = {"Bucket": CANARY, "Key": "canary", "CopySource": f"{CANARY}/canary", "RenameSource": f"{CANARY}/canary"}
    if shape.type_name == "structure":
        # Of a union one member is given.
        names = list(shape.members)[:1] if getattr(shape, "is_tagged_union", False) else shape.required_members
        return {member: argument(shape.members[member], member) for member in names}
    simple = {"list": list, "map": dict, "integer": lambda: 1, "long": lambda: 1, "boolean": lambda: True,
              "timestamp": lambda: "2026-01-01T00:00:00Z", "blob": lambda: b"x"}
    if shape.type_name == "list":
        return [argument(shape.member, name)]
    if shape.type_name in simple:
        return simple[shape.type_name]()
    return known.get(name) or (shape.enum[0] if shape.enum else "x")


def there():
    listed = [(found["Key"], found["ETag"]) for found in s3.list_objects_v2(Bucket=CANARY).get("Contents", [])]
    return listed, s3.get_object(Bucket=CANARY, Key="canary")["Body"].read()


before, changed, refused = there(), [], 0
for operation in s3.meta.service_model.operation_names:
    model = s3.meta.service_model.operation_model(operation)
    if operation in MAY_CHANGE:
        continue
    try:
        getattr(s3, xform_name(operation))(**(argument(model.input_shape, operation) if model.input_shape else {}))
    except ClientError as error:
        refused += error.response["Error"]["Code"] in ("NotImplemented", "501")
    except BotoCoreError:
        pass  # WriteGetObjectResponse has a host of its own, and new types may want more than this.
    if there() != before:
        changed.append(operation)
seen["operations that change something else"] = changed
seen["most are not implemented"] = refused > 40

json.dump(seen, sys.stdout)
